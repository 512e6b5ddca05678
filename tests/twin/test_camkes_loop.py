"""The whole loop on the twin: probe, overlay, check; then a NIC moves, and check and boot say what moved."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.twin.helpers import Cli

pytestmark = pytest.mark.slow

APP = (Path(__file__).resolve().parents[1] / "golden" / "camkes" / "zmq.camkes").read_text()
OVERLAY = "e300/passthrough.camkes"


def test_a_nic_that_moved_is_found_out_before_power(cli: Cli) -> None:
    (cli.folder / "zmq.camkes").write_text(APP.replace("import <std_connector.camkes>;\n", ""))
    (cli.folder / "e300").mkdir()
    probed = cli("probe-pci", "e300", "--json")
    assert probed.code == 0, probed.err
    functions = {f["bdf"]: f for f in probed.json["functions"]}

    made = cli(
        "camkes", "overlay", "zmq.camkes", "--capture", "e300", "-o", OVERLAY, "--json",
        "--assign", "vm0=slot7f0", "--assign", "vm1=lan1",
    )  # fmt: skip
    assert made.code == 0, made.out
    assert [device["bdf"] for device in made.json["devices"]] == ["0000:17:00.0", "0000:b5:00.0"]
    for device in made.json["devices"]:
        function = functions[device["bdf"]]
        bars = {bar["base"]: bar["size"] for bar in function["bars"] if bar["kind"] == "mem"}
        assert {part["paddr"]: part["size"] for part in device["memory"]} == bars
        (best, *_) = function["pins"]
        assert (device["pin"]["ioapic"], device["pin"]["pin"]) == (best["ioapic"], best["pin"])
    checked = cli("camkes", "check", OVERLAY, "--capture", "e300")
    assert checked.code == 0, checked.err
    same = cli("boot", "e300", "--dry-run", "--json", "--config", OVERLAY)
    assert same.code == 0 and same.json["cautions"] == []

    # LAN1 and LAN2 are two buses further now.
    assert cli("twin", "up", "--variant", "8c").code == 0
    again = cli("probe-pci", "e300", "--json")
    assert again.code == 0, again.err
    assert "0000:b7:00.0" in {f["bdf"] for f in again.json["functions"]}

    drifted = cli("camkes", "check", OVERLAY, "--capture", "e300", "--json")
    moved = [f["message"] for f in drifted.json["findings"] if f["code"] == "drift-moved"]
    assert drifted.code == 12 and moved == ["b5:00.0 was 8086:10d3, now at b7:00.0"]
    runs = set((cli.home / "state" / "runs").iterdir())
    refused = cli("boot", "e300", "--config", OVERLAY)
    assert refused.code == 12 and refused.out == ""
    assert f"e300 is not what {OVERLAY} was made for: b5:00.0 was 8086:10d3, now at b7:00.0" in refused.err
    assert set((cli.home / "state" / "runs").iterdir()) == runs

    remade = cli(
        "camkes", "overlay", "zmq.camkes", "--capture", "e300", "-o", OVERLAY,
        "--assign", "vm0=slot7f0", "--assign", "vm0=lan1",
    )  # fmt: skip
    assert remade.code == 0, remade.err
    assert "b7:00.0" in remade.out
    assert cli("boot", "e300", "--config", OVERLAY, "--dry-run").code == 0
