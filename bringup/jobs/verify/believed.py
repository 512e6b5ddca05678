"""What is believed of a board before it is looked at: its profile, and where its cards' interrupts arrive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bringup.profile.files import find_profile, merged, read_chain
from bringup.profile.load import load_profile
from bringup.verify.vms.expected import Candidate

if TYPE_CHECKING:
    from bringup.lab.inventory import Board, Lab
    from bringup.pci.model import Bdf, Machine
    from bringup.profile.model import Profile

_INTX = "ABCD"


def compared_profile(lab: Lab, board: Board, name: str | None) -> Profile:
    """Return the profile to compare a board with, without what was measured on the unit before.

    A twin is compared with the board that it stands for: the first real one that its profile extends.
    """
    named = name or board.profile_name
    if name is None and board.twin:
        chain = read_chain(find_profile(named, lab.profile_folders), lab.profile_folders)
        real = (each for at, each in enumerate(chain) if not merged(chain[at:]).get("virtual"))
        stands_for = next(real, None)
        named = named if stands_for is None else str(stands_for.path)
    return load_profile(named, lab.profile_folders)


def believed_pins(board: str, profile: Profile, functions: Sequence[str]) -> dict[str, tuple[Candidate, ...]]:
    """Return where each function's interrupt may arrive, best first.

    By the latest capture of `board`; without one by its profile: that port's pins, then the four lines that
    the board's rule names.
    """
    from bringup.lab.captures import latest_capture
    from bringup.pci.capture.open import open_capture

    capture = latest_capture(board)
    if capture is None:
        return {bdf: tuple(_by_profile(profile, bdf)) for bdf in functions}
    return _by_capture(profile, open_capture([capture]), functions)


def _by_capture(
    profile: Profile, machine: Machine, functions: Sequence[str]
) -> dict[str, tuple[Candidate, ...]]:
    from bringup.pci.pins.beliefs import pin_candidates

    beliefs = pin_candidates(machine, profile)
    by_name: Mapping[str, Bdf] = {bdf.short: bdf for bdf in beliefs}
    found = {}
    for name in functions:
        pins = beliefs[by_name[name]] if name in by_name else ()
        told = [Candidate(f"{pin.ioapic}/{pin.pin}", f"{pin.grade}, {pin.source}") for pin in pins]
        found[name] = (*told, *_by_profile(profile, name))
    return found


def _by_profile(profile: Profile, function: str) -> list[Candidate]:
    from bringup.pci.match.ports import seen_at

    ioapic = profile.interrupts.ioapic.value
    found = []
    for nic in profile.nics:
        here = any(bdf.short == function for bdf in seen_at(nic))
        for fact in (nic.ioapic_pin, nic.ioapic_pin_else) if here else ():
            if fact is not None:
                found.append(Candidate(f"{ioapic}/{fact.value}", f"the profile, {fact.grade}"))
    rule = profile.interrupts.root_port_rule
    if rule is not None:
        lines = range(rule.value, rule.value + len(_INTX))
        found += [Candidate(f"{ioapic}/{pin}", "the board's rule, untested") for pin in lines]
    return found
