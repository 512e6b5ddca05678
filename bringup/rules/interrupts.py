"""Where interrupts come from: C1 to C4, C8 to C10. What the guest gets of them: `dests.py`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from bringup.base.finding import Finding, Gap, Rule
from bringup.camkes.vms.model import Irq, Vm
from bringup.camkes.vms.vmm import COM_IRQS, native_pins
from bringup.rules.context import BUILD, CAPTURE, Context

Found = Iterator[Finding | Gap]

C1 = Rule(
    "C1",
    "every interrupt names its IOAPIC",
    "camkes-vm#33, #35; camkes-vm seL4VMIRQs.template.c (jinja2 error)",
)
C2 = Rule("C2", "the IOAPIC is one that the kernel knows", "seL4 KernelMaxNumIOAPIC (default 1), ioapic.c")
C3 = Rule("C3", "the IOAPIC has that pin", "seL4 src/plat/pc99/machine/ioapic.c; seL4#896, #1263")
C4 = Rule(
    "C4",
    "one pin has one owner in the whole assembly",
    "seL4#1748, microkit#598, camkes-vm-examples#84: the kernel overwrites the pin's entry silently",
)
C8 = Rule(
    "C8",
    "level_trig and active_low are 0 or 1, and the pin is edge triggered",
    "camkes-vm#116; seL4 range check",
)
C9 = Rule("C9", "each device's irq names exactly one entry", "camkes-vm Init/src/main.c assert(irq != -1)")
C10 = Rule("C10", "the function has an INTx pin", "PCI 3.0 6.2.4 (Interrupt Pin); PCIe SR-IOV: VFs have none")

_REDIRECTION_ENTRIES = 240  # IOAPIC datasheet: the entry count is 8 bits, and the last index 239
_DEFAULT_PINS = 24


def irqs_of(context: Context) -> Iterator[tuple[Vm, Irq]]:
    """Yield every entry of `vm_irqs` with its VM."""
    for vm in context.vms:
        for irq in vm.irqs:
            yield vm, irq


def ioapic_named(context: Context) -> Found:
    """C1."""
    for vm, irq in irqs_of(context):
        if irq.ioapic is None:
            yield C1.error(
                "irq-no-ioapic",
                irq.place,
                vm.name,
                f'"{irq.name}" of {vm.name} names no IOAPIC: the build ends in an UndefinedError',
                'add "ioapic":0',
            )


def ioapic_known(context: Context) -> Found:
    """C2: `ioapic` is the place in the MADT."""
    limit = context.build.number("KernelMaxNumIOAPIC") if context.build else None
    madt = context.assessment.machine.acpi.madt if context.assessment else None
    for vm, irq in irqs_of(context):
        if irq.ioapic is None or irq.ioapic == 0:
            continue
        name = f'the interrupt "{irq.name}" of {vm.name} is at IOAPIC {irq.ioapic}'
        if irq.ioapic < 0:
            yield C2.error("ioapic-negative", irq.place, vm.name, name, 'write "ioapic":0')
        elif madt is not None and irq.ioapic >= len(madt.ioapics):
            yield C2.error(
                "ioapic-absent",
                irq.place,
                vm.name,
                f"{name}, and this machine has {len(madt.ioapics)}",
                'write "ioapic":0',
                f"MADT: {len(madt.ioapics)} IOAPICs",
            )
        elif limit is not None and irq.ioapic >= limit:
            yield C2.error(
                "ioapic-not-recorded",
                irq.place,
                vm.name,
                f"{name}, and this kernel records {limit}",
                f'write "ioapic":0, or build with -DKernelMaxNumIOAPIC={irq.ioapic + 1}',
                f"KernelMaxNumIOAPIC={limit}",
            )
        else:
            if limit is None:
                yield C2.gap(f"{vm.name}: IOAPIC {irq.ioapic} against KernelMaxNumIOAPIC (default 1)", BUILD)
            yield C2.warning(
                "ioapic-unproven",
                irq.place,
                vm.name,
                f"{name}: nobody has been seen to get an interrupt from any but the first",
                "PCI interrupts reach IOAPIC 0, pins 16 to 23, too, while the others are masked",
            )


def pin_exists(context: Context) -> Found:
    """C3: the count of pins is the MADT's where the capture tells it."""
    for vm, irq in irqs_of(context):
        if irq.source is None or irq.ioapic is None:
            continue
        pins = _pins(context, irq.ioapic)
        name = f'the interrupt "{irq.name}" of {vm.name} is at pin {irq.source}'
        limit = _REDIRECTION_ENTRIES if pins is None else pins
        if not 0 <= irq.source < limit:
            yield C3.error(
                "pin-absent",
                irq.place,
                vm.name,
                f"{name}, and IOAPIC {irq.ioapic} has {'at most ' if pins is None else ''}{limit} pins",
                "take the pin from a capture: bringup probe-pci",
            )
        elif pins is None and (irq.source >= _DEFAULT_PINS or irq.ioapic > 0):
            yield C3.gap(
                f"{vm.name}: pin {irq.source} of IOAPIC {irq.ioapic}", context.capture_with("its pin count")
            )


def _pins(context: Context, ioapic: int) -> int | None:
    madt = context.assessment.machine.acpi.madt if context.assessment else None
    if madt is None or not 0 <= ioapic < len(madt.ioapics):
        return None
    return madt.ioapics[ioapic].pins


