"""Model I on the virtual lab: it holds, and each thing that is spoilt fails the check that names it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bringup.verify.plan import load_plan
from bringup.verify.probes import PROBES
from tests.twin.helpers import Cli
from tests.twin.sabotages import SABOTAGES, Sabotage, write_published

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("home")]

MODEL_1 = load_plan("model-1", PROBES)
# Opt-in: every sabotage by the whole plan takes most of an hour, the whole plans some minutes.
ALL = os.environ.get("BRINGUP_SABOTAGES") == "all"
WHOLE = os.environ.get("BRINGUP_VERIFY") == "whole"
FEW = {"vm2-a-private-out": (), "vm1-a-a clock that was ahead": (pytest.mark.long,)}
# Long and without a rule of the scripts that it would be the first to miss.
LONG = ("rate", "wrong-key", "loss", "rekey-natural")


def verify(*words: str) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-P", "-m", "bringup", "verify", "vlab", "--json", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    body = json.loads(done.stdout)
    assert "checks" in body, done.stdout
    return done.returncode, body


def ended(body: dict[str, Any], status: str) -> set[str]:
    return {check["id"] for check in body["checks"] if check["status"] == status}


@pytest.mark.long
def test_model_1_holds_on_the_generated_rules() -> None:
    ids = [check for check in MODEL_1.ids if WHOLE or check not in LONG]
    words = [] if WHOLE else [word for check in ids for word in ("--only", check)]
    code, body = verify("--plan", "model-1", *words)
    assert (code, ended(body, "fail")) == (0, set()), [c for c in body["checks"] if c["status"] == "fail"]
    assert ended(body, "skip") == ({"rekey-natural"} if WHOLE else set())
    assert [check["id"] for check in body["checks"]] == ids
    assert all(check["evidence"] for check in body["checks"])


def test_rules_without_policies_leak_and_let_in(tmp_path: Path) -> None:
    write_published(tmp_path)
    only = ("no-clear", "kill-switch", "red-closed", "split")
    code, body = verify("--rules", str(tmp_path), *(word for each in only for word in ("--only", each)))
    assert code == 12
    assert ended(body, "fail") == {"no-clear", "kill-switch", "red-closed"}
    assert {"ptp-ab", "ptp-ba", "split"} <= ended(body, "pass")


@pytest.mark.parametrize("plan", ["model-2"] if WHOLE else ["model-2 as read"])
def test_model_2_holds_on_the_kernel_of_this_host(plan: str) -> None:
    read = ("version", "vmm", "msi", "wireguard", "nic", "modules")
    words = [] if plan == "model-2" else [word for check in read for word in ("--only", check)]
    code, body = verify("--plan", "model-2", *words)
    assert (code, ended(body, "fail")) == (0, set()), [c for c in body["checks"] if c["status"] == "fail"]
    assert set(read) <= ended(body, "pass")
    if WHOLE:
        assert {"boots", "virtio", "pci", "tunnel"} <= ended(body, "pass")


@pytest.mark.long
def test_first_contact_with_the_twin_finds_that_it_is_no_board(tmp_path: Path, cli: Cli) -> None:
    done = cli("verify", "e300", "--plan", "hardware", "--json", "--report", str(tmp_path), timeout_s=280)
    body = done.json
    assert done.code == 12, body
    assert body["profile"] == "supermicro-e300-9d"
    assert {
        "nics.X722 #1.id",
        "nics.X722 #2.id",
        "identity.subsystem",
        "interrupts.ioapic_gsi_bases",
        "pci.functions_seen",
        "pci.expected.8086:37d2",
    } <= ended(body, "fail")
    assert {"stages.dhcp", "unit.post_s"} <= ended(body, "skip")
    assert {"bmc.cipher_order", "bmc.boot_flags.bios_network_once", "unit.pins"} <= ended(body, "pass")
    assert "not_kept" in body
    assert "## Corrected" in (tmp_path / "first-contact.md").read_text()
    assert {"report.html", "junit.xml", "verify.json"} <= {path.name for path in tmp_path.iterdir()}


def _rows() -> list[Any]:
    return [
        pytest.param(row, marks=FEW.get(str(row), ()), id=str(row))
        for row in SABOTAGES
        if ALL or str(row) in FEW
    ]


@pytest.mark.parametrize("row", _rows())
def test_what_is_spoilt_fails_the_check_that_names_it_and_no_other(row: Sabotage, tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    row.write(rules)
    words = ["--rules", str(rules), "--firewall", row.backend]
    if ALL:
        for check in MODEL_1.ids:
            words += [] if check in LONG else ["--only", check]
    else:
        for check in (*row.fails, "ptp-ab", "split", "kill-red", "kill-black", "handshake-ab"):
            words += ["--only", check]
    code, body = verify(*words)
    failed = {check["id"]: check["evidence"] for check in body["checks"] if check["status"] == "fail"}
    assert set(failed) == set(row.fails), failed
    assert code == 12
