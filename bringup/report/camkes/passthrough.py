"""Devices that are given to VMs: a line and a JSON object each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bringup.camkes.assign.model import Grant, Passthrough
from bringup.pci.assessment import PinGrade

_UNSEEN: tuple[PinGrade, ...] = ("stated", "inferred", "firmware")


def grant_lines(passthrough: Passthrough) -> Iterator[str]:
    """Yield one line per device: VM, BDF, ports, BARs, pin and guest IRQ; then what to be careful about."""
    rows = [_row(grant) for grant in passthrough.grants]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    for grant in passthrough.grants:
        ioapic, pin = grant.line
        if grant.pin.grade in _UNSEEN:
            yield (
                f"careful   pin {ioapic}/{pin} of {grant.bdf.short} is {grant.pin.words}: "
                "no interrupt was seen there"
            )
    for caution in passthrough.cautions:
        yield f"careful   {caution}"


def _row(grant: Grant) -> tuple[str, ...]:
    ports = ", ".join(f"{ports.start:x}-{ports.end - 1:x}" for ports in grant.ports)
    bars = ", ".join(str(bar) for frames in grant.frames for bar in frames.bars)
    return (
        grant.vm,
        grant.bdf.short,
        f"ports {ports}" if ports else "no ports",
        f"BARs {bars}" if bars else "no BARs",
        f"pin {grant.pin.ioapic}/{grant.pin.pin} → guest IRQ {grant.dest}",
    )


def grants_json(passthrough: Passthrough) -> list[dict[str, Any]]:
    """Return the grants as plain JSON values; addresses are hexadecimal texts, as in `probe-pci --json`."""
    return [_grant_json(grant, passthrough) for grant in passthrough.grants]


def _grant_json(grant: Grant, passthrough: Passthrough) -> dict[str, Any]:
    return {
        "vm": grant.vm,
        "bdf": str(grant.bdf),
        "name": grant.name,
        "ports": [{"start": f"{p.start:#x}", "end": f"{p.end:#x}", "bar": p.bar} for p in grant.ports],
        "memory": [{"paddr": f"{f.paddr:#x}", "size": f.size, "bars": list(f.bars)} for f in grant.frames],
        "pin": {"ioapic": grant.pin.ioapic, "pin": grant.pin.pin, "grade": grant.pin.grade},
        "dest": grant.dest,
        "iospace_domain": passthrough.domains[grant.vm],
    }
