"""Several views of one machine: what wins, what is filled in, what is told, what is refused."""

from __future__ import annotations

import pytest

from bringup.base.errors import ProfileError
from bringup.pci.capture.open import read_bytes
from bringup.pci.model import (
    Acpi,
    Bar,
    Bdf,
    Capability,
    Function,
    Identity,
    Machine,
    Madt,
    Missing,
    SerialNumber,
    SourceInfo,
)
from bringup.pci.sources.merge import merge

NIC = Bdf.parse("17:00.0")


def view(name: str, *functions: Function, board: str | None = None) -> Machine:
    identity = None if board is None else Identity(baseboard=board)
    return Machine(functions, identity=identity, sources=(SourceInfo(name, name, "0" * 64),))


def seen(name: str, bdf: Bdf = NIC, **values: object) -> Function:
    return Function(bdf, **values, provenance=dict.fromkeys(values, name))  # type: ignore[arg-type]


def test_what_one_view_did_not_see_the_other_gives_and_says_so() -> None:
    merged = merge([view("a", seen("a", vendor=0x8086)), view("b", seen("b", intx_pin="B"))])
    (function,) = merged.functions
    assert (function.vendor, function.intx_pin) == (0x8086, "B")
    assert function.provenance == {"vendor": "a", "intx_pin": "b"}
    assert not function.observed("bars")
    assert [source.name for source in merged.sources] == ["a", "b"]


def test_an_observed_absence_is_not_overwritten() -> None:
    merged = merge([view("a", seen("a", intx_pin=None)), view("b", seen("b", intx_pin="A"))])
    assert merged.functions[0].intx_pin is None
    assert [(c.field, c.kept, c.other) for c in merged.conflicts] == [("intx_pin", "None", "A")]


def test_sizes_are_filled_into_bars_that_have_none() -> None:
    bare = seen("hex", bars=(Bar(0, "mem", 0xC5B00000), Bar(3, "mem", 0xC5E0C000)))
    full = seen("text", bars=(Bar(0, "mem", 0xC5B00000, 0x100000), Bar(3, "mem", 0xC5E0C000, 0x4000)))
    merged = merge([view("hex", bare), view("text", full)])
    assert [bar.size for bar in merged.functions[0].bars or ()] == [0x100000, 0x4000]
    assert merged.conflicts == ()


def test_two_addresses_of_one_bar_are_a_conflict() -> None:
    first = seen("a", bars=(Bar(0, "mem", 0xFA000000, 1 << 24),))
    second = seen("b", bars=(Bar(0, "mem", 0x38C000000000, 1 << 24),))
    (conflict,) = merge([view("a", first), view("b", second)]).conflicts
    assert (conflict.bdf, conflict.field) == (NIC, "bars")
    assert "0xfa000000" in conflict.kept and "0x38c000000000" in conflict.other


def test_what_a_log_says_of_the_firmware_is_no_conflict_with_the_os() -> None:
    moved = seen("sysfs", bars=(Bar(0, "mem", 0x38C000000000, 1 << 24),))
    left = (Bar(0, "mem", 0xFA000000, 1 << 24),)
    merged = merge([view("sysfs", moved), view("log", seen("log", bars=left, firmware_bars=left))])
    assert merged.conflicts == ()
    assert merged.functions[0].bars == moved.bars and merged.functions[0].firmware_bars == left
    later = seen("log", bars=(Bar(0, "mem", 0xE0000000, 1 << 24),), firmware_bars=left)
    assert len(merge([view("sysfs", moved), view("log", later)]).conflicts) == 1


def test_functions_of_both_views_come_in_scan_order() -> None:
    later, earlier = Bdf.parse("b5:00.0"), Bdf.parse("00:1f.0")
    merged = merge([view("a", seen("a", later, vendor=1)), view("b", seen("b", earlier, vendor=2))])
    assert [function.bdf for function in merged.functions] == [earlier, later]


def test_different_devices_at_one_address_are_two_machines() -> None:
    first = view("a", seen("a", vendor=0x8086, device=0x1521))
    second = view("b", seen("b", vendor=0x8086, device=0x37D2))
    with pytest.raises(ProfileError, match=r"two machines: 17:00\.0 is 8086:1521 in a and 8086:37d2 in b"):
        merge([first, second])


def test_different_serial_numbers_at_one_address_are_two_machines() -> None:
    def card(name: str, serial: str) -> Machine:
        told = Capability(0x03, 0x140, extended=True, decoded=SerialNumber(serial))
        return view(name, seen(name, vendor=0x8086, device=0x1521, capabilities=(told,)))

    first = card("a", "00-11-22-ff-ff-33-44-55")
    with pytest.raises(
        ProfileError, match=r"two machines: 17:00\.0 has serial number 00-11.* in a and .* in b"
    ):
        merge([first, card("b", "00-11-22-ff-ff-33-44-56")])
    # As old lspci writes it.
    assert len(merge([first, card("b", "55-44-33-ff-ff-22-11-00")]).functions) == 1
    assert len(merge([first, view("b", seen("b", vendor=0x8086, device=0x1521))]).functions) == 1


def test_different_boards_are_two_machines() -> None:
    with pytest.raises(ProfileError, match="X11SDV-4C-TLN2F"):
        merge([view("a", board="X11SDV-4C-TLN2F"), view("b", board="X11SDV-8C-TP8F")])


def test_a_table_that_another_view_read_is_not_missing() -> None:
    table = "sys/firmware/acpi/tables/"
    lost = tuple(Missing(table + name, "permission denied") for name in ("APIC", "APIC1", "DSDT"))
    blind = Machine((), missing=lost)
    seeing = Machine((), acpi=Acpi(madt=Madt(())))
    assert merge([blind, seeing]).missing == lost[2:]
    assert merge([blind, blind]).missing == lost


NAMES = """00:00.0 Host bridge: Other Maker Root Complex
01:00.0 Ethernet controller: Other Maker Fast Port
"""
IDS = """hostb0@pci0:0:0:0:\tclass=0x060000 rev=0x04 hdr=0x00 vendor=0x8086 device=0x2020
    device     = 'Sky Lake-E DMI3 Registers'
igb0@pci0:1:0:0:\tclass=0x020000 rev=0x01 hdr=0x00 vendor=0x8086 device=0x1521
    device     = 'I350 Gigabit Network Connection'
"""


def test_two_views_that_share_nothing_but_addresses_are_not_one_machine() -> None:
    ids = read_bytes(IDS.encode(), "ids")
    with pytest.raises(ProfileError, match="share 2 addresses and nothing else"):
        merge([read_bytes(NAMES.encode(), "names"), ids])
    known = NAMES.replace("Other Maker Fast Port", "Intel Corporation I350 Gigabit Network Connection")
    assert len(merge([read_bytes(known.encode(), "names"), ids]).functions) == 2
    elsewhere = NAMES.replace("00:00.0", "00:02.0").replace("01:00.0", "02:00.0")
    assert len(merge([read_bytes(elsewhere.encode(), "names"), ids]).functions) == 4
