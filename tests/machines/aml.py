"""A DSDT with the routing of INTx pins, as bytes of AML (ACPI 6.4, 20.2), without a compiler."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from bringup.pci.model import Bdf
from tests.firmware.acpi_tables import table
from tests.machines.model import Made, MadeMachine

# EISA ids PNP0A03 and PNP0A08 (6.1.5): a host bridge of PCI and of PCI Express.
_HOST_BRIDGE = bytes.fromhex("0c41d00a08")


def dsdt(machine: MadeMachine) -> bytes:
    """Return a device per root bus that leads to a routed function, bridges on the way, their `_PRT`s."""
    rows: dict[int, list[Made]] = {}
    for place in machine.routing:
        made = machine.at(place)
        rows.setdefault(made.bdf.bus, []).append(made)
    bridges = {made.secondary: made for made in machine.functions if made.bridge and not made.bdf.domain}
    chains = [_chain(bus, bridges) for bus in rows]
    hosts = b""
    for number, root in enumerate(sorted({chain[0] for chain in chains})):
        inside = _bus(root, [chain[1:] for chain in chains if chain[0] == root], bridges, rows, machine)
        names = _name("_HID", _HOST_BRIDGE) + _name("_BBN", _integer(root))
        hosts += _device(f"PC{number:02d}", names + inside)
    mode = b"\x14" + _sized(b"\\_PIC" + b"\x01")
    return table(b"DSDT", mode + b"\x10" + _sized(b"\\_SB_" + hosts))


def _chain(bus: int, bridges: dict[int, Made]) -> tuple[int, ...]:
    """Return the buses from the root bus down to this one."""
    return (*_chain(bridges[bus].bdf.bus, bridges), bus) if bus in bridges else (bus,)


def _bus(
    bus: int,
    below: Iterable[tuple[int, ...]],
    bridges: dict[int, Made],
    rows: dict[int, list[Made]],
    machine: MadeMachine,
) -> bytes:
    """Return a bus's own `_PRT` and the bridges from it that lead on."""
    body = (
        _name("_PRT", _package(dict.fromkeys(_row(made, machine) for made in rows[bus])))
        if bus in rows
        else b""
    )
    chains = [chain for chain in below if chain]
    for following in sorted({chain[0] for chain in chains}):
        place = bridges[following].bdf
        inside = _bus(
            following, [chain[1:] for chain in chains if chain[0] == following], bridges, rows, machine
        )
        body += _device(f"BR{following:02X}", _name("_ADR", _integer(_address(place))) + inside)
    return body


def _row(made: Made, machine: MadeMachine) -> bytes:
    """Return (device, pin from 0, no link, GSI); all functions of a device are in one row (6.2.13)."""
    gsi = machine.routing[made.bdf.short]
    numbers = (made.bdf.device << 16 | 0xFFFF, made.pin - 1, 0, gsi)
    return _package(map(_integer, numbers))


def _address(place: Bdf) -> int:
    return place.device << 16 | place.function


def _device(name: str, body: bytes) -> bytes:
    return b"\x5b\x82" + _sized(name.encode() + body)


def _name(name: str, value: bytes) -> bytes:
    return b"\x08" + name.encode() + value


def _package(elements: Iterable[bytes]) -> bytes:
    found = list(elements)
    return b"\x12" + _sized(bytes((len(found),)) + b"".join(found))


def _integer(value: int) -> bytes:
    for code, layout in ((0x0A, "<B"), (0x0B, "<H"), (0x0C, "<I")):
        if value < 1 << 8 * struct.calcsize(layout):
            return bytes((code,)) + struct.pack(layout, value)
    raise ValueError(value)


def _sized(body: bytes) -> bytes:
    """Return the body with its PkgLength before it, which counts itself (20.2.4)."""
    if len(body) + 1 < 0x40:
        return bytes((len(body) + 1,)) + body
    size = len(body) + 2
    if size < 0x1000:
        return bytes((0x40 | size & 0xF, size >> 4)) + body
    size += 1
    return bytes((0x80 | size & 0xF, size >> 4 & 0xFF, size >> 12)) + body
