"""Compares two views of one machine field by field; for every test that has a second reader as its peer."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields, is_dataclass

from bringup.pci.model import FUNCTION_FIELDS, Machine

# Names are each format's own; the problems of one may be no problem of another.
_TOLD_APART = {"vendor_name", "device_name", "subsystem_name", "class_name"}


def differences(one: Machine, other: Machine, apart: Collection[str] = ()) -> list[str]:
    """Return where two views contradict each other: a field that both observed, with different values.

    Fields named in `apart` are each view's own: what one system calls a driver, how much of a config space
    was read.
    """
    found = []
    if [f.bdf for f in one.functions] != [f.bdf for f in other.functions]:
        return ["different functions"]
    for first, second in zip(one.functions, other.functions, strict=True):
        for name in sorted(FUNCTION_FIELDS - _TOLD_APART - set(apart)):
            if first.observed(name) and second.observed(name):
                ours, theirs = getattr(first, name), getattr(second, name)
                if not agree(ours, theirs):
                    found.append(f"{first.bdf.short} {name}: {ours} / {theirs}")
    return found


def agree(one: object, other: object) -> bool:
    """Whether two values are equal where both tell; inside a record None is "not told"."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(agree(a, b) for a, b in zip(one, other, strict=True))
    if is_dataclass(one) and type(one) is type(other):
        pairs = ((getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
        return all(a is None or b is None or agree(a, b) for a, b in pairs)
    return one == other
