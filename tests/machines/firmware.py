"""What the firmware probe says of a made machine on its console: text, then its report in frames.

Records are laid out as in probes/firmware/report.h and pins.h, sizes as size.h finds them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import groupby

from tests.firmware.wire import Board
from tests.machines import acpi
from tests.machines.bars import MadeBar
from tests.machines.config import WHOLE, config
from tests.machines.model import Made, MadeMachine

BANNER = "bringup firmware probe, not seL4"
_BOOT, _CPU, _MEMORY, _FUNCTION, _TABLE, _TABLES, _IOAPIC, _PIN = range(2, 10)
_SIZED, _BRIDGE, _DISPLAY, _NO_BARS = 0, 1, 2, 6
# size.c, without_bars: registers of another kind lie there.
_OTHER_REGISTERS = {0xA1EC, 0xA1ED}
# nic.c, by device.
_FAMILIES = {0x1521: 2, 0x1533: 2, 0x15BC: 1, 0x37D0: 3, 0x37D2: 3}
_MEASURED, _NOT_SEEN, _REGISTERS_HIGH = 0, 1, 5
_TRIES = 3
_MASKED = 0x10000
_VMX, _X2APIC_ON = 1 << 5, 1 << 10


def board(machine: MadeMachine, config_bytes: int = WHOLE) -> Board:
    """Return the probe's side of the line, which can also be asked to send frames again."""
    records = [*_records(machine, config_bytes)]
    return Board([body for _, body in records], kinds=[kind for kind, _ in records], pack=pack)


def log(machine: MadeMachine, config_bytes: int = WHOLE) -> bytes:
    """Return all that the console says."""
    return f"{BANNER}\r\n".encode() + board(machine, config_bytes).say_all()


def _records(machine: MadeMachine, config_bytes: int) -> Iterator[tuple[int, bytes]]:
    loaded = struct.pack("<BBIBI", 2, 2 if machine.uefi else 1, 0x7F000000, 1, 2_200_000)
    yield _BOOT, loaded + b"port=0x2f8"
    base = 0xFEE00900 | (_X2APIC_ON if machine.x2apic else 0)
    features = (0x50654, 0, _VMX, 0)
    # Locked by the firmware, with VMX on or off (Intel SDM 3C, 23.7).
    control = 0b101 if machine.vtx else 0b001
    yield _CPU, struct.pack("<4IBQQ", *features, 3, control, base) + machine.cpu.encode()
    yield _MEMORY, b"".join(struct.pack("<QQI", start, size, 1) for start, size in machine.memory)
    for made in machine.functions:
        # Port 0xcf8 reaches domain 0 alone, and no operating system has made virtual functions.
        if not made.bdf.domain and made.physical is None:
            yield _FUNCTION, _function(made, config_bytes)
    tables = acpi.tables(machine)
    listed = b""
    for number, (name, data) in enumerate(tables.items()):
        address = 0x6F000000 + 0x10000 * number
        yield _TABLE, struct.pack("<I", address) + data
        listed += struct.pack("<4sIIB", name.encode(), address, len(data), 0b11)
    yield _TABLES, listed + struct.pack("<4sIIB", b"DSDT", 0x6EFF0000, 100, 0b01)
    for index, (number, address, first, pins) in enumerate(machine.ioapics):
        registers = (address, number << 24, pins - 1 << 16 | 0x20, first)
        yield _IOAPIC, struct.pack("<B4I", index, *registers) + struct.pack("<Q", _MASKED) * pins
    for made in machine.ethernet:
        if made.device in _FAMILIES:
            yield _PIN, _pin(made)


def _function(made: Made, config_bytes: int) -> bytes:
    sizing, bars, rom = _sizes(made)
    ecam = 1 if config_bytes > 256 else 0  # read there and equal, or not there
    head = struct.pack("<H4B", _number(made), ecam, 0, 0, sizing)
    return head + struct.pack("<7I", *bars, rom) + config(made, config_bytes, moved=False)


def _number(made: Made) -> int:
    return made.bdf.bus << 8 | made.bdf.device << 3 | made.bdf.function


def _sizes(made: Made) -> tuple[int, list[int], int]:
    """Return why or that it was sized, and what BARs and ROM read after ones were written."""
    bars = [0] * 6
    if made.bridge or made.class_code >> 8 == 0x06:
        return _BRIDGE, bars, 0
    if made.class_code >> 8 == 0x03:
        return _DISPLAY, bars, 0
    if made.device in _OTHER_REGISTERS:
        return _NO_BARS, bars, 0
    for bar in made.bars:
        mask = -bar.size
        bars[bar.index] = mask & 0xFFFFFFFF | bar.type_bits
        if bar.wide:
            bars[bar.index + 1] = mask >> 32 & 0xFFFFFFFF
    return _SIZED, bars, -made.rom[1] & 0xFFFFFFFF if made.rom else 0


def _pin(made: Made) -> bytes:
    high = bool(made.bars) and _is_high(made.bars[0])
    seen = [] if made.at_pin is None or high else [(*made.at_pin, _TRIES)]
    outcome = _REGISTERS_HIGH if high else _MEASURED if seen else _NOT_SEEN
    head = struct.pack("<HBBBH", _number(made), _FAMILIES[made.device], outcome, 6 if seen else 0, 0)
    tries = 0 if high else _TRIES
    phase = bytes((tries, 0, len(seen))) + b"".join(bytes(arrival) for arrival in seen)
    return head + phase * 2


def _is_high(bar: MadeBar) -> bool:
    return bar.base >= 1 << 32


def pack(body: bytes) -> bytes:
    """Pack runs of zeros and of ones, the rest as it is (pack.h)."""
    out = bytearray()
    literal = bytearray()

    def flush() -> None:
        for at in range(0, len(literal), 128):
            piece = literal[at : at + 128]
            out.extend(bytes((len(piece) - 1,)) + piece)
        literal.clear()

    for byte, run in groupby(body):
        count = len(list(run))
        if byte not in (0x00, 0xFF) or count < 2:
            literal.extend(bytes((byte,)) * count)
            continue
        flush()
        out.extend(_zeros(count) if byte == 0 else _ones(count))
    flush()
    return bytes(out)


def _zeros(count: int) -> bytes:
    out = b""
    while count >= 66:
        piece = min(count, 8257)
        out += bytes((0xC0 | (piece - 66) >> 8, (piece - 66) & 0xFF))
        count -= piece
    # A single one left over is no run.
    return out + (bytes((0x80 + count - 2,)) if count >= 2 else bytes((0, 0)) * count)


def _ones(count: int) -> bytes:
    out = b""
    while count >= 2:
        piece = min(count, 33)
        out += bytes((0xE0 + piece - 2,))
        count -= piece
    return out + bytes((0, 0xFF)) * count
