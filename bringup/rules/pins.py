"""IOAPIC pins: C4, that one pin has one owner, as written and on the machine.

Whether the pin is the right one: `pin_source.py`. Guest interrupts: `interrupts.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

from bringup.base.finding import Finding, Found, Rule
from bringup.camkes.vms.vmm import COM_IRQS, STOCK_CONSOLE
from bringup.rules.inputs import Inputs, named
from bringup.rules.interrupts import irqs_of
from bringup.rules.options import CAPTURE
from bringup.rules.pin_beliefs import CERTAIN, NOTED_MAX, belief_words, best_beliefs

C4 = Rule(
    "C4",
    "one pin has one owner in the whole assembly",
    "seL4#1748, microkit#598, camkes-vm-examples#84: the kernel overwrites the pin's entry silently",
)


def owned_once(inputs: Inputs) -> Found:
    """C4 as written; native components have pins, too."""
    owners: dict[tuple[int, int], str] = {(0, 2): "the native PIT"}
    console = STOCK_CONSOLE if inputs.build is None else inputs.console
    if console in COM_IRQS:
        told = "" if inputs.build else " of a stock build"
        owners[(0, COM_IRQS[console])] = f"the native serial port {console}{told} (an ISA interrupt)"
    for native, owner in inputs.native.pins:
        owners.setdefault(native, str(owner))
    for vm, irq in irqs_of(inputs):
        if irq.source is None:
            continue
        pin = (irq.ioapic or 0, irq.source)  # C1 tells of a missing IOAPIC; 0 is what is meant
        if pin in owners:
            yield C4.error(
                "pin-twice",
                (vm.name, irq.place),
                f'"{irq.name}" of {vm.name} is at pin {irq.source} of IOAPIC {pin[0]}, '
                f"and so is {owners[pin]}",
                "give both devices to one VM under one entry, or take a device on another pin",
                f"ioapic {pin[0]}, source {irq.source}",
            )
        owners.setdefault(pin, f'"{irq.name}" of {vm.name}')


def raised_by_one(inputs: Inputs) -> Found:
    """C4 on the machine: functions that raise one pin, whatever is written; two VMs must not have them."""
    if not inputs.configured:
        yield from _shared(inputs)
        return
    if inputs.machine is None:
        if sum(bool(vm.devices) for vm in inputs.vms) > 1:
            yield C4.gap("whether functions of different VMs raise the same pin", CAPTURE)
        return
    raised: dict[tuple[int, int], tuple[str, str]] = {}
    for function in inputs.subjects:
        candidates = inputs.pins.get(function.bdf, ())
        vm, _ = inputs.holders[function.bdf]
        at = function.bdf.short
        if not candidates:
            yield C4.gap(f"{vm}: which pin {at} raises is not known", inputs.capture_with("its interrupts"))
            continue
        best = candidates[0]
        first_vm, first = raised.setdefault((best.ioapic, best.pin), (vm, at))
        if first_vm != vm:
            tell = C4.error if best.grade in CERTAIN else C4.warning
            yield tell(
                "pin-shared",
                function.bdf,
                f"{at} of {vm} and {first} of {first_vm} raise one pin, "
                f"{best.pin} of IOAPIC {best.ioapic}: one of the VMs never gets its interrupts",
                "give both to one VM, or use one of them",
                f"{best.words}: {best.source}",
            )


def _shared(inputs: Inputs) -> Iterator[Finding]:
    for function, best in best_beliefs(inputs):
        others = tuple(bdf for bdf in inputs.sharing.get(function.bdf, ()) if bdf in inputs.subject_bdfs)
        if not others:
            continue
        together = sorted((function.bdf, *others))
        yield C4.warning(
            "shared-pin",
            function.bdf,
            # The same sentence for all of them, so that it is shown once.
            f"pin {best.pin} of IOAPIC {best.ioapic} is shared by {named(tuple(together), 8)}",
            "give them all to one VM, or only one of them to any",
            *(f"{bdf.short}: {belief_words(inputs.pins[bdf][0])}" for bdf in together[:NOTED_MAX]),
            limit=f"not with {named(others)} in another VM (pin {best.pin})",
        )


CHECKS = (
    (C4, owned_once),
    (C4, raised_by_one),
)