def pin_owned_once(context: Context) -> Found:
    """C4: within the configuration; what shares a pin on the machine is `F1`'s and `pin_shared`'s part."""
    owners: dict[tuple[int, int], str] = {(0, 2): "the native PIT"}
    console = context.console
    if console in COM_IRQS:
        owners[(0, COM_IRQS[console])] = f"the native serial port {console}"
    for pin, setting in native_pins(context.application):
        owners.setdefault(pin, f"{setting.instance} ({setting.place})")
    for vm, irq in irqs_of(context):
        if irq.source is None:
            continue
        pin = (irq.ioapic or 0, irq.source)  # C1 tells of a missing IOAPIC; 0 is what is meant
        if pin in owners:
            yield C4.error(
                "pin-twice",
                irq.place,
                vm.name,
                f'"{irq.name}" of {vm.name} is at pin {irq.source} of IOAPIC {pin[0]}, '
                f"and so is {owners[pin]}",
                "give both devices to one VM under one entry, or take a device on another pin",
                f"ioapic {pin[0]}, source {irq.source}",
            )
        owners.setdefault(pin, f'"{irq.name}" of {vm.name}')


def pin_shared(context: Context) -> Found:
    """C4 on the machine: two VMs' functions that raise one pin, whatever numbers are written."""
    assessment = context.assessment
    if assessment is None:
        if sum(bool(vm.devices) for vm in context.vms) > 1:
            yield C4.gap("whether functions of different VMs raise the same pin", CAPTURE)
        return
    raised: dict[tuple[int, int], tuple[str, str]] = {}
    for vm, device, function in context.captured():
        candidates = assessment.pins.get(function.bdf, ())
        if not candidates:
            yield C4.gap(
                f"{vm.name}: which pin {device.at} raises is not known",
                context.capture_with("its interrupts"),
            )
            continue
        best = candidates[0]
        first_vm, first = raised.setdefault((best.ioapic, best.pin), (vm.name, device.at))
        if first_vm != vm.name:
            tell = C4.error if best.grade in ("measured", "known") else C4.warning
            yield tell(
                "pin-shared",
                device.place,
                vm.name,
                f"{device.at} of {vm.name} and {first} of {first_vm} raise one pin, "
                f"{best.pin} of IOAPIC {best.ioapic}: one of the VMs never gets its interrupts",
                "give both to one VM, or use one of them",
                f"{best.grade}: {best.source}",
            )


def trigger_sane(context: Context) -> Found:
    """C8."""
    for vm, irq in irqs_of(context):
        for key, value in (("level_trig", irq.level_trig), ("active_low", irq.active_low)):
            if value is not None and value not in (0, 1):
                yield C8.error(
                    "trigger-range",
                    irq.place,
                    vm.name,
                    f'{key} of "{irq.name}" is {value}',
                    f"write {key} 0 or 1",
                )
        if irq.level_trig == 1:
            yield C8.warning(
                "level-triggered",
                irq.place,
                vm.name,
                f'"{irq.name}" is level triggered: the guest acknowledges before its driver has quieted the '
                "device, and Linux gives up with 'irq: nobody cared'",
                'write "level_trig":0',
                "level_trig 1",
            )
        if irq.active_low == 0 and context.profile and context.profile.interrupts.active_low.value == 1:
            yield C8.warning(
                "active-high",
                irq.place,
                vm.name,
                f'"{irq.name}" is active high, and PCI interrupts are active low',
                'write "active_low":1',
                f"profile {context.profile.name}: {context.profile.interrupts.active_low.source}",
            )


def irq_named(context: Context) -> Found:
    """C9."""
    for vm in context.vms:
        names = Counter(irq.name for irq in vm.irqs)
        for device in vm.devices:
            if device.irq is None or names[device.irq] == 1:
                continue
            have = ", ".join(f'"{name}"' for name in names) or "none"
            yield C9.error(
                "irq-name-twice" if names[device.irq] else "irq-name-unknown",
                device.place,
                vm.name,
                f'the irq "{device.irq}" of {device.at} names {names[device.irq] or "no"} '
                f"{'entries' if names[device.irq] else 'entry'} of {vm.name}.vm_irqs",
                "one name, one entry" if names[device.irq] else f"name one of vm_irqs; it has {have}",
            )
        wanted = {device.irq for device in vm.devices}
        for irq in vm.irqs:
            if irq.name not in wanted:
                yield C9.note(
                    "irq-unused",
                    irq.place,
                    vm.name,
                    f'no device of {vm.name} names the irq "{irq.name}"',
                    "leave it out",
                )


def has_intx(context: Context) -> Found:
    """C10."""
    if context.assessment is None and context.passes_devices:
        yield C10.gap("whether the functions have an INTx pin", CAPTURE)
    for vm, device, function in context.captured():
        if function.observed("physical_function") and function.physical_function is not None:
            yield C10.error(
                "virtual-function",
                device.place,
                vm.name,
                f"{device.at} is a virtual function of {function.physical_function.short}: it has MSI-X only",
                "pass through the physical function, or another device",
            )
        elif not function.observed("intx_pin"):
            yield C10.gap(
                f"{vm.name}: the interrupt pin of {device.at}", context.capture_with("its config space")
            )
        elif function.intx_pin is None:
            yield C10.error(
                "no-intx",
                device.place,
                vm.name,
                f"{device.at} has no INTx pin, and the VMM passes no MSI on",
                "pass through a function that has one",
                "Interrupt Pin (0x3d) is 0",
            )


CHECKS = (
    (C1, ioapic_named),
    (C2, ioapic_known),
    (C3, pin_exists),
    (C4, pin_owned_once),
    (C4, pin_shared),
    (C8, trigger_sane),
    (C9, irq_named),
    (C10, has_intx),
)
