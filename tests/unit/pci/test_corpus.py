"""Any folder of real captures, against a second reading of ours: BRINGUP_CAPTURES=FOLDER (docs/probe-pci.md).

Without it the two readings are held against each other on machines of our own, and on what lies beside the
checkout.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from bringup.base.errors import BringupError
from bringup.pci.assessment import Assessment
from bringup.pci.capture.open import read_bytes
from bringup.pci.model import Function, Machine
from bringup.report.pci.text import View, report_lines
from bringup.rules.assess import assess
from tests import captures_oracle
from tests.machines import catalogue
from tests.places import SHARED

FOLDER = os.environ.get("BRINGUP_CAPTURES", "")
BESIDE = [
    path
    for folder in ("data/pci", "data/bootlog", "cases/captures")
    for path in sorted((SHARED / folder).glob("*"))
    if path.is_file()
]


def differing(machine: Machine, told: dict[str, captures_oracle.Fields]) -> list[str]:
    """Return each field that both readings know and that is another in each."""
    wrong = []
    for function in machine.functions:
        other = told.get(str(function.bdf), {})
        ours = fields(function)
        wrong += [
            f"{function.bdf.short} {name}: {ours[name]}, the second reading says {value}"
            for name, value in other.items()
            if name in ours and not agree(ours[name], value)
        ]
    return wrong


def agree(ours: object, theirs: object) -> bool:
    if not isinstance(ours, dict) or not isinstance(theirs, dict):
        return ours == theirs
    return all(ours[index] == theirs[index] for index in ours.keys() & theirs.keys())


def fields(function: Function) -> captures_oracle.Fields:
    """Return what the second reading knows of, too; BARs by number, with addresses and sizes."""
    known: captures_oracle.Fields = {}
    if function.vendor is not None and function.device is not None:
        known["ids"] = f"{function.vendor:04x}:{function.device:04x}"
    if function.intx_pin is not None:
        known["pin"] = function.intx_pin
    bars = function.firmware_bars if function.observed("firmware_bars") else function.bars
    known["bars"] = {b.index: (b.base, b.size) for b in bars or () if b.numbered and b.base and b.size}
    return known


def judged(data: bytes, name: str) -> tuple[Machine | None, list[str]]:
    """Return the machine in a file, read and shown as a person sees it; None for one that is refused."""
    try:
        machine = read_bytes(data, name)
    except BringupError as error:
        assert error.hint or str(error)
        return None, []
    assessment: Assessment = assess(machine)
    assert list(report_lines(assessment, View(100, everything=True)))
    return machine, differing(machine, captures_oracle.told(data.decode("utf-8", "replace")))


@pytest.mark.parametrize("name", catalogue.MACHINES)
@pytest.mark.parametrize(
    "form", ["lspci.txt", "pciconf.txt", "pciconf-12.txt", "dmesg.txt", "dmesg-today.txt"]
)
def test_both_readings_of_our_own_machines_are_one(name: str, form: str) -> None:
    data = catalogue.told(name, form)
    told = captures_oracle.told(data.decode())
    assert len(told) == len(catalogue.read(name, form).functions)
    assert any("bars" in fields for fields in told.values())
    assert differing(catalogue.read(name, form), told) == []


@pytest.mark.parametrize("path", BESIDE, ids=[path.name for path in BESIDE])
def test_both_readings_of_what_lies_beside_are_one(path: Path) -> None:
    _, wrong = judged(path.read_bytes(), path.name)
    assert wrong == []


@pytest.mark.skipif(not FOLDER, reason="BRINGUP_CAPTURES names no folder of captures")
def test_a_corpus_is_read_without_a_crash_and_alike() -> None:
    wrong: list[str] = []
    slowest = (0.0, "")
    read = 0
    for path in sorted(Path(FOLDER).rglob("*")):
        if not path.is_file():
            continue
        began = time.monotonic()
        machine, found = judged(path.read_bytes(), path.name)
        slowest = max(slowest, (time.monotonic() - began, str(path)))
        read += machine is not None
        wrong += [f"{path}: {each}" for each in found]
    sys.stdout.write(f"{read} captures read, slowest {slowest[0]:.2f} s: {slowest[1]}\n")
    assert wrong == []
    assert read, f"no capture in {FOLDER}"
