"""What differs between the capabilities of one function in two captures, states of the moment apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields

from bringup.pci.export.parts import KINDS
from bringup.pci.model import Capability, Decoded, Pcie, PowerManagement, SerialNumber, Sriov

# What drivers and links change while the machine runs.
_STATES: dict[type[object], frozenset[str]] = {
    PowerManagement: frozenset({"state"}),
    Pcie: frozenset({"speed", "width"}),
    Sriov: frozenset({"bars"}),
}
_SWITCHED = frozenset({"enabled"})


def changed_capabilities(
    old: Iterable[Capability], new: Iterable[Capability]
) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield (what, old, new) for each capability that came, went, or says something else."""
    ours, theirs = _by_id(old), _by_id(new)
    for key in sorted({*ours, *theirs}):
        first, second = ours.get(key), theirs.get(key)
        name = f"capability {_name(first or second)}"
        if first is None or second is None:
            yield name, "present" if first else None, "present" if second else None
        elif first.decoded is not None and type(first.decoded) is type(second.decoded):
            yield from _content(name, first.decoded, second.decoded)


def _by_id(capabilities: Iterable[Capability]) -> dict[tuple[bool, int], Capability]:
    found: dict[tuple[bool, int], Capability] = {}
    for capability in capabilities:
        found.setdefault((capability.extended, capability.id), capability)
    return found


def _name(capability: Capability | None) -> str:
    if capability is None:
        return "?"
    if capability.decoded is not None:
        return KINDS[type(capability.decoded)]
    return f"{capability.id:#06x}" if capability.extended else f"{capability.id:#04x}"


def _content(name: str, old: Decoded, new: object) -> Iterator[tuple[str, str | None, str | None]]:
    ignored = _STATES.get(type(old), frozenset()) | (frozenset() if isinstance(old, Sriov) else _SWITCHED)
    for field in fields(old):
        first, second = getattr(old, field.name), getattr(new, field.name)
        if field.name not in ignored and None not in (first, second) and first != second:
            what = f"{name} {field.name.replace('_', ' ')}"
            yield "serial number" if isinstance(old, SerialNumber) else what, str(first), str(second)
