"""Whether the board still is what a configuration was made for: BDF, BARs, pins; each difference named. Pure.

drift = compare(claims, assessment)
drift.differences       # what makes the configuration wrong for this machine
drift.notes             # what could not be compared
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bringup.pci.assessment import PIN_GRADES, Assessment, PinCandidate
from bringup.pci.bars import bars_under_sel4
from bringup.pci.match.ports import ids_of, subsystem_of

if TYPE_CHECKING:
    from bringup.camkes.claims.facts import Claim, Claims
    from bringup.pci.model import Bar, Bdf, Function

Kind = Literal["moved", "gone", "device", "bar", "pin"]
_KINDS: tuple[Kind, ...] = ("moved", "gone", "device", "bar", "pin")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as configured. `message` is a whole sentence without its full stop."""

    kind: Kind
    vm: str
    bdf: Bdf
    message: str


@dataclass(frozen=True, slots=True)
class Drift:
    """What differs, and what could not be told."""

    differences: tuple[Difference, ...]
    notes: tuple[str, ...]


def compare(claims: Claims, assessment: Assessment) -> Drift:
    """Compare what a configuration was made for with a machine."""
    differences: list[Difference] = []
    notes: list[str] = []
    for claim in claims.devices:
        for told in _of_device(claim, assessment):
            if isinstance(told, Difference):
                differences.append(told)
            else:
                notes.append(told)
    # What moved explains most of what else is different.
    differences.sort(key=lambda difference: _KINDS.index(difference.kind))
    return Drift(tuple(differences), tuple(dict.fromkeys(notes)))


def _of_device(claim: Claim, assessment: Assessment) -> Iterator[Difference | str]:
    function = assessment.machine.find(claim.bdf)
    other = _elsewhere(claim, assessment)
    at = claim.bdf.short
    if other is not None and (function is None or not _is(claim, function)):
        yield Difference("moved", claim.vm, claim.bdf, f"{at} was {claim.id}, now at {other.bdf.short}")
        return
    if function is None:
        what = f" ({claim.id})" if claim.id else ""
        yield Difference("gone", claim.vm, claim.bdf, f"{at}{what} is not there any more")
        return
    if claim.id is not None and ids_of(function) != claim.id:
        message = f"{at} was {claim.id}, now a {ids_of(function)} stands there"
        yield Difference("device", claim.vm, claim.bdf, message)
        return
    mac = _mac(function)
    if claim.mac and mac and claim.mac != mac:
        yield f"{at} is another port of the same kind: it had the MAC {claim.mac}, now {mac}"
    yield from _of_bars(claim, function)
    yield from _of_ranges(claim, function)
    yield from _of_pin(claim, assessment.pins.get(claim.bdf, ()))


def _elsewhere(claim: Claim, assessment: Assessment) -> Function | None:
    """Return where the claimed device is now: by MAC, else the only one alike in ids and function number.

    A MAC that could not be read may be the claimed one: it is no other.
    """
    if claim.id is None:
        return None
    functions = [f for f in assessment.machine.functions if f.bdf != claim.bdf and _same_ids(claim, f)]
    by_mac = [f for f in functions if claim.mac and _mac(f) == claim.mac]
    if len(by_mac) == 1:
        return by_mac[0]
    like = [
        f
        for f in functions
        if f.bdf.function == claim.bdf.function
        and _same_sizes(claim, f)
        and (claim.mac is None or _mac(f) is None)
    ]
    return like[0] if len(like) == 1 else None


def _is(claim: Claim, function: Function) -> bool:
    """Whether the function at the claimed place is the claimed device, as far as can be told."""
    mac = _mac(function)
    return _same_ids(claim, function) and (not claim.mac or mac is None or mac == claim.mac)


def _same_ids(claim: Claim, function: Function) -> bool:
    subsystem = subsystem_of(function)
    return ids_of(function) == claim.id and (
        claim.subsystem is None or subsystem is None or subsystem == claim.subsystem
    )


def _same_sizes(claim: Claim, function: Function) -> bool:
    sizes = {bar.index: bar.size for bar in function.bars or () if bar.size}
    return all(bar.index not in sizes or sizes[bar.index] == bar.size for bar in claim.bars or ())


def _mac(function: Function) -> str | None:
    return next((i.mac.lower() for i in function.net or () if i.mac), None)


def _of_bars(claim: Claim, function: Function) -> Iterator[Difference | str]:
    if claim.bars is None:
        return
    if not function.observed("bars") and not function.observed("firmware_bars"):
        yield f"the BARs of {claim.bdf.short} are not in the capture"
        return
    now = {bar.index: bar for bar in bars_under_sel4(function) or () if bar.base}
    for was in claim.bars:
        bar = now.pop(was.index, None)
        if bar is None:
            yield _bar_difference(claim, was.index, f"was at {was.base:#x}, now it has no address")
        elif (bar.kind, bar.base) != (was.kind, was.base):
            yield _bar_difference(claim, was.index, f"was at {was.base:#x}, now at {bar.base:#x}")
        elif bar.size is not None and bar.size != was.size:
            yield _bar_difference(claim, was.index, f"had {was.size:#x} bytes, now {bar.size:#x}")
    for index, bar in now.items():
        yield _bar_difference(claim, index, f"is new, at {bar.base:#x}")


def _bar_difference(claim: Claim, index: int, what: str) -> Difference:
    return Difference("bar", claim.vm, claim.bdf, f"{claim.bdf.short} BAR {index} {what}")


def _of_ranges(claim: Claim, function: Function) -> Iterator[Difference | str]:
    """Compare the frames and ports of a file by hand, which names no BAR: each BAR has to be in one."""
    if not claim.ranges:
        return
    bars = [bar for bar in bars_under_sel4(function) or () if bar.base]
    if not bars:
        yield f"the BARs of {claim.bdf.short} are not in the capture"
        return
    for bar in bars:
        if not _covered(bar, claim):
            what = f"at {bar.base:#x} is in no range of {claim.vm} ({_shown(claim, bar.kind)})"
            yield _bar_difference(claim, bar.index, what)


def _covered(bar: Bar, claim: Claim) -> bool:
    ranges = [(start, end) for kind, start, end in claim.ranges if kind == bar.kind]
    if bar.kind == "io" and not ranges:
        return True  # several devices of one VM: whose ports these are is not told
    size = bar.size or 1
    return bar.base is not None and any(start <= bar.base and bar.base + size <= end for start, end in ranges)


def _shown(claim: Claim, kind: str) -> str:
    shown = [f"{start:#x}-{end - 1:#x}" for what, start, end in claim.ranges if what == kind]
    return ", ".join(shown[:6]) or "it has none"


def _of_pin(claim: Claim, pins: tuple[PinCandidate, ...]) -> Iterator[Difference | str]:
    if claim.pin is None:
        return
    at, was = claim.bdf.short, claim.pin
    if not pins:
        yield f"the IOAPIC pin of {at} is not in the capture; {was} is configured"
        return
    best = pins[0]
    if (best.ioapic, best.pin) == (was.ioapic, was.pin):
        return
    now = f"{best.ioapic}/{best.pin} {best.words}"
    if was.grade and PIN_GRADES.index(best.grade) > PIN_GRADES.index(was.grade):
        yield f"{at}: pin {was} was {was.grade}, and the capture only has {now}"
        return
    yield Difference("pin", claim.vm, claim.bdf, f"{at} interrupts at pin {now}, and {was} is configured")
