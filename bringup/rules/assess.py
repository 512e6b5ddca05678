"""From a machine and its board's profile to pins, findings and a word per function; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from bringup.pci.assessment import Assessment, Passability
from bringup.pci.model import Bdf, Function, Machine
from bringup.pci.pins.beliefs import has_no_intx
from bringup.rules.all import judge
from bringup.rules.case import Case, Effect, Judged, is_subject, memory_bars

if TYPE_CHECKING:
    from bringup.profile.model import Profile

# Older than the classes, and fitting none of them (PCI Code and ID Assignment 1.11).
_CLASSES_OF_NO_KIND = (0x00, 0xFF)
_CHIPSET = "it belongs to the chipset"


def assess(machine: Machine, profile: Profile | None = None) -> Assessment:
    """Return what follows from a machine; every function gets a word."""
    case = Case.of(machine, profile)
    judged = judge(case)
    return Assessment(
        machine=machine,
        profile=None if profile is None else profile.name,
        pins=case.pins,
        sharing=case.sharing,
        findings=tuple(each.finding for each in judged),
        passability=_words(case, judged),
    )


def _words(case: Case, judged: Iterable[Judged]) -> dict[Bdf, Passability]:
    said: dict[Bdf | None, dict[Effect, list[str]]] = defaultdict(lambda: defaultdict(list))
    for each in judged:
        said[each.finding.bdf][each.effect].append(each.words)
    everyone = said[None]
    words = {}
    for function in case.machine.functions:
        own = said.get(function.bdf, {})
        refused = _unfit(function, case) or tuple(own.get("refuse", ()))
        if refused:
            words[function.bdf] = Passability("not-passable", reasons=refused)
            continue
        changes = _unique(*own.get("change", ()), *everyone.get("change", ()))
        unknown = _unique(*own.get("unknown", ()), *_unknown(function, case))
        limits = _unique(*own.get("limit", ()), *_grade(function, case))
        if changes:
            changes += tuple(f"settle first: {reason}" for reason in unknown)
            words[function.bdf] = Passability("needs-change", limits, changes)
        elif unknown:
            words[function.bdf] = Passability("unknown", limits, reasons=unknown)
        else:
            words[function.bdf] = Passability("passable", limits)
    return words


def _unique(*texts: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))


def _unfit(function: Function, case: Case) -> tuple[str, ...]:
    """Say what kind of function can never be given away; nothing for what may be."""
    if function.is_bridge:
        return ("it is a bridge (C13)",)
    if function.physical_function is not None:
        return (f"it is a virtual function of {function.physical_function.short} and has no INTx pin (C10)",)
    if function.header_type is not None and function.header_type & 0x7F:
        return (f"its header type is {function.header_type & 0x7F}, the VMM knows 0 only (C13)",)
    if function.class_code is not None and not is_subject(function) and function.bdf not in case.nics:
        nameless = function.class_code >> 8 in _CLASSES_OF_NO_KIND
        if has_no_intx(function):
            return ("it has no INTx pin (C10)" if nameless else _CHIPSET + " and has no INTx pin (C10)",)
        return () if nameless else (_CHIPSET,)
    return ()


def _unknown(function: Function, case: Case) -> tuple[str, ...]:
    """Say what would decide and was not observed."""
    if function.class_code is None and function.bdf not in case.nics:
        return ("what it is was not observed",)
    if function.class_code is not None and function.class_code >> 8 in _CLASSES_OF_NO_KIND:
        return ("its class does not say what it is",)
    unknown = []
    if not function.observed("bars") and not function.observed("firmware_bars"):
        unknown.append("its BARs were not observed")
    elif any(bar.size is None for bar in memory_bars(function)):
        unknown.append("the sizes of its BARs were not observed")
    if function.bdf not in case.pins:
        unknown.append("its IOAPIC pin is not known")
    return tuple(unknown)


def _grade(function: Function, case: Case) -> tuple[str, ...]:
    """Say how well the pin is known where nobody measured it."""
    beliefs = case.pins.get(function.bdf)
    if not beliefs or beliefs[0].grade == "measured":
        return ()
    word = {"known": "as Linux used it", "inferred": "inferred", "firmware": "as the firmware's tables say"}
    return (f"pin {beliefs[0].pin} is {word[beliefs[0].grade]}, not measured",)
