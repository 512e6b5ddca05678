"""ACPI tables for simulated machines, with right checksums."""

from __future__ import annotations

import struct


def table(signature: bytes, body: bytes) -> bytes:
    """Return a table with its header (ACPI 6.4, 5.2.6)."""
    head = struct.pack(
        "<4sIBB6s8sI4sI", signature, 36 + len(body), 1, 0, b"BRNGUP", b"TESTTEST", 1, b"TEST", 1
    )
    data = bytearray(head + body)
    data[9] = -sum(data) & 0xFF
    return bytes(data)


def mcfg(base: int) -> bytes:
    """Return an MCFG of segment 0, all buses."""
    return table(b"MCFG", bytes(8) + struct.pack("<QHBBI", base, 0, 0, 255, 0))


def rsdp(xsdt: int) -> bytes:
    """Return a root pointer of ACPI 2.0."""
    data = bytearray(struct.pack("<8sB6sBIIQB3s", b"RSD PTR ", 0, b"BRNGUP", 2, 0, 36, xsdt, 0, b""))
    data[8] = -sum(data[:20]) & 0xFF
    data[32] = -sum(data) & 0xFF
    return bytes(data)


def memory_with(*tables: bytes) -> dict[int, bytes]:
    """Return blocks of memory, by address, that hold these tables and what leads to them."""
    places = [0x7F000000 + 0x10000 * number for number in range(len(tables))]
    xsdt = table(b"XSDT", b"".join(struct.pack("<Q", place) for place in places))
    return {0x7E000000: rsdp(0x7E001000), 0x7E001000: xsdt, **dict(zip(places, tables, strict=True))}
