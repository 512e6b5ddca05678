"""FreeBSD's boot log: alone it tells what it tells, beside a listing its names find their places."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bringup.pci.capture.open import open_capture, read_bytes
from bringup.pci.model import Bdf, Machine
from bringup.pci.pins.beliefs import pin_candidates
from bringup.pci.sources import freebsd_log
from tests.machines import catalogue, freebsd
from tests.places import SHARED

REAL = SHARED / "data" / "bootlog" / "dmesg-freebsd-SYS-E300-9D-FEFC14ABAD.txt"
LISTING = SHARED / "data" / "pci" / "pciconf-SYS-E300-9D-FEFC14ABAD.txt"


def together(name: str, form: str, folder: Path, *, verbose: bool = False) -> Machine:
    log, listing = folder / "dmesg.today", folder / form
    log.write_text(freebsd.log(catalogue.made(name), verbose=verbose))
    listing.write_bytes(catalogue.told(name, form))
    return open_capture([listing, log])


def told(machine: Machine) -> dict[str, int]:
    return {each.bdf.short: each.gsi for each in machine.routed}


@pytest.mark.parametrize("name", catalogue.MACHINES)
@pytest.mark.parametrize("form", ["pciconf.txt", "lspci.txt"])
def test_beside_a_listing_no_device_is_placed_wrong(name: str, form: str, tmp_path: Path) -> None:
    made = catalogue.made(name)
    routes = freebsd.gsis(made)
    merged = told(together(name, form, tmp_path))
    assert merged.items() <= routes.items()
    with_bars = {m.bdf.short for m in made.ethernet if m.bsd_driver and any(bar.base for bar in m.bars)}
    assert with_bars & routes.keys() <= merged.keys()


def test_a_bridge_is_where_what_is_behind_it_says(tmp_path: Path) -> None:
    made = catalogue.made("e300-9d")
    machine = together("e300-9d", "pciconf.txt", tmp_path)
    for function in machine.functions:
        if function.bridge is not None:
            assert function.bridge.secondary == made.at(function.bdf.short).secondary
    assert machine.unplaced == () or all(device.gsi is None or device.leads_to for device in machine.unplaced)


@pytest.mark.parametrize("name", catalogue.MACHINES)
def test_a_verbose_log_tells_every_place(name: str) -> None:
    made = catalogue.made(name)
    machine = freebsd_log.parse(freebsd.log(made, verbose=True).encode())
    assert machine.unplaced == ()
    assert told(machine).items() <= freebsd.gsis(made).items()
    assert {f.bdf for f in machine.functions} == {m.bdf for m in made.functions if m.physical is None}


def test_alone_it_places_the_first_bus_only_and_says_what_is_missing(tmp_path: Path) -> None:
    log = tmp_path / "boot"
    log.write_text(freebsd.log(catalogue.made("e300-9d")))
    machine = open_capture([log])
    assert {f.bdf.bus for f in machine.functions} == {0}
    assert machine.acpi.madt is not None
    assert [(a.gsi_base, a.pins) for a in machine.acpi.madt.ioapics] == [
        (base, pins) for _, _, base, pins in catalogue.made("e300-9d").ioapics
    ]
    told = {f"the place of {d.name} (GSI {d.gsi})" for d in machine.unplaced if d.gsi and not d.leads_to}
    assert told and told <= {gap.what for gap in machine.missing}


@pytest.mark.parametrize(
    ("line", "locked"), [("  VT-x: PAT,HLT", False), ("  VT-x: (disabled in BIOS)PAT", True)]
)
def test_vtx_as_the_firmware_left_it(line: str, locked: bool) -> None:
    machine = freebsd_log.parse(f"pcib0: <ACPI Host-PCI bridge> on acpi0\n{line}\n".encode())
    assert (machine.platform.vtx, machine.platform.vtx_locked_off) == (not locked, locked)


def test_numbers_of_messages_are_no_gsis() -> None:
    text = (
        "ioapic0 <Version 2.0> irqs 0-23\npcib0: <ACPI Host-PCI bridge> port 0xcf8-0xcff on acpi0\n"
        "pci0: <ACPI PCI bus> on pcib0\nem0: <NIC> mem 0xf0000000-0xf001ffff irq 256 at device 3.0 on pci0\n"
    )
    assert freebsd_log.parse(text.encode()).routed == ()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 400), st.integers(0, 20), st.integers(0, 1 << 15))
def test_a_log_that_lost_lines_and_its_end_places_nothing_wrong(start: int, count: int, end: int) -> None:
    made = catalogue.made("e300-9d")
    lines = freebsd.log(made, verbose=True).splitlines(keepends=True)
    cut = "".join(lines[:start] + lines[start + count :])[:end]
    assert told(freebsd_log.parse(cut.encode())).items() <= freebsd.gsis(made).items()


def test_the_real_board_s_log() -> None:
    if not REAL.is_file():
        pytest.skip(f"{REAL} is not there")
    alone = read_bytes(REAL.read_bytes(), "log")
    assert [device.gsi for device in alone.unplaced if device.name.startswith(("igb", "ixl"))] == [
        *(32, 36, 37, 38),
        *(46, 46),
    ]
    merged = open_capture([LISTING, REAL])
    ports = ("17:00.0", "17:00.1", "17:00.2", "17:00.3", "b5:00.0", "b5:00.1", "16:00.0", "b2:00.0")
    assert [told(merged)[place] for place in ports] == [32, 36, 37, 38, 46, 46, 39, 55]
    pins = pin_candidates(merged)[Bdf.parse("17:00.3")]
    assert [(pin.ioapic, pin.pin, pin.grade) for pin in pins] == [(2, 6, "firmware")]
