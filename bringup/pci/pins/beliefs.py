"""Where a function's INTx arrives, as graded beliefs; pure.

Evidence, from the strongest: a pin measured on this unit; what a person states; the pin that the profile's
source saw fire on another unit of the model; what Linux used in INTx mode (/proc/interrupts); the board's
routing rule; `_PRT` with the MADT. A profile's pin counts as measured when its fact is graded HIGH or MED and
the function is where it was seen, else as inferred. Linux's number in sysfs `irq` and the firmware's hint in
config 0x3c are no pins and never evidence by themselves (on the E300-9D they say 11 and 10 where 16 and 17
fire).

Linux and `_PRT` speak of routing with every IOAPIC in use. Where the profile says at which IOAPIC functions
arrive under seL4, beliefs in another one stand behind all that agree with it, except what was measured.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from bringup.pci.assessment import PIN_GRADES, PinCandidate, PinGrade
from bringup.pci.match.ports import match_nics, seen_at
from bringup.pci.model import INTX_PINS, Bdf, Function, IntxPin, Machine, PrtEntry
from bringup.pci.pins.linux import lines_of
from bringup.pci.topology.buses import Buses

if TYPE_CHECKING:
    from bringup.profile.model import ExpectedNic, Profile, Sourced

Line = tuple[int, int]
"""An IOAPIC, by its place in the MADT, and its input."""

PINS_OF_PCI = 4
_SHARING_MAX = 128


def pin_candidates(
    machine: Machine, profile: Profile | None = None, stated: Mapping[Bdf, Line] | None = None
) -> dict[Bdf, tuple[PinCandidate, ...]]:
    """Return the beliefs about each function that has an INTx pin, best first, every kind of evidence once.

    `stated` is what a person says, and no evidence about a function's neighbours. A function without an INTx
    pin has no entry; one about which nothing is known has none either.
    """
    view = _View.of(machine, profile)
    found: dict[Bdf, list[PinCandidate]] = defaultdict(list)
    for function in machine.functions:
        if has_no_intx(function):
            continue
        found[function.bdf] += _measured(function, view)
    # What follows from a neighbour's measured pin needs all of those first.
    measured = {bdf: candidates[0] for bdf, candidates in found.items() if candidates}
    for bdf in found:
        function = view.functions[bdf]
        found[bdf] += _stated(bdf, stated or {})
        found[bdf] += [*_neighbour(function, measured, view), *_rule(function, view)]
        found[bdf] += [*_firmware(function, view), *_routed(function, view)]
        if not any(belief.grade == "measured" for belief in found[bdf]):
            found[bdf] += _else(function, view)
        found[bdf] += lines_of(function, machine)
        # Never the only belief: a number that seL4 may leave masked is no pin to write.
        if found[bdf] and not any(belief.grade == "firmware" for belief in found[bdf]):
            found[bdf] += _of_the_model(function, view)
    return {bdf: _sorted(beliefs, profile) for bdf, beliefs in found.items() if beliefs}


def _stated(bdf: Bdf, stated: Mapping[Bdf, Line]) -> Iterator[PinCandidate]:
    if bdf in stated:
        yield PinCandidate(*stated[bdf], "stated", "--pin", this_unit=True)


def has_no_intx(function: Function) -> bool:
    """Whether it was observed that a function cannot raise INTx; virtual functions never can (PCIe 9.3.4)."""
    absent = function.observed("intx_pin") and function.intx_pin is None
    return absent or function.physical_function is not None


def sharing(candidates: Mapping[Bdf, tuple[PinCandidate, ...]]) -> dict[Bdf, tuple[Bdf, ...]]:
    """Return, for each function, the others whose best belief is the same pin.

    Every other one on any real machine; at most 128, so that a made-up one cannot cost memory squared.
    """
    at: dict[tuple[int, int], list[Bdf]] = defaultdict(list)
    for bdf, (best, *_) in sorted(candidates.items()):
        at[best.ioapic, best.pin].append(bdf)
    return {
        bdf: tuple(islice((other for other in at[best.ioapic, best.pin] if other != bdf), _SHARING_MAX))
        for bdf, (best, *_) in candidates.items()
    }


def intx_pin(
    function: Function, nic: ExpectedNic | None, profile: Profile | None
) -> tuple[IntxPin, str] | None:
    """Return the INTx pin and who says so: the machine, else the profile's fact about that port."""
    if function.observed("intx_pin"):
        return None if function.intx_pin is None else (function.intx_pin, function.provenance["intx_pin"])
    if nic is None or nic.intx_pin is None or profile is None:
        return None
    return nic.intx_pin.value, f"not read here; {cited(profile, nic.intx_pin)}, graded {nic.intx_pin.grade}"


