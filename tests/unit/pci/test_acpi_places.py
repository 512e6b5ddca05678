"""Where ACPI objects are: by the OS's word; and no routing by the bus above where a `_PRT` was lost."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from bringup.pci.acpi.places import Places, places_in_log, read_places
from bringup.pci.acpi.prt import with_routing
from bringup.pci.capture.open import _read_tree, open_capture
from bringup.pci.model import Acpi, Bdf, Bridge, Function, IoApic, LostPrt, Machine, Madt, PrtEntry
from bringup.pci.pins.beliefs import pin_candidates
from bringup.pci.tree.files import MemoryFiles
from tests.places import SHARED

PORT = Function(
    Bdf.parse("00:1c.2"),
    header_type=1,
    bridge=Bridge(0, 2, 2),
    provenance={"header_type": "x", "bridge": "x"},
)
NIC = Function(Bdf.parse("02:00.0"), intx_pin="A", provenance={"intx_pin": "x"})


def machine(*lost: LostPrt) -> Machine:
    madt = Madt((IoApic(0, 2, 0xFEC00000, 0, 24),))
    prt = tuple(PrtEntry(0, 0x1C, "A", 16) for _ in range(1))
    return Machine((PORT, NIC), acpi=Acpi(madt=madt, prt=prt, lost_prt=lost))


@pytest.mark.parametrize(
    ("lost", "known"),
    [
        ((), True),
        ((LostPrt(0, behind=True),), False),
        ((LostPrt(2),), False),
        ((LostPrt(None),), False),
        ((LostPrt(3), LostPrt(1, behind=True)), True),
        ((LostPrt(0, behind=True, domain=1),), True),
    ],
)
def test_a_bus_whose_own_routing_was_lost_is_not_routed_by_the_one_above(
    lost: tuple[LostPrt, ...], known: bool
) -> None:
    assert (NIC.bdf in pin_candidates(machine(*lost))) is known


def test_the_os_says_where_devices_are() -> None:
    files = MemoryFiles(
        {
            "sys/devices/pci0000:16/firmware_node/path": b"\\_SB_.PC01\n",
            "sys/bus/pci/devices/0000:00:1c.2/firmware_node/path": b"\\_SB_.PCI0.RP03\n",
        },
        {},
    )
    log = places_in_log("[ 0.3] ACPI: PCI Root Bridge [PC02] (domain 0000 [bus 64-b1])\n")
    places = Places.of([*read_places(files, [PORT]), *log])
    assert places.bus_of("\\_SB.PC01") == (0, 0x16)
    assert places.bus_of("\\_SB.PCI0.RP03") == (0, 2)
    assert places.bus_of("\\_SB.PC02") == (0, 0x64)
    assert places.bus_of("\\_SB.PC01.PC02") is None and places.bus_of("\\_SB.PC03") is None


def held(path: Path) -> dict[str, bytes]:
    """Return the files of an archive."""
    with tarfile.open(path) as tar:
        return {
            member.name.removeprefix("./"): file.read()
            for member in tar
            if member.isfile() and (file := tar.extractfile(member)) is not None
        }


def real(name: str, more: Mapping[str, bytes]) -> Machine:
    path = SHARED / "data" / "acpi" / name
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    return with_routing(_read_tree(MemoryFiles({**held(path), **more}, {}), name, lambda: ""))


def gsis(found: Machine, bus: str) -> list[int | None]:
    bases = {ioapic.index: ioapic.gsi_base for ioapic in found.acpi.madt.ioapics} if found.acpi.madt else {}
    pins = pin_candidates(found)
    there = [f.bdf for f in found.functions if f.bdf.short.startswith(bus)]
    return [bases[pins[b][0].ioapic] + pins[b][0].pin if b in pins else None for b in there]


def test_a_real_laptop_s_ports_are_not_routed_by_guess() -> None:
    assert gsis(real("g50-80-dynamic-adr.tar.gz", {}), "02:") == [None]
    node = "sys/bus/pci/devices/0000:00:1c.{}/firmware_node/path"
    placed = {node.format(2): b"\\_SB_.PCI0.RP03\n", node.format(3): b"\\_SB_.PCI0.RP04\n"}
    found = real("g50-80-dynamic-adr.tar.gz", placed)
    assert gsis(found, "02:") + gsis(found, "03:") == [18, 19]


@pytest.mark.parametrize(
    "told",
    [
        {
            "sys/devices/pci0000:16/firmware_node/path": b"\\_SB_.PC01\n",
            "sys/bus/pci/devices/0000:16:00.0/firmware_node/path": b"\\_SB_.PC01.BR1A\n",
        },
        {"cmd/dmesg": b"[    0.3] ACPI: PCI Root Bridge [PC01] (domain 0000 [bus 16-63])\n"},
    ],
    ids=["firmware_node", "boot log"],
)
def test_the_asl_of_our_board_is_placed_by_the_os(told: Mapping[str, bytes]) -> None:
    assert gsis(real("x299-micro-4B645993A72D.tar.gz", told), "17:") == [32, 36, 37, 38]
    assert gsis(real("x299-micro-4B645993A72D.tar.gz", {}), "17:") == [None] * 4


ROOTS = "[    0.3] ACPI: PCI Root Bridge [PC01] (domain 0000 [bus 16-63])\n"


def acpidump(tables: Mapping[str, bytes]) -> str:
    """Write tables as `acpidump` does (acpica, utbuffer.c)."""
    lines = []
    for name, data in tables.items():
        lines.append(f"{name.rstrip('0123456789')} @ 0x0000000000000000")
        for at in range(0, len(data), 16):
            row = data[at : at + 16]
            shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
            lines.append(f"    {at:04X}: {row.hex(' ').upper():<48} {shown}")
        lines.append("")
    return "\n".join(lines) + "\n"


def test_a_boot_log_and_an_acpidump_that_are_given_beside_a_listing_route_it(tmp_path: Path) -> None:
    archive = SHARED / "data" / "acpi" / "x299-micro-4B645993A72D.tar.gz"
    if not archive.is_file():
        pytest.skip(f"{archive} is not there")
    roots = tmp_path / "roots.log"
    roots.write_text(ROOTS)
    assert gsis(open_capture([archive, roots]), "17:") == [32, 36, 37, 38]
    tables = {
        path.rpartition("/")[2]: data
        for path, data in held(archive).items()
        if "/acpi/tables/" in path and path.rpartition("/")[2].startswith(("DSDT", "SSDT", "APIC"))
    }
    dump, listing = tmp_path / "acpi.txt", tmp_path / "lspci.txt"
    dump.write_text(acpidump(tables))
    listing.write_text(
        "16:00.0 PCI bridge [0604]: Acme [8086:2030]\n"
        "\tBus: primary=16, secondary=17, subordinate=17, sec-latency=0\n\n"
        + "".join(
            f"17:00.{n} Ethernet controller [0200]: Acme [8086:1521]\n"
            f"\tInterrupt: pin {pin} routed to IRQ 11\n\n"
            for n, pin in enumerate("ABCD")
        )
    )
    assert gsis(open_capture([listing, dump, roots]), "17:") == [32, 36, 37, 38]
    assert gsis(open_capture([listing, dump]), "17:") == [None] * 4
