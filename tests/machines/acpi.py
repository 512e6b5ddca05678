"""The ACPI tables of a made machine (ACPI 6.4, 5.2.12 MADT; VT-d 3.3 chapter 8; PCI Firmware 3.2, 4.1.2)."""

from __future__ import annotations

import struct

from tests.firmware.acpi_tables import mcfg, table
from tests.machines.model import MadeMachine, MadeScope

_LOCAL_APIC, _IOAPIC, _OVERRIDE = 0, 1, 2
_DRHD, _RMRR = 0, 1
_ADDRESS_BITS = 46


def tables(machine: MadeMachine) -> dict[str, bytes]:
    """Return the tables by signature, without code."""
    found = {"APIC": madt(machine), "MCFG": mcfg(machine.mcfg)}
    return found | ({"DMAR": dmar(machine)} if machine.remapping else {})


def madt(machine: MadeMachine) -> bytes:
    """Return processors, IOAPICs and ISA overrides."""
    body = struct.pack("<II", 0xFEE00000, 1)
    for number in range(machine.cpus):
        body += struct.pack("<BBBBI", _LOCAL_APIC, 8, number, number, 1)
    for number, address, base, _ in machine.ioapics:
        body += struct.pack("<BBBBII", _IOAPIC, 12, number, 0, address, base)
    for source, gsi, flags in machine.overrides:
        body += struct.pack("<BBBBIH", _OVERRIDE, 10, 0, source, gsi, flags)
    return table(b"APIC", body)


def dmar(machine: MadeMachine) -> bytes:
    """Return remapping units and reserved memory."""
    body = struct.pack("<BB10x", _ADDRESS_BITS - 1, 1)
    for base, scopes in machine.remapping:
        inside = b"".join(map(_scope, scopes))
        body += struct.pack("<HHBBHQ", _DRHD, 16 + len(inside), not scopes, 0, 0, base) + inside
    for base, last, scopes in machine.reserved:
        inside = b"".join(map(_scope, scopes))
        body += struct.pack("<HHHHQQ", _RMRR, 24 + len(inside), 0, 0, base, last) + inside
    return table(b"DMAR", body)


def _scope(scope: MadeScope) -> bytes:
    hops = b"".join(bytes(hop) for hop in scope.path)
    return struct.pack("<BBHBB", scope.kind, 6 + len(hops), 0, scope.id, scope.bus) + hops
