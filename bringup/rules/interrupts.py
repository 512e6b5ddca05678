"""Interrupts as they are written: C1, C5 to C9, C11. The pins of the machine: `pins.py`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bringup.base.finding import Found, Rule
from bringup.camkes.vms.vmm import (
    COM_IRQS,
    EVENTS_IRQ,
    PIC_LINES,
    USABLE_IRQS,
    perhaps_taken_irqs,
    taken_irqs,
    uses_events,
)
from bringup.rules.options import BUILD

if TYPE_CHECKING:
    from bringup.camkes.vms.model import Irq, Vm
    from bringup.rules.inputs import Inputs

C1 = Rule(
    "C1",
    "every interrupt names its IOAPIC",
    "camkes-vm#33, #35; camkes-vm seL4VMIRQs.template.c (jinja2 error)",
)
C5 = Rule(
    "C5", "dest is an interrupt of the guest's PIC, 0 to 15", "camkes-vm Init/src/main.c irq_badges[16]"
)
C6 = Rule(
    "C6",
    "dest is unique over all VMs and native components",
    "capDL-tool: IRQ already mapped (vector = dest)",
)
C7 = Rule(
    "C7", "dest is not taken by the VMM's own devices", "camkes-vm components/Init/src (virtio_irq.h, i8254)"
)
C8 = Rule(
    "C8",
    "level_trig and active_low are 0 or 1, and the pin is edge triggered",
    "camkes-vm#116; seL4 range check",
)
C9 = Rule("C9", "each device's irq names exactly one entry", "camkes-vm Init/src/main.c assert(irq != -1)")
C11 = Rule("C11", "cross-VM events leave room: at most 12 interrupts", "camkes-vm Init/src/main.c init_irqs")

# Free on every machine first: 10 goes to vsock, 3 to the serial server on com2 and com4.
_FREE_DESTS = (11, 10, *(dest for dest in USABLE_IRQS if dest not in (10, 11)), 3)
_NONE_FREE = "one that another entry gives up (1, 3, 5, 10, 11, 14 and 15 are usable)"


def irqs_of(inputs: Inputs) -> Iterator[tuple[Vm, Irq]]:
    """Yield every entry of `vm_irqs` with its VM."""
    for vm in inputs.vms:
        for irq in vm.irqs:
            yield vm, irq


def ioapic_named(inputs: Inputs) -> Found:
    """C1."""
    for vm, irq in irqs_of(inputs):
        if irq.ioapic is None:
            yield C1.error(
                "irq-no-ioapic",
                (vm.name, irq.place),
                f'"{irq.name}" of {vm.name} names no IOAPIC: the build ends in an UndefinedError',
                'add "ioapic":0',
            )


def dest_in_range(inputs: Inputs) -> Found:
    """C5."""
    free = _FreeDests(inputs)
    for vm, irq in irqs_of(inputs):
        if irq.dest is not None and not 0 <= irq.dest < PIC_LINES:
            yield C5.error(
                "irq-dest-range",
                (vm.name, irq.place),
                f'dest {irq.dest} of "{irq.name}" is no interrupt of the guest\'s PIC (0 to 15)',
                free.fix(irq),
                f"dest {irq.dest}",
            )


def dest_unique(inputs: Inputs) -> Found:
    """C6."""
    free = _FreeDests(inputs)
    console = inputs.console
    owners: dict[int, str] = {}
    if console in COM_IRQS:
        owners[COM_IRQS[console]] = f"the native serial port {console}"
    for vector, owner in inputs.native.vectors:
        owners.setdefault(vector, str(owner))
    for vm, irq in irqs_of(inputs):
        if irq.dest is None:
            continue
        name = f'"{irq.name}" of {vm.name}'
        if irq.dest in owners:
            yield C6.error(
                "irq-dest-twice",
                (vm.name, irq.place),
                f"dest {irq.dest} of {name} is also that of {owners[irq.dest]}",
                free.fix(irq),
                f"dest {irq.dest}",
            )
        owners.setdefault(irq.dest, name)
        if irq.dest == 3 and console is None:
            yield C6.gap(f"{vm.name}: dest 3 is free only when the native console is com1 or com3", BUILD)


def dest_free_in_vmm(inputs: Inputs) -> Found:
    """C7."""
    free = _FreeDests(inputs)
    for vm, irq in irqs_of(inputs):
        taken, perhaps = taken_irqs(vm), perhaps_taken_irqs(vm, complete=inputs.complete)
        if irq.dest is not None and irq.dest in taken:
            yield C7.error(
                "irq-dest-taken",
                (vm.name, irq.place),
                f'dest {irq.dest} of "{irq.name}" is taken in {vm.name}: {taken[irq.dest]}',
                free.fix(irq),
                f"dest {irq.dest}",
            )
        elif irq.dest is not None and irq.dest in perhaps:
            yield C7.warning(
                "irq-dest-events" if irq.dest == EVENTS_IRQ else "irq-dest-virtio",
                (vm.name, irq.place),
                f'dest {irq.dest} of "{irq.name}" is that of {perhaps[irq.dest]}, should the application '
                "have any",
                free.fix(irq),
            )


class _FreeDests:
    """Which guest interrupt an entry that has to change could take; each gets another."""

    def __init__(self, inputs: Inputs) -> None:
        native = {
            COM_IRQS.get(inputs.console or "com2"),
            *(vector for vector, _ in inputs.native.vectors),
        }
        taken = {dest for vm in inputs.vms for dest in taken_irqs(vm)} | native
        keeps: set[int | None] = set()
        changing: list[Irq] = []
        for _, entry in irqs_of(inputs):
            if entry.dest in taken or entry.dest in keeps:
                changing.append(entry)
            else:
                keeps.add(entry.dest)
        free = [dest for dest in _FREE_DESTS if dest not in taken | keeps]
        self._first = str(free[0]) if free else _NONE_FREE
        self._for = {id(entry): str(dest) for entry, dest in zip(changing, free, strict=False)}
        self._left_over = {id(entry) for entry in changing[len(free) :]}

    def fix(self, irq: Irq) -> str:
        """Return what to write; in words when all are taken."""
        dest = _NONE_FREE if id(irq) in self._left_over else self._for.get(id(irq), self._first)
        return f'write "dest":{dest}'


def trigger_sane(inputs: Inputs) -> Found:
    """C8."""
    for vm, irq in irqs_of(inputs):
        for key, value in (("level_trig", irq.level_trig), ("active_low", irq.active_low)):
            if value is not None and value not in (0, 1):
                yield C8.error(
                    "trigger-range",
                    (vm.name, irq.place),
                    f'{key} of "{irq.name}" is {value}',
                    f"write {key} 0 or 1",
                )
        if irq.level_trig == 1:
            yield C8.warning(
                "level-triggered",
                (vm.name, irq.place),
                f'"{irq.name}" is level triggered: the guest acknowledges before its driver has quieted the '
                "device, and Linux gives up with 'irq: nobody cared'",
                'write "level_trig":0',
                "level_trig 1",
            )
        if irq.active_low == 0 and inputs.profile and inputs.profile.interrupts.active_low.value == 1:
            yield C8.warning(
                "active-high",
                (vm.name, irq.place),
                f'"{irq.name}" is active high, and PCI interrupts are active low',
                'write "active_low":1',
                f"profile {inputs.profile.name}: {inputs.profile.interrupts.active_low.source}",
            )


def irq_named(inputs: Inputs) -> Found:
    """C9."""
    for vm in inputs.vms:
        names = Counter(irq.name for irq in vm.irqs)
        for device in vm.devices:
            if device.irq is None or names[device.irq] == 1:
                continue
            have = ", ".join(f'"{name}"' for name in names) or "none"
            yield C9.error(
                "irq-name-twice" if names[device.irq] else "irq-name-unknown",
                (vm.name, device.place),
                f'the irq "{device.irq}" of {device.at} names {names[device.irq] or "no"} '
                f"{'entries' if names[device.irq] else 'entry'} of {vm.name}.vm_irqs",
                "one name, one entry" if names[device.irq] else f"name one of vm_irqs; it has {have}",
            )
        wanted = {device.irq for device in vm.devices}
        for irq in vm.irqs:
            if irq.name not in wanted:
                # ISA devices have no entry in pci_devices to name their interrupt.
                isa = irq.source is not None and not irq.ioapic and 0 <= irq.source < PIC_LINES
                yield C9.note(
                    "irq-unused",
                    (vm.name, irq.place),
                    f'no device of {vm.name} names the irq "{irq.name}"'
                    + (f"; pin {irq.source} is an ISA interrupt, not a PCI one" if isa else ""),
                    "leave it out" + (", unless the guest drives that ISA device itself" if isa else ""),
                )


def events_fit(inputs: Inputs) -> Found:
    """C11."""
    for vm in inputs.vms:
        if len(vm.irqs) <= EVENTS_IRQ:
            continue
        tell = C11.error if uses_events(vm) else C11.warning
        yield tell(
            "irqs-before-events",
            (vm.name, vm.place_of("vm_irqs")),
            f"{vm.name} has {len(vm.irqs)} interrupts; with cross-VM events at most {EVENTS_IRQ} fit",
            "give some of its devices to another VM",
        )


CHECKS = (
    (C1, ioapic_named),
    (C5, dest_in_range),
    (C6, dest_unique),
    (C7, dest_free_in_vmm),
    (C8, trigger_sane),
    (C9, irq_named),
    (C11, events_fit),
)
