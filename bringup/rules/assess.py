"""From a machine and its board's profile to pins, findings and a word per function; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from bringup.base.finding import Effect, Finding
from bringup.pci.assessment import CHIPSET, Assessment, Passability
from bringup.pci.bars import bars_under_sel4
from bringup.pci.pins.beliefs import Line, has_no_intx
from bringup.rules.functions import bridge_words, is_chipset, is_of_no_kind
from bringup.rules.inputs import Inputs, memory_bars
from bringup.rules.judge import judge

if TYPE_CHECKING:
    from bringup.pci.model import Bdf, Function, Machine
    from bringup.profile.model import Profile


def assess(
    machine: Machine, profile: Profile | None = None, stated: Mapping[Bdf, Line] | None = None
) -> Assessment:
    """Return what follows from a machine, and from pins that a person states; every function gets a word."""
    inputs = Inputs.of_machine(machine, profile, stated=stated)
    findings = tuple(each for each in judge(inputs) if isinstance(each, Finding))
    return Assessment(
        machine=machine,
        profile=None if profile is None else profile.name,
        pins=inputs.pins,
        sharing=inputs.sharing,
        findings=findings,
        passability=_words(inputs, findings),
    )


def _words(inputs: Inputs, findings: Iterable[Finding]) -> dict[Bdf, Passability]:
    said: dict[Bdf | None, dict[Effect, list[str]]] = defaultdict(lambda: defaultdict(list))
    for each in findings:
        said[each.bdf][each.effect].append(each.words)
    everyone = said[None]
    words = {}
    for function in inputs.functions.values():
        own = said.get(function.bdf, {})
        refused = _unfit(function, inputs) or tuple(own.get("refuse", ()))
        if refused:
            words[function.bdf] = Passability("not-passable", reasons=refused)
            continue
        changes = _unique(*own.get("change", ()), *everyone.get("change", ()))
        unknown = _unique(*own.get("unknown", ()), *_unknown(function, inputs))
        limits = _unique(*own.get("limit", ()), *_grade(function, inputs))
        if changes:
            changes += tuple(f"settle first: {reason}" for reason in unknown)
            words[function.bdf] = Passability("needs-change", limits, changes, unsettled=unknown)
        elif unknown:
            words[function.bdf] = Passability("unknown", limits, reasons=unknown)
        else:
            words[function.bdf] = Passability("passable", limits)
    return words


def _unique(*texts: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))


def _unfit(function: Function, inputs: Inputs) -> tuple[str, ...]:
    """Say what kind of function can never be given away; nothing for what may be."""
    if (header := bridge_words(function)) is not None:
        return (header,)
    if function.physical_function is not None:
        return (f"it is a virtual function of {function.physical_function.short} and has no INTx pin (C10)",)
    if is_chipset(function, inputs):
        more = " and has no INTx pin (C10)" if has_no_intx(function) else ""
        return (f"{CHIPSET}{more}",)
    if is_of_no_kind(function) and function.bdf not in inputs.nics and has_no_intx(function):
        return ("it has no INTx pin (C10)",)
    return ()


def _unknown(function: Function, inputs: Inputs) -> tuple[str, ...]:
    """Say what would decide and was not observed."""
    if function.class_code is None and function.bdf not in inputs.nics:
        return ("what it is was not observed",)
    if is_of_no_kind(function):
        return ("its class does not say what it is",)
    unknown = []
    if not function.observed("bars") and not function.observed("firmware_bars"):
        unknown.append("its BARs were not observed")
    elif bars_under_sel4(function) is None:
        unknown.append("where the firmware put its BARs was not observed: the OS placed them itself")
    elif any(bar.size is None for bar in memory_bars(function)):
        unknown.append("the sizes of its BARs were not observed")
    if function.bdf not in inputs.pins:
        unknown.append("its IOAPIC pin is not known")
    return tuple(unknown)


def _grade(function: Function, inputs: Inputs) -> tuple[str, ...]:
    """Say how well the pin is known where nobody measured it."""
    beliefs = inputs.pins.get(function.bdf)
    if not beliefs or beliefs[0].grade == "measured":
        return ()
    word = {
        "stated": "stated by hand",
        "known": "as Linux used it",
        "inferred": "inferred",
        "firmware": "as the firmware's tables say",
    }
    return (f"pin {beliefs[0].pin} is {word[beliefs[0].grade]}, not measured",)
