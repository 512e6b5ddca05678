"""ACPI tables as the firmware wrote them: MADT, DMAR and MCFG decoded; a broken one is `Missing`, not empty.

Sources of the layouts: ACPI 6.4 (5.2.6 header, 5.2.12 MADT), VT-d 3.3 (chapter 8, DMAR), PCI Firmware 3.2
(4.1.2, MCFG). Addresses and limits are bytes; every walk moves on by at least its entry's header.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

from bringup.pci.model import (
    Acpi,
    Bdf,
    CodeTable,
    Dmar,
    Drhd,
    Function,
    IoApic,
    Madt,
    Mcfg,
    Missing,
    Rmrr,
    Scope,
    SourceOverride,
)
from bringup.pci.tree.files import Files

TABLES = "sys/firmware/acpi/tables"
HEADER_BYTES = 36

T = TypeVar("T")
_CODE_MAX = 128
_ENABLED = 1
_LOCAL_APIC, _IOAPIC, _OVERRIDE, _LOCAL_X2APIC = 0, 1, 2, 9
_DRHD, _RMRR = 0, 1


def read_acpi(files: Files) -> tuple[Acpi, tuple[Missing, ...]]:
    """Return the tables of a captured tree, and what was not read or not understood, with the reason."""
    missing: list[Missing] = []
    acpi = Acpi(
        madt=_read(files, "APIC", decode_madt, missing),
        dmar=_read(files, "DMAR", decode_dmar, missing),
        mcfg=_read(files, "MCFG", decode_mcfg, missing),
    )
    if acpi.madt is None:
        # Every firmware has a MADT: where nobody read one, nobody looked for a DMAR either.
        missing = [
            replace(gap, why="absent, and so is the MADT")
            if gap == Missing(f"{TABLES}/DMAR", "absent")
            else gap
            for gap in missing
        ]
    return acpi, tuple(missing)


def read_code(files: Files) -> tuple[tuple[CodeTable, ...] | None, tuple[Missing, ...]]:
    """Return DSDT and SSDTs, and what was not read; None without a DSDT that is whole."""
    missing: list[Missing] = []
    names = [name for name in files.children(TABLES) if name.startswith("SSDT")]
    dynamic = [f"dynamic/{name}" for name in files.children(f"{TABLES}/dynamic") if name.startswith("SSDT")]
    # SSDT10 comes after SSDT9: tables refer to earlier ones.
    ordered = sorted(names, key=lambda name: (len(name), name)) + dynamic
    code: list[CodeTable] = []
    for name in ["DSDT", *ordered[:_CODE_MAX]]:
        data = files.read(f"{TABLES}/{name}")
        if isinstance(data, Missing):
            missing.append(data)
            continue
        try:
            code.append(CodeTable(name, table_body(data, name.rpartition("/")[2][:4])))
        except ValueError as error:
            missing.append(Missing(f"{TABLES}/{name}", str(error)))
    if any(gap.what == f"{TABLES}/DSDT" for gap in missing):
        return None, tuple(missing)
    return tuple(code), tuple(missing)


def _read(files: Files, name: str, decode: Callable[[bytes], T], missing: list[Missing]) -> T | None:
    path = f"{TABLES}/{name}"
    data = files.read(path)
    if isinstance(data, Missing):
        # Of several tables of one signature Linux names the files MCFG1, MCFG2 (drivers/acpi/sysfs.c,
        # acpi_table_attr_init), and the first is the one that systems use.
        first = files.read(f"{path}1")
        if isinstance(first, Missing):
            missing.append(data)
            return None
        path, data = f"{path}1", first
    try:
        return decode(data)
    except ValueError as error:
        missing.append(Missing(path, str(error)))
        return None


def table_body(data: bytes, signature: str) -> bytes:
    """Return the table without what follows it; raises ValueError when it is not that table or damaged.

    A table of zeros only is what a kernel without permission leaves behind.
    """
    if len(data) < HEADER_BYTES:
        raise ValueError(f"{len(data)} bytes are no ACPI table (a header has {HEADER_BYTES})")
    found, length = struct.unpack_from("<4sI", data)
    if found != signature.encode("ascii"):
        raise ValueError("zeroed" if not any(data) else f"signature {found!r}, expected {signature}")
    if not HEADER_BYTES <= length <= len(data):
        raise ValueError(f"says it has {length} bytes, the file has {len(data)}")
    table = data[:length]
    if sum(table) & 0xFF:
        raise ValueError("checksum is wrong")
    return table


def decode_madt(data: bytes) -> Madt:
    """Decode the MADT (signature APIC): IOAPICs in table order, ISA overrides, enabled processors.

    Raises ValueError. An IOAPIC's number of pins is not in the table.
    """
    table = table_body(data, "APIC")
    ioapics: list[IoApic] = []
    overrides: list[SourceOverride] = []
    cpus: set[int] = set()
    for kind, entry in _entries(table, 44, "<BB"):
        if kind == _IOAPIC:
            number, address, base = struct.unpack_from("<BxII", _whole(entry, 12), 2)
            ioapics.append(IoApic(len(ioapics), number, address, base))
        elif kind == _OVERRIDE:
            overrides.append(SourceOverride(*struct.unpack_from("<BIH", _whole(entry, 10), 3)))
        elif kind == _LOCAL_APIC:
            number, flags = struct.unpack_from("<BI", _whole(entry, 8), 3)
            if flags & _ENABLED:
                cpus.add(number)
        elif kind == _LOCAL_X2APIC:
            number, flags = struct.unpack_from("<II", _whole(entry, 16), 4)
            if flags & _ENABLED:
                cpus.add(number)
    return Madt(tuple(ioapics), tuple(overrides), len(cpus))


def decode_dmar(data: bytes) -> Dmar:
    """Decode the DMAR: remapping units and reserved memory, scopes of any length; raises ValueError."""
    table = table_body(data, "DMAR")
    if len(table) < 48:
        raise ValueError(f"{len(table)} bytes are too few for a DMAR")
    drhds: list[Drhd] = []
    rmrrs: list[Rmrr] = []
    for kind, entry in _entries(table, 48, "<HH"):
        if kind == _DRHD:
            flags, segment, base = struct.unpack_from("<BxHQ", _whole(entry, 16), 4)
            drhds.append(Drhd(segment, base, bool(flags & 1), _scopes(entry, 16)))
        elif kind == _RMRR:
            segment, base, limit = struct.unpack_from("<HQQ", _whole(entry, 24), 6)
            rmrrs.append(Rmrr(segment, base, limit, _scopes(entry, 24)))
    # The host address width is stored less one (VT-d 3.3, 8.1).
    return Dmar(table[36] + 1, table[37], tuple(drhds), tuple(rmrrs))


def decode_mcfg(data: bytes) -> tuple[Mcfg, ...]:
    """Decode the MCFG: where memory mapped config space is; raises ValueError."""
    table = table_body(data, "MCFG")
    if (len(table) - 44) % 16:
        raise ValueError(f"{len(table)} bytes do not hold whole MCFG entries")
    return tuple(Mcfg(*struct.unpack_from("<QHBB", table, offset)) for offset in range(44, len(table), 16))


def resolve_scopes(acpi: Acpi, functions: Iterable[Function]) -> Acpi:
    """Return the tables with each device scope's `bdf` set.

    A path of several hops is walked through the bridges' secondary buses (VT-d 3.3, 8.3.1); where a bridge on
    it was not observed, `bdf` stays None.
    """
    if acpi.dmar is None:
        return acpi
    secondary = {f.bdf: f.bridge.secondary for f in functions if f.bridge is not None}

    def resolved(segment: int, scopes: tuple[Scope, ...]) -> tuple[Scope, ...]:
        return tuple(replace(scope, bdf=_scope_bdf(segment, scope, secondary)) for scope in scopes)

    dmar = replace(
        acpi.dmar,
        drhds=tuple(replace(unit, scopes=resolved(unit.segment, unit.scopes)) for unit in acpi.dmar.drhds),
        rmrrs=tuple(
            replace(region, scopes=resolved(region.segment, region.scopes)) for region in acpi.dmar.rmrrs
        ),
    )
    return replace(acpi, dmar=dmar)


def _scope_bdf(segment: int, scope: Scope, secondary: dict[Bdf, int]) -> Bdf | None:
    bus: int | None = scope.start_bus
    end: Bdf | None = None
    for device, function in scope.path:
        if bus is None or device > 31 or function > 7:
            return None
        end = Bdf(segment, bus, device, function)
        bus = secondary.get(end)
    return end


def _entries(table: bytes, start: int, head: str) -> Iterator[tuple[int, bytes]]:
    """Yield (type, whole entry); raises ValueError for an entry that is shorter than its head or cut off."""
    size = struct.calcsize(head)
    offset = start
    while offset < len(table):
        if offset + size > len(table):
            raise ValueError(f"cut off in the entry at byte {offset}")
        kind, length = struct.unpack_from(head, table, offset)
        if length < size:
            raise ValueError(f"the entry at byte {offset} has length {length}")
        if offset + length > len(table):
            raise ValueError(f"the entry at byte {offset} reaches beyond the table's end")
        yield kind, table[offset : offset + length]
        offset += length


def _scopes(entry: bytes, start: int) -> tuple[Scope, ...]:
    scopes = []
    for kind, scope in _entries(entry, start, "<BB"):
        hops = _whole(scope, 8)[6:]
        if len(hops) % 2:
            raise ValueError("a device scope ends in half a hop")
        path = tuple((hops[at], hops[at + 1]) for at in range(0, len(hops), 2))
        scopes.append(Scope(kind, scope[4], scope[5], path))
    return tuple(scopes)


def _whole(entry: bytes, least: int) -> bytes:
    if len(entry) < least:
        raise ValueError(f"an entry of type {entry[0]} has {len(entry)} bytes, needs {least}")
    return entry
