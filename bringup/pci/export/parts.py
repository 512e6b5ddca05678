"""A BAR and a capability as JSON: what a capability is and says, where its id is a known one."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from bringup.pci.model import (
    Acs,
    AdvancedFeatures,
    Bar,
    Capability,
    Msi,
    MsiX,
    Pcie,
    PowerManagement,
    SerialNumber,
    Sriov,
)

KINDS: dict[type[object], str] = {
    PowerManagement: "pm",
    Msi: "msi",
    MsiX: "msi-x",
    Pcie: "pcie",
    AdvancedFeatures: "af",
    Acs: "acs",
    Sriov: "sr-iov",
    SerialNumber: "serial-number",
}
# Offsets and register words are read in hex everywhere else too.
_IN_HEX = frozenset({"table_offset", "pba_offset", "capability", "control"})


def capability_json(capability: Capability) -> dict[str, Any]:
    """Return a capability; `kind` and what follows it only where its content was decoded."""
    width = 4 if capability.extended else 2
    body: dict[str, Any] = {"id": f"{capability.id:#0{width + 2}x}", "extended": capability.extended}
    if capability.offset is not None:
        body["offset"] = f"{capability.offset:#x}"
    if capability.version is not None:
        body["version"] = capability.version
    decoded = capability.decoded
    if decoded is None:
        return body
    body["kind"] = KINDS[type(decoded)]
    for field in fields(decoded):
        value = getattr(decoded, field.name)
        if value is not None and not (isinstance(decoded, Sriov) and field.name == "bars"):
            body[field.name] = f"{value:#x}" if field.name in _IN_HEX else value
    if isinstance(decoded, Sriov):
        if decoded.vf_device is not None:
            body["vf_device"] = f"{decoded.vf_device:04x}"
        if decoded.bars is not None:
            body["bars"] = [bar_json(bar) for bar in decoded.bars]
    return body


def bar_json(bar: Bar) -> dict[str, Any]:
    """Return a BAR; without `size` when no source told it, `base` null when no address is assigned."""
    body: dict[str, Any] = {
        "index": bar.index if bar.numbered else None,
        "kind": bar.kind,
        "base": address(bar.base),
    }
    if bar.size is not None:
        body["size"] = bar.size
    return {**body, "width": bar.width, "prefetchable": bar.prefetchable}


def address(value: int | None) -> str | None:
    """Return an address or a register word in hex."""
    return None if value is None else f"{value:#x}"
