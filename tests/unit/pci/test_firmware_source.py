"""What the firmware probe's records become: sizes, firmware BARs, measured pins, and what stays unknown."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.errors import UsageError
from bringup.pci.capture.open import open_capture, read_bytes
from bringup.pci.model import Bar, Bdf, Machine, MeasuredPin
from bringup.pci.sources.firmware import records
from bringup.pci.sources.firmware import report as firmware
from bringup.pci.sources.firmware.frames import BANNER
from tests.firmware.acpi_tables import mcfg, table
from tests.firmware.wire import Board

Raw = tuple[int, bytes]


def log(*raw: Raw, dropped: int = 0) -> bytes:
    board = Board([body for _, body in raw], kinds=[kind for kind, _ in raw] or [2], dropped=dropped)
    return BANNER + b"\r\n" + board.say_all()


def machine(*raw: Raw) -> Machine:
    return firmware.parse(log(*raw), "probe.log")


def function(
    bars: tuple[int, ...] = (), probe: tuple[int, ...] = (), rom: int = 0, sizing: int = 0, **fields: int
) -> Raw:
    space = bytearray(256)
    struct.pack_into("<HHH", space, 0, 0x8086, 0x1521, 0x0007)
    struct.pack_into("<H", space, 0x0A, fields.get("class_code", 0x0200))
    space[0x0E] = fields.get("header", 0)
    space[0x3D] = 1
    struct.pack_into(f"<{len(bars)}I", space, 0x10, *bars)
    head = struct.pack("<H4B", fields.get("bdf", 0x1700), fields.get("ecam", 1), 0, 0, sizing)
    return records.FUNCTION, head + struct.pack("<7I", *(*probe, 0, 0, 0, 0, 0, 0)[:6], rom) + bytes(space)


def pin(
    outcome: int,
    sel4: list[tuple[int, int, int]],
    every: list[tuple[int, int, int]],
    status: int = 6,
    family: int = 2,
) -> Raw:
    phases = b"".join(
        bytes([3, 0, len(seen)]) + b"".join(bytes(arrival) for arrival in seen) for seen in (sel4, every)
    )
    return records.PIN, struct.pack("<HBBBH", 0x1700, family, outcome, status, 0) + phases


def test_bars_have_the_sizes_that_were_probed() -> None:
    bars = (0xC5B00000, 0, 0x7061, 0xC5E0C004, 0, 0)
    probe = (0xFFF00000, 0, 0xFFE1, 0xFFFFC004, 0xFFFFFFFF, 0xFFFFF00C)
    found = machine(function(bars, probe)).find(Bdf.parse("17:00.0"))
    assert found is not None
    assert found.bars == (
        Bar(0, "mem", 0xC5B00000, 1 << 20),
        Bar(2, "io", 0x7060, 32),
        Bar(3, "mem", 0xC5E0C000, 16 << 10, 64),
        Bar(5, "mem", None, 4096, 64, True),
    )
    assert found.firmware_bars == found.bars
    assert found.provenance["firmware_bars"] == "probe.log"
    assert found.intx_pin == "A"
    assert found.problems == ()


def test_a_bar_above_4_gib_of_4_gib() -> None:
    (found,) = machine(function((0x0000000C, 0x38C0), (0x0000000C, 0xFFFFFFFF))).functions
    assert found.firmware_bars == (Bar(0, "mem", 0x38C000000000, 4 << 30, 64, True),)


def test_an_odd_size_is_a_problem() -> None:
    (found,) = machine(function((0xC0000000,), (0xFFF0F000,))).functions
    assert found.problems == ("BAR 0 takes 0xf1000 bytes, which is no power of two",)


@pytest.mark.parametrize("sizing", [1, 2, 3, 4])
def test_what_was_not_sized_has_no_sizes(sizing: int) -> None:
    (found,) = machine(function((0xC0000000,), sizing=sizing)).functions
    assert found.firmware_bars == (Bar(0, "mem", 0xC0000000, None),)


def test_a_bridge_has_no_firmware_bars_of_its_windows() -> None:
    (found,) = machine(function((0, 0, 0x00181716), sizing=1, header=1, class_code=0x0604)).functions
    assert not found.observed("firmware_bars")
    assert found.bridge is not None
    assert found.bridge.secondary == 0x17


def test_registers_that_are_no_bars_are_not_shown_as_bars() -> None:
    (found,) = machine(function((0xDEADBEE0, 0x1234), sizing=6)).functions
    assert (found.bars, found.firmware_bars, found.rom) == ((), (), None)
    assert found.observed("firmware_bars")


def test_broken_devices_are_told() -> None:
    (found,) = machine(function(sizing=5, ecam=3)).functions
    assert len(found.problems) == 2


@pytest.mark.parametrize(
    ("sel4", "every", "expected", "word"),
    [
        ([(0, 16, 3)], [(0, 16, 3)], (0, 16), "as under seL4"),
        ([(0, 11, 3), (0, 19, 3)], [(0, 19, 3)], (0, 19), "also at ioapic 0 pin 11"),
        ([(0, 10, 3)], [(0, 10, 3)], (0, 10), "as under seL4"),
        ([(0, 2, 1), (0, 17, 3)], [], (0, 17), "3 of 3"),
        ([(0, 16, 3)], [(1, 0, 3)], (0, 16), "with all IOAPICs listening at ioapic 1 pin 0"),
        ([], [(2, 5, 3)], (2, 5), "all IOAPICs listening only"),
    ],
)
def test_a_measured_pin(
    sel4: list[tuple[int, int, int]], every: list[tuple[int, int, int]], expected: tuple[int, int], word: str
) -> None:
    (found,) = machine(pin(0, sel4, every)).measured
    assert isinstance(found, MeasuredPin)
    assert (found.bdf, (found.ioapic, found.pin)) == (Bdf.parse("17:00.0"), expected)
    assert "probe.log" in found.source
    assert word in found.source


@pytest.mark.parametrize(
    ("outcome", "status", "word"),
    [
        (1, 6, "its status bit did say"),
        (1, 0, "its status bit never did say"),
        (2, 0, "no way is known"),
        (5, 0, "above 4 GiB"),
        (8, 6, "could not be silenced"),
        (11, 0, "an address of memory"),
    ],
)
def test_a_pin_that_was_not_measured_is_missing_with_its_reason(outcome: int, status: int, word: str) -> None:
    found = machine(pin(outcome, [(0, 16, 2)], [], status))
    assert found.measured == ()
    (missing,) = [m for m in found.missing if "INTx pin" in m.what]
    assert missing.what == "INTx pin of 17:00.0"
    assert word in missing.why


def test_a_status_bit_that_does_not_work_is_no_evidence() -> None:
    (missing,) = (m for m in machine(pin(1, [], [], 0, family=3)).missing if "INTx pin" in m.what)
    assert "tells nothing" in missing.why
    assert "never did" not in missing.why


def test_acpi_platform_and_memory() -> None:
    ioapics = b"".join(
        struct.pack("<BBBBII", 1, 12, 8 + number, 0, 0xFEC00000 + 0x1000 * number, 24 * number)
        for number in range(2)
    )
    madt = table(b"APIC", struct.pack("<II", 0xFEE00000, 1) + ioapics)
    listed = b"".join(
        struct.pack("<4sIIB", name, 1, 100, flags) for name, flags in ((b"APIC", 3), (b"DSDT", 1))
    )
    found = machine(
        (records.BOOT, struct.pack("<BBIBI", 2, 2, 0x7F000000, 1, 2_200_000) + b"port=0x2f8"),
        (records.CPU, struct.pack("<4IBQQ", 0x50654, 0, 1 << 5, 0, 3, 1, 0xFEE00D00) + b"  Intel Xeon D"),
        (records.MEMORY, struct.pack("<QQIQQI", 0, 0x9F000, 1, 0x9F000, 0x1000, 2)),
        (records.TABLE, struct.pack("<I", 0x7F000000) + madt),
        (records.TABLE, struct.pack("<I", 0x7F001000) + mcfg(0x80000000)),
        (records.TABLES, listed),
        (records.IOAPIC, struct.pack("<B4I", 1, 0xFEC01000, 9 << 24, 0x70020, 24) + bytes(8 * 8)),
    )
    assert found.platform.firmware == "uefi"
    assert (found.platform.vtx, found.platform.vtx_locked_off, found.platform.x2apic) == (True, True, True)
    assert found.platform.cpu_model == "Intel Xeon D"
    assert found.platform.memory_bytes == 0x9F000
    assert found.acpi.madt is not None
    assert [(i.index, i.gsi_base, i.pins) for i in found.acpi.madt.ioapics] == [(0, 0, None), (1, 24, 8)]
    assert found.acpi.mcfg is not None
    missing = {m.what.rpartition("/")[2]: m.why for m in found.missing}
    assert missing["DMAR"] == "absent"
    assert "acpi=all" in missing["DSDT"]


def test_tables_are_named_as_in_a_captured_tree() -> None:
    first, second = table(b"SSDT", b"one"), table(b"SSDT", b"two")
    tables = [records.decode_table(bytes(4) + data) for data in (table(b"DSDT", b""), first, second)]
    files = firmware.table_files(tables)
    assert [path.rpartition("/")[2] for path in files] == ["DSDT", "SSDT", "SSDT2"]
    assert files["sys/firmware/acpi/tables/SSDT2"] == second


def test_unknown_msrs_stay_unknown() -> None:
    found = machine((records.CPU, struct.pack("<4IBQQ", 0, 0, 1 << 5, 0, 0, 1, 1 << 10)))
    assert (found.platform.vtx, found.platform.vtx_locked_off, found.platform.x2apic) == (True, None, None)


def test_acpi_that_sel4_will_not_find_is_told() -> None:
    found = machine((records.BOOT, struct.pack("<BBIBI", 1, 1, 0x9FC00, 2, 1)))
    assert any("seL4#178" in missing.why for missing in found.missing)


def test_text_of_the_probe_commands_no_terminal() -> None:
    cpu = struct.pack("<4IBQQ", 0, 0, 0, 0, 0, 0, 0) + b"Xeon\x1b[2J"
    found = machine((records.NOTE, b"a note\x1b]0;title\x07\r\n"), (records.CPU, cpu))
    assert "a note?]0;title???" in [missing.why for missing in found.missing]
    assert found.platform.cpu_model == "Xeon?[2J"


def test_lost_frames_and_dropped_records_are_missing() -> None:
    lines = log(function(), (records.NOTE, b"n" * 200), dropped=2).splitlines(keepends=True)
    found = firmware.parse(b"".join(lines[:3] + lines[4:]), "cut.log")
    whats = [missing.what for missing in found.missing]
    assert any(what.startswith("frames 4-5 of ") for what in whats)
    assert "2 records of the firmware probe" in whats


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=120)), max_size=6))
def test_any_record_is_read_or_told(raw: list[Raw]) -> None:
    found = firmware.parse(log(*raw))
    assert isinstance(found, Machine)
    # The fixed parts of these records (probes/firmware: cpu.c, probe.c, functions.c); more may follow.
    kinds = {records.CPU: 33, records.BOOT: 11, records.FUNCTION: 34}
    for kind, body in raw:
        if len(body) < kinds.get(kind, 0):
            assert any("the least" in missing.why for missing in found.missing)


def test_it_opens_as_a_capture_whatever_else_is_in_the_log(tmp_path: Path) -> None:
    path = tmp_path / "console.log"
    path.write_bytes(b"iPXE 1.21\r\n" + log(function()) + b"[    0.000000] Linux version 6.1\r\n")
    found = open_capture([path])
    assert [f.bdf.short for f in found.functions] == ["17:00.0"]
    assert found.sources[0].kind == "firmware-probe"


def test_a_log_without_its_banner_is_known_by_its_frames() -> None:
    data = log(function()).replace(BANNER, b"")
    assert firmware.looks_like(data)
    assert read_bytes(data, "x").functions
    assert not firmware.looks_like(b"# a comment\n#!/bin/sh\n" * 100)


def test_a_banner_and_no_frame_is_one_sentence() -> None:
    with pytest.raises(UsageError, match="not one frame"):
        read_bytes(BANNER + b"\r\n", "x.log")
