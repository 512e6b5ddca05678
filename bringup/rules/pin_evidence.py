"""F1 before anything is written: what is known of the pins, what is doubted, and what would tell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bringup.base.finding import Finding, Found
from bringup.pci.assessment import PinCandidate
from bringup.pci.pins.beliefs import has_no_intx
from bringup.rules.inputs import Inputs, named
from bringup.rules.pin_beliefs import NOTED_MAX, WANTS_PROBE, belief_words, best_beliefs
from bringup.rules.pin_source import F1

if TYPE_CHECKING:
    from bringup.pci.model import Bdf, Function

# config 0x3c: 0xff is "unknown or no connection" on x86, 0 is what nobody wrote (PCI 3.0 6.2.4).
_NO_LINE = (0, 0xFF)
_LOST = re.compile(r"\.(_[A-Z]{3}) depends on registers")


def pin_known(inputs: Inputs) -> Found:
    """F1, while no configuration says which number was taken: doubts about the pins of the machine."""
    if inputs.configured:
        return
    for function, _ in best_beliefs(inputs):
        yield from _disagree(function, inputs.pins[function.bdf])
    yield from _graded_lower(inputs)
    yield from _legacy_numbers(inputs)
    yield from _not_observed(inputs)


def _disagree(function: Function, beliefs: tuple[PinCandidate, ...]) -> Iterator[Finding]:
    best, *rest = beliefs
    # What a profile says of systems with ACPI is known of the model, and says nothing of this unit.
    of_unit = [belief for belief in rest if belief.grade != "firmware" or belief.this_unit]
    other = [belief for belief in of_unit if (belief.ioapic, belief.pin) != (best.ioapic, best.pin)]
    if not other:
        return
    # Tables describe routing with every IOAPIC in use: no surprise beside better evidence.
    expected = all(belief.grade == "firmware" for belief in other) or best.this_unit
    tell = F1.note if expected else F1.warning
    yield tell(
        "pins-disagree",
        function.bdf,
        f"pin {best.ioapic}/{best.pin} is {best.words}, and other evidence says "
        + ", ".join(f"{belief.ioapic}/{belief.pin} ({belief.words})" for belief in other[:4]),
        "nothing: measured on this unit" if best.settled else WANTS_PROBE,
        *map(belief_words, beliefs[:NOTED_MAX]),
    )


def _graded_lower(inputs: Inputs) -> Iterator[Finding]:
    """Say once which ports' pins nobody has measured; a wrong one shows late, as `Hung TX queue`."""
    best = {f.bdf: inputs.pins[f.bdf][0] for f in inputs.ethernet if f.bdf in inputs.pins}
    doubted = {bdf: belief for bdf, belief in best.items() if belief.grade != "measured"}
    if doubted:
        grades = ", ".join(dict.fromkeys(belief.words for belief in doubted.values()))
        yield F1.note(
            "pin-not-measured",
            None,
            f"pins of {named(tuple(doubted), 12)} are {grades}, not measured",
            WANTS_PROBE,
            *(f"{bdf.short}: {belief_words(belief)}" for bdf, belief in list(doubted.items())[:NOTED_MAX]),
        )


def _legacy_numbers(inputs: Inputs) -> Iterator[Finding]:
    """Warn of the numbers that people copy from sysfs and lspci."""
    told: dict[Bdf, int] = {}
    for function in inputs.ethernet:
        number = function.irq if function.msi_active is not True else None
        number = function.interrupt_line if number is None else number
        best = inputs.pins.get(function.bdf, (None,))[0]
        if number is not None and number not in _NO_LINE and best is not None and number != best.pin:
            told[function.bdf] = number
    if told:
        numbers = " and ".join(str(number) for number in dict.fromkeys(told.values()))
        yield F1.note(
            "intx-line-is-no-pin",
            None,
            f"/sys irq and lspci say {numbers}: those are legacy numbers, not pins",
            "write the pin of this table into the VM's configuration",
            *(f"{bdf.short}: irq {number}" for bdf, number in list(told.items())[:NOTED_MAX]),
        )


def _not_observed(inputs: Inputs) -> Iterator[Finding]:
    unknown = [f.bdf for f in inputs.subjects if f.bdf not in inputs.pins and not has_no_intx(f)]
    if not unknown or inputs.machine is None:
        return
    acpi = inputs.machine.acpi
    reasons = [
        f"{missing.what.rpartition('/')[2]}: {missing.why}"
        for missing in inputs.machine.missing
        if missing.what == "routing" or missing.what.endswith(("tables/DSDT", "tables/APIC"))
    ]
    if acpi.prt is None and not reasons:
        reasons.append("_PRT: no ACPI tables in this capture")
    if acpi.madt is None and not any("APIC" in reason for reason in reasons):
        reasons.append("MADT: not in this capture")
    blind = [bdf.short for bdf in unknown if not inputs.functions[bdf].observed("intx_pin")]
    if blind:
        reasons.append(f"INTx pin not read: {', '.join(blind[:NOTED_MAX])}")
    yield F1.note(
        "routing-not-observed",
        None,
        f"IOAPIC pins not observed: {named(tuple(unknown))}",
        _way_to_routing(reasons),
        *reasons[:NOTED_MAX],
    )


def _way_to_routing(reasons: list[str]) -> str:
    """Say what tells the pins: a boot log tells where root buses are, and not where the ports on them are."""
    lost = {match[1] for reason in reasons if (match := _LOST.search(reason))}
    if not lost:
        return "capture with `bringup probe-pci BOARD`, or as root: the ACPI tables tell it"
    if lost == {"_PRT"}:
        return "have them measured (bringup probe-pci BOARD --firmware-probe): the tables depend on registers"
    told = "Linux knows where the tables' objects are"
    if "_ADR" in lost:
        return f"capture on Linux with the script of `bringup probe-pci --collector`: {told}"
    return f"add Linux's boot log, or capture with the script of `bringup probe-pci --collector`: {told}"


CHECKS = ((F1, pin_known),)
