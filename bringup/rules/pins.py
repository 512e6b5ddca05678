"""Interrupts: functions without INTx; pins that are shared, doubted or not known (C1, C2, C4, C10)."""

from __future__ import annotations

from collections.abc import Iterator

from bringup.pci.assessment import Finding, PinCandidate
from bringup.pci.model import Bdf, Function, MsiX
from bringup.pci.pins.beliefs import has_no_intx
from bringup.rules.case import Case, Judged, named

# config 0x3c: 0xff is "unknown or no connection" on x86, 0 is what nobody wrote (PCI 3.0 6.2.4).
_NO_LINE = (0, 0xFF)
_NOTED_MAX = 8
_WANTS_PROBE = "have it measured: bringup probe-pci BOARD --firmware-probe"


def pin_rules(case: Case) -> Iterator[Judged]:
    """Yield what is said about the subjects' interrupt pins."""
    for function in case.subjects:
        if has_no_intx(function):
            yield _no_intx(function)
            continue
        beliefs = case.pins.get(function.bdf)
        if beliefs:
            yield from _shared(function, beliefs[0], case)
            yield from _not_first_ioapic(function, beliefs[0])
            yield from _disagree(function, beliefs)
    yield from _graded_lower(case)
    yield from _legacy_numbers(case)
    yield from _routing_not_observed(case)


def _no_intx(function: Function) -> Judged:
    msix = function.capability(MsiX) is not None
    return Judged(
        Finding(
            "no-intx-pin",
            "error",
            function.bdf,
            "has no INTx pin" + (" (MSI-X only)" if msix else ""),
            ("Interrupt Pin (config 0x3d) reads 0",),
            "take another function: the VMM hides MSI and MSI-X",
            "seL4_projects_libs#86, camkes-vm#55: INTx is all a VM gets (C10)",
        ),
        "refuse",
        "it has no INTx pin, and VMs get no other interrupts",
    )


def _shared(function: Function, best: PinCandidate, case: Case) -> Iterator[Judged]:
    others = tuple(bdf for bdf in case.sharing.get(function.bdf, ()) if bdf in case.subject_bdfs)
    if not others:
        return
    together = sorted((function.bdf, *others))
    yield Judged(
        Finding(
            "shared-pin",
            "warning",
            function.bdf,
            # The same sentence for all of them, so that it is shown once.
            f"pin {best.pin} of IOAPIC {best.ioapic} is shared by {named(tuple(together), 8)}",
            tuple(f"{bdf.short}: {_belief(case.pins[bdf][0])}" for bdf in together[:_NOTED_MAX]),
            "give them all to one VM, or only one of them to any",
            "seL4#1748, microkit#598, camkes-vm-examples#84: one VM of two never gets interrupts (C4)",
        ),
        "limit",
        f"not with {named(others)} in another VM (pin {best.pin})",
    )


def _not_first_ioapic(function: Function, best: PinCandidate) -> Iterator[Judged]:
    if best.ioapic == 0:
        return
    # Tables tell where INTx arrives with every IOAPIC in use; seL4 leaves this one masked.
    told_only = best.grade == "firmware"
    yield Judged(
        Finding(
            "ioapic-not-recorded",
            "warning" if told_only else "error",
            function.bdf,
            f"arrives at IOAPIC {best.ioapic}, and a stock kernel records only the first",
            (_belief(best),),
            _WANTS_PROBE if told_only else f"build with -DKernelMaxNumIOAPIC={best.ioapic + 1}",
            "seL4 KernelMaxNumIOAPIC, default 1: Not recording this IOAPIC (C2); nobody was seen to use more",
        ),
        "unknown" if told_only else "change",
        f"at which pin it arrives while IOAPIC {best.ioapic} is masked is not known"
        if told_only
        else f"the kernel must record IOAPIC {best.ioapic} (KernelMaxNumIOAPIC)",
    )


