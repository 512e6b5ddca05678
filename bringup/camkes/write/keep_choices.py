"""Fits wanted values to those that stand in a file: its order, and what only a person chose there. Pure.

Lists of ports, devices, interrupts and frames mean the same in any order, and the name of a port range means
nothing at all; whoever wrote them in another way than this tool would is left in peace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bringup.camkes.assign.model import Planned
from bringup.camkes.model import Value
from bringup.camkes.vms.literals import same

_KEPT_WHERE_SET = frozenset({"pci_devices_iospace", "iospace_domain"})
_FREE_KEYS = {"vm_ioports": ("name", "pci_device")}
_SORTED = frozenset({"vm_ioports", "pci_devices", "vm_irqs", "exclude_paddr"})


def fit(planned: Planned, current: Value) -> Value:
    """Return what `current` has to become: itself where it says the same already."""
    if planned.attribute in _KEPT_WHERE_SET and isinstance(current, int) and current > 0:
        return current
    if planned.attribute in _SORTED and isinstance(current, tuple) and isinstance(planned.value, tuple):
        return _in_order(current, planned.value, _FREE_KEYS.get(planned.attribute, ()))
    return planned.value


def _in_order(current: tuple[Value, ...], wanted: Sequence[Value], free: Sequence[str]) -> tuple[Value, ...]:
    """Return the wanted elements in the order of those they take the place of; new ones last."""
    left = list(wanted)
    places: list[Value | None] = []
    for alike in (same, _same_name, _same_size):
        for index, old in enumerate(current):
            if len(places) <= index:
                places.append(None)
            if places[index] is not None:
                continue
            found = next((new for new in left if alike(_with(new, old, free), old)), None)
            if found is not None:
                left.remove(found)
                places[index] = _with(found, old, free)
    for index, old in enumerate(current):
        if places[index] is None and left:
            places[index] = _with(left.pop(0), old, free)
    return (*(value for value in places if value is not None), *left)


def _with(new: Value, old: Value, free: Sequence[str]) -> Value:
    """Return the new element with what the old one may keep: free texts, and the order of its frames."""
    if not isinstance(new, Mapping) or not isinstance(old, Mapping):
        return new
    kept: dict[str | int, Value] = {key: old[key] for key in free if key in old}
    memory, frames = old.get("memory"), new.get("memory")
    if isinstance(memory, tuple) and isinstance(frames, tuple):
        kept["memory"] = _in_order(memory, frames, ())
    return {**new, **kept}


def _same_name(new: Value, old: Value) -> bool:
    return _same_key(new, old, "name")


def _same_size(new: Value, old: Value) -> bool:
    return _same_key(new, old, "size")


def _same_key(new: Value, old: Value, key: str) -> bool:
    return isinstance(new, Mapping) and isinstance(old, Mapping) and key in new and new[key] == old.get(key)
