"""The IOAPIC pin against what is known of the machine: F1. Numbers of /sys, and guesses, come out here."""

from __future__ import annotations

from collections.abc import Iterator

from bringup.base.finding import Finding, Gap, Rule
from bringup.camkes.vms.model import Device, Irq, Vm
from bringup.pci.assessment import PinCandidate
from bringup.pci.model import Function
from bringup.rules.context import CAPTURE, Context

Found = Iterator[Finding | Gap]

F1 = Rule(
    "F1",
    "source is the IOAPIC pin that the function raises",
    "camkes-vm-examples#90: the number in /sys/bus/pci/devices/*/irq is a PIC number and does not work",
)

# PIRQA to PIRQH of an Intel PCH arrive here (7 Series to C620 datasheets, "IOAPIC interrupts").
_PCI_PINS = range(16, 24)


def source_is_the_pin(context: Context) -> Found:
    """F1: by the capture's candidates; else by the profile; else by what PCI pins look like."""
    for vm, device in context.devices():
        irq = next((irq for irq in vm.irqs if irq.name == device.irq), None)
        if irq is None or irq.source is None:
            continue  # C9 and F2 tell
        function = context.function(device)
        candidates = _candidates(context, device)
        if candidates:
            yield from _against(context, vm, device, irq, candidates)
        else:
            yield from _by_looks(vm, device, irq, function)
            what = f"{vm.name}: whether {device.at} raises pin {irq.source}"
            yield F1.gap(
                what, CAPTURE if context.assessment is None else "a board profile or /proc/interrupts"
            )


def _candidates(context: Context, device: Device) -> tuple[PinCandidate, ...]:
    bdf = device.bdf
    if context.assessment is not None:
        return context.assessment.pins.get(bdf, ()) if bdf else ()
    nic = context.nic(bdf)
    if nic is None or nic.ioapic_pin is None or context.profile is None:
        return ()
    # By its address alone, it may be another card: as good as an inference.
    ioapic = context.profile.interrupts.ioapic.value
    source = f"profile {context.profile.name}, {nic.name}: {nic.ioapic_pin.source}"
    return (PinCandidate(ioapic, nic.ioapic_pin.value, "inferred", source),)


def _against(
    context: Context, vm: Vm, device: Device, irq: Irq, candidates: tuple[PinCandidate, ...]
) -> Found:
    best, function = candidates[0], context.function(device)
    if _pin(irq) == (best.ioapic, best.pin):
        return
    other = next((c for c in candidates if (c.ioapic, c.pin) == _pin(irq)), None)
    copied = other is None and _copied_from(function, irq.source)
    legacy = other is None and _pin(irq)[0] == 0 and irq.source is not None and irq.source < _PCI_PINS.start
    certain = best.grade in ("measured", "known") and (other is None or other.grade != "known")
    # On QEMU, which has no profile, the PIC's numbers reach the IOAPIC, too (camkes-vm-examples#90).
    wrong = copied or certain or (legacy and context.profile is not None)
    tell = F1.error if wrong else F1.warning
    what = f"source {irq.source} of IOAPIC {_pin(irq)[0]}"
    if copied:
        reason = f"{what} is {copied}, not a pin; the pin is {best.pin}"
    elif legacy:
        reason = f"{what} looks like a PIC number, as in /sys; the pin is {best.pin}"
    elif other is not None:
        reason = f"{what} is what {other.source} says; better founded is {best.pin} of IOAPIC {best.ioapic}"
    else:
        reason = f"the pin is {best.pin} of IOAPIC {best.ioapic}, not {what}"
    yield tell(
        "source-copied" if copied or legacy else "source-differs",
        irq.place,
        vm.name,
        f"{device.at}: {reason}",
        f'write "ioapic":{best.ioapic}, "source":{best.pin}',
        f"{best.grade}: {best.source}",
    )


def _pin(irq: Irq) -> tuple[int, int | None]:
    return irq.ioapic or 0, irq.source  # C1 tells that it is missing; 0 is what is meant


def _copied_from(function: Function | None, source: int | None) -> str | None:
    if function is None or source is None:
        return None
    if function.observed("irq") and function.irq == source and source not in _PCI_PINS:
        return f"the number in /sys/bus/pci/devices/{function.bdf}/irq"
    if function.observed("interrupt_line") and function.interrupt_line == source and source not in _PCI_PINS:
        return "the firmware's Interrupt Line (config 0x3c)"
    return None


def _by_looks(vm: Vm, device: Device, irq: Irq, function: Function | None) -> Found:
    if _pin(irq)[0] != 0 or irq.source is None or irq.source >= _PCI_PINS.start:
        return
    copied = _copied_from(function, irq.source)
    tell = F1.error if copied else F1.warning
    yield tell(
        "source-copied",
        irq.place,
        vm.name,
        f"{device.at}: source {irq.source} {f'is {copied}' if copied else 'looks like a PIC number'}; PCI "
        "interrupts arrive at pins 16 to 23 of IOAPIC 0",
        "take the pin from a capture: bringup probe-pci",
        f"source {irq.source}",
    )


CHECKS = ((F1, source_is_the_pin),)