def _disagree(function: Function, beliefs: tuple[PinCandidate, ...]) -> Iterator[Judged]:
    best, *rest = beliefs
    other = [belief for belief in rest if (belief.ioapic, belief.pin) != (best.ioapic, best.pin)]
    if not other:
        return
    # Tables describe routing with every IOAPIC in use: no surprise beside better evidence.
    expected = all(belief.grade == "firmware" for belief in other) or best.this_unit
    yield Judged(
        Finding(
            "pins-disagree",
            "note" if expected else "warning",
            function.bdf,
            f"pin {best.ioapic}/{best.pin} is {best.grade}, and other evidence says "
            + ", ".join(f"{belief.ioapic}/{belief.pin} ({belief.grade})" for belief in other[:4]),
            tuple(_belief(belief) for belief in beliefs[:_NOTED_MAX]),
            "nothing: measured on this unit" if best.this_unit and best.grade == "measured" else _WANTS_PROBE,
            "Linux Documentation/PCI/boot-interrupts.rst: INTx arrives elsewhere while IOAPICs are masked",
        )
    )


def _graded_lower(case: Case) -> Iterator[Judged]:
    """Say once which ports' pins nobody has measured."""
    doubted = [f.bdf for f in case.ethernet if f.bdf in case.pins and case.pins[f.bdf][0].grade != "measured"]
    if not doubted:
        return
    grades = ", ".join(dict.fromkeys(case.pins[bdf][0].grade for bdf in doubted))
    yield Judged(
        Finding(
            "pin-not-measured",
            "note",
            None,
            f"pins of {named(tuple(doubted), 12)} are {grades}, not measured",
            tuple(f"{bdf.short}: {_belief(case.pins[bdf][0])}" for bdf in doubted[:_NOTED_MAX]),
            _WANTS_PROBE,
            "a wrong pin shows late: the link comes up, then `Hung TX queue`",
        )
    )


def _legacy_numbers(case: Case) -> Iterator[Judged]:
    """Warn of the numbers that people copy from sysfs and lspci."""
    told: dict[Bdf, int] = {}
    for function in case.ethernet:
        number = function.irq if function.msi_active is not True else None
        number = function.interrupt_line if number is None else number
        best = case.pins.get(function.bdf, (None,))[0]
        if number is not None and number not in _NO_LINE and best is not None and number != best.pin:
            told[function.bdf] = number
    if not told:
        return
    numbers = " and ".join(str(number) for number in dict.fromkeys(told.values()))
    yield Judged(
        Finding(
            "intx-line-is-no-pin",
            "note",
            None,
            f"/sys irq and lspci say {numbers}: those are legacy numbers, not pins",
            tuple(f"{bdf.short}: irq {number}" for bdf, number in list(told.items())[:_NOTED_MAX]),
            "write the pin of this table into the VM's configuration",
            "seL4/camkes-vm-examples#90: with 10 and 11 no interrupt came, with 16 and 17 all did",
        )
    )


def _routing_not_observed(case: Case) -> Iterator[Judged]:
    unknown = [f.bdf for f in case.subjects if f.bdf not in case.pins and not has_no_intx(f)]
    if not unknown:
        return
    acpi = case.machine.acpi
    reasons = [
        f"{missing.what.rpartition('/')[2]}: {missing.why}"
        for missing in case.machine.missing
        if missing.what == "routing" or missing.what.endswith(("tables/DSDT", "tables/APIC"))
    ]
    if acpi.prt is None and not reasons:
        reasons.append("_PRT: no ACPI tables in this capture")
    if acpi.madt is None and not any("APIC" in reason for reason in reasons):
        reasons.append("MADT: not in this capture")
    blind = [bdf.short for bdf in unknown if not case.functions[bdf].observed("intx_pin")]
    if blind:
        reasons.append(f"INTx pin not read: {', '.join(blind[:_NOTED_MAX])}")
    yield Judged(
        Finding(
            "routing-not-observed",
            "note",
            None,
            f"IOAPIC pins not observed: {named(tuple(unknown))}",
            tuple(reasons[:_NOTED_MAX]),
            "capture with `bringup probe-pci BOARD`, or as root: the ACPI tables tell it",
            "a VM's interrupt needs (ioapic, source); there is no default (C1)",
        )
    )


def _belief(belief: PinCandidate) -> str:
    return f"{belief.ioapic}/{belief.pin} {belief.grade}: {belief.source}"
