"""IOAPICs: C2, that the kernel records it, and C3, that it has the pin."""

from __future__ import annotations

from collections.abc import Iterator

from bringup.base.finding import Finding, Found, Rule
from bringup.base.size import counted
from bringup.rules.inputs import Inputs
from bringup.rules.interrupts import irqs_of
from bringup.rules.options import BUILD
from bringup.rules.pin_beliefs import WANTS_PROBE, belief_words, best_beliefs

C2 = Rule(
    "C2",
    "the IOAPIC is one that the kernel records",
    "seL4 KernelMaxNumIOAPIC (default 1), ioapic.c: Not recording this IOAPIC; nobody was seen to use more",
)
C3 = Rule("C3", "the IOAPIC has that pin", "seL4 src/plat/pc99/machine/ioapic.c; seL4#896, #1263")

_STOCK_IOAPICS = 1
_REDIRECTION_ENTRIES = 240  # IOAPIC datasheet: the entry count is 8 bits, and the last index 239
_DEFAULT_PINS = 24


def ioapic_recorded(inputs: Inputs) -> Found:
    """C2: `ioapic` is the place in the MADT; what is written counts, else what is believed."""
    if inputs.application is None:
        yield from _arrivals(inputs)
    limit = inputs.build.number("KernelMaxNumIOAPIC") if inputs.build else None
    madt = inputs.machine.acpi.madt if inputs.machine else None
    for vm, irq in irqs_of(inputs):
        if irq.ioapic is None or irq.ioapic == 0:
            continue
        name = f'the interrupt "{irq.name}" of {vm.name} is at IOAPIC {irq.ioapic}'
        if irq.ioapic < 0:
            yield C2.error("ioapic-negative", (vm.name, irq.place), name, 'write "ioapic":0')
        elif madt is not None and irq.ioapic >= len(madt.ioapics):
            yield C2.error(
                "ioapic-absent",
                (vm.name, irq.place),
                f"{name}, and this machine has {len(madt.ioapics)}",
                'write "ioapic":0',
                f"MADT: {counted(len(madt.ioapics), 'IOAPIC')}",
            )
        elif irq.ioapic >= (limit or _STOCK_IOAPICS):
            if limit is None:
                yield C2.gap(f"{vm.name}: IOAPIC {irq.ioapic} against KernelMaxNumIOAPIC (default 1)", BUILD)
            yield C2.error(
                "ioapic-not-recorded",
                (vm.name, irq.place),
                f"{name}, and {'this' if limit else 'a stock'} kernel records {limit or _STOCK_IOAPICS}",
                f'write "ioapic":0, or build with -DKernelMaxNumIOAPIC={irq.ioapic + 1}',
                f"KernelMaxNumIOAPIC={limit or '1 (default)'}",
            )
        else:
            yield C2.warning(
                "ioapic-unproven",
                (vm.name, irq.place),
                f"{name}: nobody has been seen to get an interrupt from any but the first",
                "PCI interrupts reach IOAPIC 0 (on Intel's chipsets pins 16 to 23), too, while the others "
                "are masked",
            )


def _arrivals(inputs: Inputs) -> Iterator[Finding]:
    for function, best in best_beliefs(inputs):
        if best.ioapic < _STOCK_IOAPICS:
            continue
        # Tables tell where INTx arrives with every IOAPIC in use; seL4 leaves this one masked.
        told_only = best.grade == "firmware"
        tell = C2.warning if told_only else C2.error
        yield tell(
            "ioapic-not-recorded",
            function.bdf,
            f"arrives at IOAPIC {best.ioapic}, and a stock kernel records only the first",
            WANTS_PROBE if told_only else f"build with -DKernelMaxNumIOAPIC={best.ioapic + 1}",
            belief_words(best),
            unknown=f"at which pin it arrives while IOAPIC {best.ioapic} is masked is not known",
            change="" if told_only else f"the kernel must record IOAPIC {best.ioapic} (KernelMaxNumIOAPIC)",
        )


def pin_exists(inputs: Inputs) -> Found:
    """C3: the count of pins is the MADT's where the capture tells it."""
    for vm, irq in irqs_of(inputs):
        if irq.source is None or irq.ioapic is None:
            continue
        pins = _pins(inputs, irq.ioapic)
        limit = _REDIRECTION_ENTRIES if pins is None else pins
        if not 0 <= irq.source < limit:
            yield C3.error(
                "pin-absent",
                (vm.name, irq.place),
                f'the interrupt "{irq.name}" of {vm.name} is at pin {irq.source}, and IOAPIC {irq.ioapic} '
                f"has {'at most ' if pins is None else ''}{limit} pins",
                "take the pin from a capture: bringup probe-pci",
            )
        elif pins is None and (irq.source >= _DEFAULT_PINS or irq.ioapic > 0):
            yield C3.gap(
                f"{vm.name}: pin {irq.source} of IOAPIC {irq.ioapic}", inputs.capture_with("its pin count")
            )


def _pins(inputs: Inputs, ioapic: int) -> int | None:
    madt = inputs.machine.acpi.madt if inputs.machine else None
    return None if madt is None else madt.pins_of(ioapic)


CHECKS = (
    (C2, ioapic_recorded),
    (C3, pin_exists),
)