def cited(profile: Profile, fact: Sourced) -> str:
    """Return a fact's source for people: what its key stands for, and the place in it."""
    key, _, place = (part.strip() for part in fact.source.partition(":"))
    # "seL4/camkes-vm-examples#90: a SYS-E300-9D …": the first part is what can be looked up.
    name = profile.sources.get(key, key).partition(": ")[0]
    return f"{name}: {place}" if place else name


@dataclass(frozen=True, slots=True)
class _View:
    """A machine with what is looked up again and again."""

    functions: Mapping[Bdf, Function]
    nics: Mapping[Bdf, ExpectedNic]
    buses: Buses
    machine: Machine
    profile: Profile | None
    routes: Mapping[tuple[int, int, int, IntxPin], PrtEntry]
    routed: frozenset[tuple[int, int]]

    @classmethod
    def of(cls, machine: Machine, profile: Profile | None) -> _View:
        entries = machine.acpi.prt or ()
        return cls(
            functions={function.bdf: function for function in machine.functions},
            nics={} if profile is None else match_nics(machine.functions, profile),
            buses=Buses.of(machine.functions),
            machine=machine,
            profile=profile,
            routes={(e.domain, e.bus, e.device, e.pin): e for e in entries},
            routed=frozenset((e.domain, e.bus) for e in entries),
        )


def _intx(function: Function, view: _View) -> tuple[IntxPin, str] | None:
    return intx_pin(function, view.nics.get(function.bdf), view.profile)


def _measured(function: Function, view: _View) -> Iterator[PinCandidate]:
    for pin in view.machine.measured:
        if pin.bdf == function.bdf:
            yield PinCandidate(pin.ioapic, pin.pin, "measured", pin.source, this_unit=True)
    nic = view.nics.get(function.bdf)
    if nic is None or nic.ioapic_pin is None or view.profile is None:
        return
    fact = nic.ioapic_pin
    # A pin belongs to a place: on another bus it may be another slot.
    here = function.bdf in seen_at(nic)
    grade: PinGrade = "measured" if fact.grade in ("measured", "HIGH", "MED") and here else "inferred"
    moved = "" if here else f"; seen at {', '.join(bdf.short for bdf in seen_at(nic))}, and it moved"
    yield PinCandidate(
        view.profile.interrupts.ioapic.value,
        fact.value,
        grade,
        f"{cited(view.profile, fact)}, graded {fact.grade}{moved}",
        this_unit=fact.grade == "measured" and here,
    )


def _neighbour(
    function: Function, measured: Mapping[Bdf, PinCandidate], view: _View
) -> Iterator[PinCandidate]:
    """Infer from a measured function of the same device.

    Functions of one device that use the same INTx pin share its wire (PCI 3.0 2.2.6), wherever it leads. With
    the board's rule the other pins of the device follow in turn.
    """
    bdf = function.bdf
    mine = _intx(function, view)
    if mine is None or (bdf in measured and measured[bdf].grade == "measured"):
        return
    rule = _rule_base(view)
    for number in range(8):
        other = Bdf(bdf.domain, bdf.bus, bdf.device, number)
        known = measured.get(other)
        if other == bdf or known is None or known.grade != "measured":
            continue
        theirs = _intx(view.functions[other], view)
        if theirs is None:
            continue
        turn = INTX_PINS.index(mine[0]) - INTX_PINS.index(theirs[0])
        where = f"INT{mine[0]} ({mine[1]})"
        if turn == 0:
            source = f"same device and {where} as {other.short}, which was measured"
            yield PinCandidate(known.ioapic, known.pin, "inferred", source, known.this_unit)
            return
        if rule is not None and 0 <= known.pin - rule < PINS_OF_PCI and not view.buses.path(bdf):
            source = f"rule of the board: {where}, counted from {other.short}, which was measured"
            pin = rule + (known.pin - rule + turn) % PINS_OF_PCI
            yield PinCandidate(known.ioapic, pin, "inferred", source)
            return


def _rule_base(view: _View) -> int | None:
    rule = view.profile.interrupts.root_port_rule if view.profile is not None else None
    return None if rule is None else rule.value


def _rule(function: Function, view: _View) -> Iterator[PinCandidate]:
    """Apply the board's rule: the pin as the root port sees it, from its base on."""
    base = _rule_base(view)
    mine = _intx(function, view)
    path = view.buses.path(function.bdf)
    # No bridge above: on a root bus the rule says nothing, it is about what comes through root ports.
    if view.profile is None or base is None or mine is None or not path:
        return
    turn = INTX_PINS.index(mine[0])
    # Every bridge below the root port turns the pin by the number of the device it is left for.
    for crossed in (*path[2:], function.bdf) if len(path) > 1 else ():
        turn += crossed.device
    via = " > ".join(bridge.short for bridge in path)
    # Every pin that was seen to fit came through a root port that is device 0 of its bus.
    untested = path[0].device != 0
    doubt = "; untested for a root port that is not device 0" if untested else ""
    yield PinCandidate(
        view.profile.interrupts.ioapic.value,
        base + turn % PINS_OF_PCI,
        "inferred",
        f"rule of the board: INT{mine[0]} ({mine[1]}) through {via}{doubt}",
        untested=untested,
    )


