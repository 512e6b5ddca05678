"""`lspci -tv`: every function at its place, and none at another where lines were lost or moved."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bringup.base.errors import UsageError
from bringup.pci.capture.open import open_capture, read_bytes
from bringup.pci.model import Bdf, Bridge
from bringup.pci.sources.lspci import tree
from tests.machines import catalogue, sysfs
from tests.places import SHARED

TREE = """\
-+-[0000:b2]-+-00.0-[b3-b8]----00.0-[b4-b8]--+-00.0-[b5]----00.0  Acme QuickAssist
 |           |                               +-02.0-[b6]----00.0  Acme QuickAssist
 |           |                               \\-03.0-[b7-b8]--+-00.0  Acme X722 [8086:37d2]
 |           |                                               \\-00.1  Acme X722 [8086:37d2]
 |           +-05.0  Acme VT-d
 |           \\-05.4
 +-[0000:64]---05.0  Device 8086:2034
 \\-[0000:00]-+-00.0  8086:2020
             +-11.0--
             \\-1f.0-[01]--
"""
PLACES = {
    *("b2:00.0", "b3:00.0", "b4:00.0", "b5:00.0", "b4:02.0", "b6:00.0", "b4:03.0", "b7:00.0", "b7:00.1"),
    *("b2:05.0", "b2:05.4", "64:05.0", "00:00.0", "00:11.0", "00:1f.0"),
}


def places(text: str) -> set[str]:
    return {function.bdf.short for function in tree.parse(text.encode()).functions}


def test_places_names_and_bridges() -> None:
    machine = read_bytes(TREE.encode(), "it")
    told = {function.bdf.short: function for function in machine.functions}
    assert set(told) == PLACES
    assert told["b7:00.1"].device == 0x37D2 and told["b7:00.1"].device_name == "Acme X722"
    assert told["b4:03.0"].bridge == Bridge(0xB4, 0xB7, 0xB8) and told["b4:03.0"].is_bridge
    assert told["64:05.0"].vendor == 0x8086 and not told["64:05.0"].observed("device_name")
    assert told["00:00.0"].device == 0x2020
    assert told["00:1f.0"].bridge == Bridge(0, 1, 1)
    assert not told["b2:05.4"].provenance and not told["b2:05.0"].observed("bars")


def test_quoted_and_indented() -> None:
    quoted = "".join(f"> {line}\n" for line in TREE.splitlines())
    assert {f.bdf.short for f in read_bytes(quoted.encode(), "it").functions} == PLACES
    indented = "".join(f"    {line}\n" for line in TREE.splitlines())
    assert places(f"my machine:\n\n{indented}") == PLACES


def test_lines_without_their_columns_are_not_believed() -> None:
    flat = "\n".join(line.lstrip(" |") for line in TREE.splitlines())
    machine = tree.parse(flat.encode())
    assert {f.bdf.short for f in machine.functions} == {"b2:00.0", "b3:00.0", "b4:00.0", "b5:00.0"}
    assert "9 lines of lspci-tree" in {gap.what for gap in machine.missing}


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 1 << 30))
def test_no_lost_line_moves_a_function(seed: int) -> None:
    chance = random.Random(seed)
    lines = TREE.splitlines(keepends=True)
    for _ in range(chance.randrange(1, 4)):
        del lines[chance.randrange(len(lines))]
    text = "".join(lines)
    if chance.random() < 0.5:
        text = text[: chance.randrange(1, len(text))]
    try:
        assert places(text) <= PLACES
    except UsageError as error:
        assert "no PCI function" in str(error)


@pytest.mark.skipif(shutil.which("lspci") is None, reason="lspci is not installed: apt install pciutils")
@pytest.mark.parametrize("name", ["e300-9d-8cn8tp", "many-roots", "virtual-functions"])
@pytest.mark.parametrize("how", ["-t", "-tv", "-tvnn"])
def test_what_lspci_draws_is_read_back(name: str, how: str, tmp_path: Path) -> None:
    made = catalogue.made(name)
    sysfs.write(tmp_path, sysfs.functions(made.functions))
    command = ["lspci", "-A", "linux-sysfs", "-O", f"sysfs.path={tmp_path}/sys/bus/pci", how]
    text = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    machine = read_bytes(text, "it")
    assert {f.bdf for f in machine.functions} == {m.bdf for m in made.functions}
    for function in machine.functions:
        real = made.at(str(function.bdf))
        if function.bridge is not None:
            assert function.bridge == Bridge(real.bdf.bus, real.secondary, real.subordinate)
        else:
            assert not real.secondary
    assert [gap.what for gap in machine.missing] == ["classes, BARs and interrupts in it"]


def test_the_recorded_tree() -> None:
    path = SHARED / "cases" / "captures" / "c14-lspci-tv.txt"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    machine = open_capture([path])
    assert len(machine.functions) == 11
    port = machine.find(Bdf.parse("b7:00.3"))
    assert port is not None and port.device_name is not None and port.device_name.endswith("SFP+")
