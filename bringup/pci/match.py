"""Which port of a profile a function is, and which profile a machine fits.

Bus numbers move with cards, BIOS versions and settings, so a port is known by its ids, its subsystem and its
function number; the address it was seen at only decides between functions that are otherwise alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bringup.pci.model import Bdf, Function, Machine

if TYPE_CHECKING:
    from bringup.profile_model import Nic, Profile


def ids_of(function: Function) -> str | None:
    """Return `8086:37d2`, None when the ids were not observed."""
    if function.vendor is None or function.device is None:
        return None
    return f"{function.vendor:04x}:{function.device:04x}"


def subsystem_of(function: Function) -> str | None:
    """Return `15d9:37d2`, None when it was not observed."""
    return None if function.subsystem is None else "{:04x}:{:04x}".format(*function.subsystem)


def seen_at(nic: Nic) -> tuple[Bdf, ...]:
    """Return the addresses at which the profile's sources saw a port."""
    return () if nic.seen_at is None else tuple(Bdf.parse(text) for text in nic.seen_at.value)


def match_nics(functions: Iterable[Function], profile: Profile) -> dict[Bdf, Nic]:
    """Return which port of the profile each function is; what fits two ports or none is left out."""
    free = {function.bdf: function for function in functions}
    found: dict[Bdf, Nic] = {}
    left: list[Nic] = []
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


def _is_kind(function: Function, nic: Nic) -> bool:
    if ids_of(function) != nic.id.value:
        return False
    subsystem = subsystem_of(function)
    return nic.subsystem is None or subsystem is None or subsystem == nic.subsystem.value


def profile_of(machine: Machine, folders: Sequence[Path] = ()) -> Profile | None:
    """Return the one profile that a machine fits, None when none or several do."""
    return profile_and_reason(machine, folders)[0]


def profile_and_reason(machine: Machine, folders: Sequence[Path] = ()) -> tuple[Profile | None, str]:
    """Return the one profile that a machine fits, and in a sentence why that one or why none.

    `folders` are searched before the profiles that this tool brings along.
    """
    from bringup.profile import load_profile, profile_names

    known = [load_profile(name, folders) for name in profile_names(folders)]
    return choose(machine, known)


def choose(machine: Machine, profiles: Sequence[Profile]) -> tuple[Profile | None, str]:
    """Return the profile that fits, and why; pure.

    The SMBIOS name of the baseboard decides where it was observed, and what every unit shows must be there.
    Among those that fit, one that expects all that another expects and more goes before it.
    """
    board = machine.identity.baseboard if machine.identity is not None else None
    named = [p for p in profiles if board is None or p.identity.baseboard_product.value == board]
    if board is not None and not named:
        return None, f"no profile is of a {board}"
    counts = Counter(ids_of(function) for function in machine.functions)
    subsystems = {subsystem_of(function) for function in machine.functions} - {None}
    fitting = [p for p in named if _shows(p, counts) and (board or _has_subsystem(p, subsystems))]
    fitting = [p for p in fitting if not any(_expects_more(other, p) for other in fitting)]
    if len(fitting) == 1:
        how = f"its baseboard is a {board}" if board else "its functions are those of that model"
        return fitting[0], f"{fitting[0].name}: {how}"
    if not fitting:
        what = f"the functions that a {board} shows are not all there" if board else "no profile's ids fit"
        return None, what
    return None, f"several profiles fit: {', '.join(p.name for p in fitting)}"


def _shows(profile: Profile, counts: Mapping[str | None, int]) -> bool:
    return all(counts.get(expected.id, 0) >= expected.count for expected in profile.pci.expected)


def _has_subsystem(profile: Profile, subsystems: set[str | None]) -> bool:
    """Whether the board's own subsystem id is seen; a profile without one does not ask."""
    wanted = profile.identity.subsystem
    return wanted is None or not subsystems or wanted.value in subsystems


def _expects_more(profile: Profile, other: Profile) -> bool:
    mine, theirs = ({expected.id for expected in p.pci.expected} for p in (profile, other))
    return mine > theirs