def _firmware(function: Function, view: _View) -> Iterator[PinCandidate]:
    """Follow `_PRT`, through bridges that have none by the swizzle of PCI-to-PCI Bridge 1.2, 9.1."""
    mine = _intx(function, view)
    if mine is None or view.machine.acpi.prt is None:
        return
    place, turn = function.bdf, INTX_PINS.index(mine[0])
    for bridge in (*reversed(view.buses.topology.path(function.bdf)), None):
        if (place.domain, place.bus) in view.routed:
            entry = view.routes.get((place.domain, place.bus, place.device, INTX_PINS[turn]))
            line = None if entry is None or entry.gsi is None else ioapic_line(view.machine, entry.gsi)
            if entry is not None and line is not None:
                link = f" through {entry.link}" if entry.link else ""
                source = f"_PRT of bus {place.bus:02x}: INT{INTX_PINS[turn]} is GSI {entry.gsi}{link}"
                yield PinCandidate(*line, "firmware", source, this_unit=True)
            return
        if bridge is None or _has_own_routing(place, bridge, view):
            return
        turn = (turn + place.device) % PINS_OF_PCI
        place = bridge


def _has_own_routing(place: Bdf, bridge: Bdf, view: _View) -> bool:
    """Whether a function's bus may have a `_PRT` of its own that could not be had."""
    return any(
        lost.domain == place.domain
        and (lost.bus is None or lost.bus == (bridge.bus if lost.behind else place.bus))
        for lost in view.machine.acpi.lost_prt or ()
    )


def _routed(function: Function, view: _View) -> Iterator[PinCandidate]:
    """Take an OS's word on the GSI: it followed the firmware's routing, with every IOAPIC in use."""
    for routed in view.machine.routed:
        line = ioapic_line(view.machine, routed.gsi) if routed.bdf == function.bdf else None
        if line is not None:
            yield PinCandidate(*line, "firmware", routed.source, this_unit=True)


def _else(function: Function, view: _View) -> Iterator[PinCandidate]:
    """Tell where a port may arrive if the board's rule, which nobody has seen to fit there, does not hold."""
    nic = view.nics.get(function.bdf)
    if nic is not None and nic.ioapic_pin_else is not None and view.profile is not None:
        fact, ioapic = nic.ioapic_pin_else, view.profile.interrupts.ioapic.value
        source = f"instead of the board's rule: {cited(view.profile, fact)}"
        yield PinCandidate(ioapic, fact.value, "inferred", source, untested=True)


def _of_the_model(function: Function, view: _View) -> Iterator[PinCandidate]:
    """Tell the interrupt that an OS with ACPI uses for this port on other units of the model."""
    nic = view.nics.get(function.bdf)
    if nic is None or nic.acpi_gsi is None or view.profile is None:
        return
    fact = nic.acpi_gsi
    line = view.profile.interrupts.input_of(fact.value) or ioapic_line(view.machine, fact.value)
    if line is not None:
        source = (
            f"{cited(view.profile, fact)}: GSI {fact.value} under a system with ACPI, graded {fact.grade}"
        )
        yield PinCandidate(*line, "firmware", source)


def ioapic_line(machine: Machine, gsi: int) -> tuple[int, int] | None:
    """Return (IOAPIC by its place in the MADT, pin) of a GSI; None when the MADT does not tell."""
    madt = machine.acpi.madt
    below = [ioapic for ioapic in madt.ioapics if ioapic.gsi_base <= gsi] if madt is not None else []
    if not below:
        return None
    ioapic = max(below, key=lambda each: each.gsi_base)
    pin = gsi - ioapic.gsi_base
    return None if ioapic.pins is not None and pin >= ioapic.pins else (ioapic.index, pin)


def _sorted(beliefs: list[PinCandidate], profile: Profile | None) -> tuple[PinCandidate, ...]:
    ours = None if profile is None else profile.interrupts.ioapic.value

    def rank(belief: PinCandidate) -> tuple[bool, bool, bool, bool, int, bool]:
        elsewhere = ours is not None and belief.ioapic != ours
        seen, said = belief.grade == "measured", belief.grade == "stated"
        grade = PIN_GRADES.index(belief.grade)
        return (not belief.settled, not said, not seen, elsewhere, grade, not belief.this_unit)

    return tuple(dict.fromkeys(sorted(beliefs, key=rank)))
