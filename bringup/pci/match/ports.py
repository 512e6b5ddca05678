"""Which port of a profile a function is.

Bus numbers move with cards, BIOS versions and settings, so a port is known by its ids, its subsystem and its
function number; the address it was seen at only decides between functions that are otherwise alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bringup.pci.model import Bdf, Function

if TYPE_CHECKING:
    from bringup.profile.model import ExpectedNic, Profile


def ids_of(function: Function) -> str | None:
    """Return `8086:37d2`, None when the ids were not observed."""
    if function.vendor is None or function.device is None:
        return None
    return f"{function.vendor:04x}:{function.device:04x}"


def subsystem_of(function: Function) -> str | None:
    """Return `15d9:37d2`, None when it was not observed."""
    return None if function.subsystem is None else "{:04x}:{:04x}".format(*function.subsystem)


def seen_at(nic: ExpectedNic) -> tuple[Bdf, ...]:
    """Return the addresses at which the profile's sources saw a port."""
    return () if nic.seen_at is None else tuple(Bdf.parse(text) for text in nic.seen_at.value)


def match_nics(functions: Iterable[Function], profile: Profile) -> dict[Bdf, ExpectedNic]:
    """Return which port of the profile each function is; what fits two ports or none is left out."""
    free = {function.bdf: function for function in functions}
    found: dict[Bdf, ExpectedNic] = {}
    left: list[ExpectedNic] = []
    for nic in profile.nics:
        here = [bdf for bdf in seen_at(nic) if bdf in free and _is_kind(free[bdf], nic)]
        if len(here) == 1:
            found[here[0]] = nic
            del free[here[0]]
        else:
            left.append(nic)
    for nic in left:
        numbers = {bdf.function for bdf in seen_at(nic)}
        moved = [
            bdf
            for bdf, function in free.items()
            if _is_kind(function, nic) and (not numbers or bdf.function in numbers)
        ]
        if len(moved) == 1:
            found[moved[0]] = nic
            del free[moved[0]]
    return found


def _is_kind(function: Function, nic: ExpectedNic) -> bool:
    if ids_of(function) != nic.id.value:
        return False
    subsystem = subsystem_of(function)
    return nic.subsystem is None or subsystem is None or subsystem == nic.subsystem.value
