"""An assessment as JSON, schema 1 (documented key by key in docs/probe-pci.md).

The one rule: a key that was not observed is absent; null means observed, and there is none. Addresses are
strings in hex, sizes are numbers of bytes. Order is that of the machine (BDF), so equal captures give equal
text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any

from bringup.base.finding import SEVERITIES, Finding, finding_json
from bringup.pci.assessment import Assessment, PinCandidate
from bringup.pci.export.parts import address, bar_json, capability_json
from bringup.pci.model import (
    REMARKS,
    Acpi,
    Bar,
    Bdf,
    Bridge,
    Dmar,
    Function,
    Madt,
    NetInterface,
    Rom,
    Scope,
    Unplaced,
)
from bringup.pci.topology.buses import Buses

SCHEMA = 1


def to_json(assessment: Assessment) -> dict[str, Any]:
    """Return the assessment as plain JSON values."""
    machine = assessment.machine
    buses = Buses.of(machine.functions)
    body: dict[str, Any] = {"schema": SCHEMA, "profile": assessment.profile}
    if machine.identity is not None:
        body["identity"] = _known(machine.identity)
    body["platform"] = _known(machine.platform)
    body["acpi"] = _acpi(machine.acpi)
    body["functions"] = [_function(function, assessment, buses) for function in machine.functions]
    body["findings"] = [finding_json(finding) for finding in sorted_findings(assessment.findings)]
    body["sources"] = [_known(source) for source in machine.sources]
    body["missing"] = [{"what": missing.what, "why": missing.why} for missing in machine.missing]
    body["conflicts"] = [
        {"bdf": str(c.bdf), "field": _KEYS.get(c.field, c.field), "kept": c.kept, "other": c.other}
        for c in machine.conflicts
    ]
    if machine.unplaced:
        body["unplaced"] = [_unplaced(device) for device in machine.unplaced]
    return body


def _unplaced(device: Unplaced) -> dict[str, Any]:
    return _drop_none(
        {"name": device.name, "what": device.what, "on": device.on}
        | {
            "device": f"{device.device:02x}.{device.function:x}",
            "gsi": device.gsi,
            "leads_to": device.leads_to,
        }
        | {"bases": [address(base) for base in device.bases], "source": device.source}
    )


def sorted_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings as people read them: worst first, the machine before its functions."""
    nowhere = Bdf(0, 0, 0, 0)
    return sorted(
        findings,
        key=lambda f: (
            SEVERITIES.index(f.severity),
            f.bdf is not None,
            f.bdf or nowhere,
            f.code,
            f.message,
        ),
    )


def _hex(digits: int) -> Callable[[int], str]:
    return lambda value: f"{value:0{digits}x}"


def _same(value: Any) -> Any:
    return value


def _pair(value: tuple[int, int]) -> str:
    return f"{value[0]:04x}:{value[1]:04x}"


def _bars(bars: Iterable[Bar]) -> list[dict[str, Any]]:
    return [bar_json(bar) for bar in bars]


def _rom(rom: Rom) -> dict[str, Any]:
    body: dict[str, Any] = {"base": address(rom.base), "shadow": rom.shadow}
    return body | {key: getattr(rom, key) for key in ("size", "enabled") if getattr(rom, key) is not None}


def _bridge(bridge: Bridge) -> dict[str, Any]:
    body: dict[str, Any] = {
        key: f"{getattr(bridge, key):02x}" for key in ("primary", "secondary", "subordinate")
    }
    if bridge.windows is not None:
        body["windows"] = [
            {"kind": window.kind, "base": address(window.base), "limit": address(window.limit)}
            for window in bridge.windows
        ]
    return body


def _net(ports: Iterable[NetInterface]) -> list[dict[str, Any]]:
    return [_known(port) for port in ports]


# JSON key, the model's field, how its value is written; the order is the order of the output.
_FIELDS: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
    ("vendor", "vendor", _hex(4)),
    ("device", "device", _hex(4)),
    ("subsystem", "subsystem", _pair),
    ("revision", "revision", _hex(2)),
    ("name", "device_name", _same),
    ("vendor_name", "vendor_name", _same),
    ("subsystem_name", "subsystem_name", _same),
    ("class_name", "class_name", _same),
    ("header_type", "header_type", _same),
    ("multifunction", "multifunction", _same),
    ("command", "command", address),
    ("status", "status", address),
    ("bars", "bars", _bars),
    ("firmware_bars", "firmware_bars", _bars),
    ("rom", "rom", _rom),
    ("intx_pin", "intx_pin", _same),
    ("interrupt_line", "interrupt_line", _same),
    ("irq", "irq", _same),
    ("msi_active", "msi_active", _same),
    ("capabilities", "capabilities", lambda held: [capability_json(each) for each in held]),
    ("bridge", "bridge", _bridge),
    ("driver", "driver", _same),
    ("modules", "modules", list),
    ("iommu_group", "iommu_group", _same),
    ("numa_node", "numa_node", _same),
    ("power_state", "power_state", _same),
    ("slot", "slot", _same),
    ("label", "label", _same),
    ("physical_function", "physical_function", str),
    ("net", "net", _net),
    ("config_bytes", "config_bytes", _same),
)
_KEYS = {field: key for key, field, _ in _FIELDS} | {"class_code": "class"}


