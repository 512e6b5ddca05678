"""F1 as written: `source` is the pin that the function raises. What is known of pins: `pin_evidence.py`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bringup.base.finding import Finding, Found, Rule
from bringup.pci.assessment import PinCandidate
from bringup.rules.inputs import Inputs
from bringup.rules.options import CAPTURE
from bringup.rules.pin_beliefs import CERTAIN

if TYPE_CHECKING:
    from bringup.camkes.vms.model import Device, Irq, Vm
    from bringup.pci.model import Function

F1 = Rule(
    "F1",
    "source is the IOAPIC pin that the function raises",
    "camkes-vm-examples#90: numbers of /sys and lspci are PIC numbers and do not work; "
    "Linux Documentation/PCI/boot-interrupts.rst: INTx arrives elsewhere while IOAPICs are masked",
)

# PIRQA to PIRQH of an Intel PCH arrive here (7 Series to C620 datasheets, "IOAPIC interrupts").
_PCI_PINS = range(16, 24)


def source_is_the_pin(inputs: Inputs) -> Found:
    """F1: by the capture's candidates; else by the profile; else by what PCI pins look like."""
    for vm, device in inputs.devices():
        irq = next((irq for irq in vm.irqs if irq.name == device.irq), None)
        if irq is None or irq.source is None:
            continue  # C9 and F2 tell
        candidates = _candidates(inputs, device)
        if candidates:
            yield from _against(inputs, vm, device, irq, candidates)
        else:
            if not _low_pins(inputs):
                yield from _by_looks(vm, device, irq, inputs.function(device))
            yield F1.gap(
                f"{vm.name}: whether {device.at} raises pin {irq.source}",
                CAPTURE if inputs.machine is None else "a board profile or /proc/interrupts",
            )


def _low_pins(inputs: Inputs) -> bool:
    """Whether interrupts of PCI functions were seen at pins below 16, as on QEMU's i440FX (10 and 11)."""
    best = (beliefs[0] for beliefs in inputs.pins.values() if beliefs)
    return any(
        each.grade in ("measured", "known") and not each.ioapic and each.pin < _PCI_PINS.start
        for each in best
    )


def _candidates(inputs: Inputs, device: Device) -> tuple[PinCandidate, ...]:
    bdf = device.bdf
    if inputs.machine is not None:
        return inputs.pins.get(bdf, ()) if bdf else ()
    nic = inputs.nic_at(bdf)
    if nic is None or nic.ioapic_pin is None or inputs.profile is None:
        return ()
    # By its address alone, it may be another card: as good as an inference.
    ioapic = inputs.profile.interrupts.ioapic.value
    source = f"profile {inputs.profile.name}, {nic.name}: {nic.ioapic_pin.source}"
    return (PinCandidate(ioapic, nic.ioapic_pin.value, "inferred", source),)


def _against(
    inputs: Inputs, vm: Vm, device: Device, irq: Irq, candidates: tuple[PinCandidate, ...]
) -> Iterator[Finding]:
    best, function = candidates[0], inputs.function(device)
    if _pin(irq) == (best.ioapic, best.pin):
        return
    other = next((c for c in candidates if (c.ioapic, c.pin) == _pin(irq)), None)
    copied = other is None and _copied_from(function, irq.source)
    looks = other is None and _pin(irq)[0] == 0 and not _low_pins(inputs)
    legacy = looks and irq.source is not None and irq.source < _PCI_PINS.start
    certain = best.grade in CERTAIN and (other is None or other.grade != "known")
    # On QEMU, which has no profile, the PIC's numbers reach the IOAPIC, too (camkes-vm-examples#90).
    wrong = copied or certain or (legacy and inputs.profile is not None)
    tell = F1.error if wrong else F1.warning
    what = f"source {irq.source} of IOAPIC {_pin(irq)[0]}"
    gsi = _gsi_of_acpi(inputs, device, irq)
    if copied:
        reason = f"{what} is {copied}, not a pin; the pin is {best.pin}"
    elif legacy:
        reason = f"{what} looks like a PIC number, as in /sys; the pin is {best.pin}"
    elif other is not None:
        better = "stated by hand" if best.grade == "stated" else "better founded"
        reason = f"{what} is what {other.source} says; {better} is {best.pin} of IOAPIC {best.ioapic}"
    elif gsi is not None:
        reason = (
            f"{what} is GSI {gsi}, where an ACPI system takes it; seL4 leaves that IOAPIC masked "
            f"(KernelMaxNumIOAPIC 1), and the pin is {best.pin} of IOAPIC {best.ioapic}"
        )
    else:
        reason = f"the pin is {best.pin} of IOAPIC {best.ioapic}, not {what}"
    yield tell(
        "source-copied" if copied or legacy else "source-differs",
        (vm.name, irq.place),
        f"{device.at}: {reason}",
        f'write "ioapic":{best.ioapic}, "source":{best.pin}',
        f"{best.words}: {best.source}",
    )


def _pin(irq: Irq) -> tuple[int, int | None]:
    return irq.ioapic or 0, irq.source  # C1 tells that it is missing; 0 is what is meant


def _gsi_of_acpi(inputs: Inputs, device: Device, irq: Irq) -> int | None:
    """Return the GSI that an ACPI system uses for this port, where the entry names just that input."""
    nic = inputs.nic_at(device.bdf)
    if inputs.machine is not None and device.bdf is not None:
        nic = inputs.nics.get(device.bdf)
    if inputs.profile is None or nic is None or nic.acpi_gsi is None:
        return None
    gsi = nic.acpi_gsi.value
    return gsi if inputs.profile.interrupts.input_of(gsi) == _pin(irq) else None


def _copied_from(function: Function | None, source: int | None) -> str | None:
    if function is None or source is None or source in _PCI_PINS:
        return None
    if function.observed("irq") and function.irq == source:
        return f"the number in /sys/bus/pci/devices/{function.bdf}/irq"
    if function.observed("interrupt_line") and function.interrupt_line == source:
        return "the firmware's Interrupt Line (config 0x3c)"
    return None


def _by_looks(vm: Vm, device: Device, irq: Irq, function: Function | None) -> Iterator[Finding]:
    if _pin(irq)[0] != 0 or irq.source is None or irq.source >= _PCI_PINS.start:
        return
    copied = _copied_from(function, irq.source)
    tell = F1.error if copied else F1.warning
    yield tell(
        "source-copied",
        (vm.name, irq.place),
        f"{device.at}: source {irq.source} {f'is {copied}' if copied else 'looks like a PIC number'}; with "
        "ACPI, PCI interrupts commonly arrive at pins 16 to 23, on QEMU's older machine at 10 and 11",
        "take the pin from a capture: bringup probe-pci",
        f"source {irq.source}",
    )


CHECKS = ((F1, source_is_the_pin),)