def _function(function: Function, assessment: Assessment, buses: Buses) -> dict[str, Any]:
    body: dict[str, Any] = {"bdf": str(function.bdf)}
    for key, field, form in _FIELDS:
        if function.observed(field):
            value = getattr(function, field)
            body[key] = None if value is None else form(value)
        if key == "subsystem" and function.class_code is not None:
            body["class"] = _class(function)
    if function.flr is not None:
        body["flr"] = function.flr
    path = buses.path(function.bdf)
    if path is not None:
        body["path"] = [str(bridge) for bridge in path]
    body |= _judged(function.bdf, assessment)
    body |= {kind: list(remarks) for kind in REMARKS if (remarks := getattr(function, kind))}
    told = {_KEYS[field]: source for field, source in function.provenance.items() if field in _KEYS}
    body["provenance"] = dict(sorted(told.items()))
    return body


def _class(function: Function) -> str:
    """Return six hex digits; four where the programming interface was not observed."""
    interface = "" if function.prog_if is None else f"{function.prog_if:02x}"
    return f"{function.class_code:04x}{interface}"


def _judged(bdf: Bdf, assessment: Assessment) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if bdf in assessment.pins:
        body["pins"] = [_pin(candidate) for candidate in assessment.pins[bdf]]
    if bdf in assessment.sharing:
        body["shares_pin_with"] = [str(other) for other in sorted(assessment.sharing[bdf])]
    judged = assessment.passability.get(bdf)
    if judged is None:
        return body
    passable = {"passable": True, "unknown": None}.get(judged.word, False)
    return body | {
        "passable": passable,
        "verdict": judged.word,
        "limits": list(judged.limits),
        "changes": list(judged.changes),
        "reasons": list(judged.reasons),
    }


def _pin(candidate: PinCandidate) -> dict[str, Any]:
    return {
        "ioapic": candidate.ioapic,
        "pin": candidate.pin,
        "grade": candidate.grade,
        "source": candidate.source,
        "this_unit": candidate.this_unit,
        "untested": candidate.untested,
    }


def _known(record: Any) -> dict[str, Any]:
    """Return the fields of a flat dataclass that were observed."""
    named = ((field.name, getattr(record, field.name)) for field in fields(record))
    return {name: value for name, value in named if value is not None}


def _acpi(acpi: Acpi) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if acpi.madt is not None:
        body["madt"] = _madt(acpi.madt)
    if acpi.dmar is not None:
        body["dmar"] = _dmar(acpi.dmar)
    if acpi.mcfg is not None:
        body["mcfg"] = [
            {
                "base": address(each.base),
                "segment": each.segment,
                "first_bus": f"{each.first_bus:02x}",
                "last_bus": f"{each.last_bus:02x}",
            }
            for each in acpi.mcfg
        ]
    if acpi.prt is not None:
        body["prt"] = [
            _drop_none(
                {"domain": row.domain, "bus": f"{row.bus:02x}", "device": f"{row.device:02x}"}
                | {"pin": row.pin, "gsi": row.gsi, "link": row.link}
            )
            for row in acpi.prt
        ]
    return body


def _madt(madt: Madt) -> dict[str, Any]:
    body: dict[str, Any] = {
        "ioapics": [_known(each) | _drop_none({"address": address(each.address)}) for each in madt.ioapics],
        "overrides": [_known(each) for each in madt.overrides],
    }
    return body if madt.cpus is None else body | {"cpus": madt.cpus}


def _dmar(dmar: Dmar) -> dict[str, Any]:
    body = _drop_none({"address_bits": dmar.address_bits, "flags": address(dmar.flags)})
    body["drhds"] = [
        {
            "segment": unit.segment,
            "base": address(unit.base),
            "include_all": unit.include_all,
            "scopes": [_scope(scope) for scope in unit.scopes],
        }
        for unit in dmar.drhds
    ]
    body["rmrrs"] = [
        {
            "segment": region.segment,
            "base": address(region.base),
            "limit": address(region.limit),
            "scopes": [_scope(scope) for scope in region.scopes],
        }
        for region in dmar.rmrrs
    ]
    return body


def _scope(scope: Scope) -> dict[str, Any]:
    body: dict[str, Any] = {
        "kind": scope.kind,
        "enumeration_id": scope.enumeration_id,
        "start_bus": f"{scope.start_bus:02x}",
        "path": [f"{device:02x}.{function:x}" for device, function in scope.path],
    }
    return body if scope.bdf is None else body | {"bdf": str(scope.bdf)}


def _drop_none(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if value is not None}
