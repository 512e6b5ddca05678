"""Which guest interrupt an IOAPIC pin becomes: C5 to C7, C11."""

from __future__ import annotations

from collections.abc import Iterator

from bringup.base.finding import Finding, Gap, Rule
from bringup.camkes.vms.model import Irq
from bringup.camkes.vms.vmm import (
    COM_IRQS,
    EVENTS_IRQ,
    PIC_LINES,
    USABLE_IRQS,
    native_vectors,
    taken_irqs,
    uses_events,
)
from bringup.rules.context import BUILD, Context
from bringup.rules.interrupts import irqs_of

Found = Iterator[Finding | Gap]

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
C11 = Rule("C11", "cross-VM events leave room: at most 12 interrupts", "camkes-vm Init/src/main.c init_irqs")

# Free on every machine first: 10 goes to vsock, 3 to the serial server on com2 and com4.
_FREE_DESTS = (11, 10, *(dest for dest in USABLE_IRQS if dest not in (10, 11)), 3)
_NONE_FREE = "one that another entry gives up (1, 3, 5, 10, 11, 14 and 15 are usable)"


def dest_in_range(context: Context) -> Found:
    """C5."""
    free = _FreeDests(context)
    for vm, irq in irqs_of(context):
        if irq.dest is not None and not 0 <= irq.dest < PIC_LINES:
            yield C5.error(
                "irq-dest-range",
                irq.place,
                vm.name,
                f'dest {irq.dest} of "{irq.name}" is no interrupt of the guest\'s PIC (0 to 15)',
                free.fix(irq),
                f"dest {irq.dest}",
            )


def dest_unique(context: Context) -> Found:
    """C6."""
    free = _FreeDests(context)
    console = context.console
    owners: dict[int, str] = {}
    if console in COM_IRQS:
        owners[COM_IRQS[console]] = f"the native serial port {console}"
    for vector, setting in native_vectors(context.application):
        owners.setdefault(vector, f"{setting.instance} ({setting.place})")
    for vm, irq in irqs_of(context):
        if irq.dest is None:
            continue
        name = f'"{irq.name}" of {vm.name}'
        if irq.dest in owners:
            yield C6.error(
                "irq-dest-twice",
                irq.place,
                vm.name,
                f"dest {irq.dest} of {name} is also that of {owners[irq.dest]}",
                free.fix(irq),
                f"dest {irq.dest}",
            )
        owners.setdefault(irq.dest, name)
        if irq.dest == 3 and console is None:
            yield C6.gap(f"{vm.name}: dest 3 is free only when the native console is com1 or com3", BUILD)


def dest_free_in_vmm(context: Context) -> Found:
    """C7."""
    free = _FreeDests(context)
    for vm, irq in irqs_of(context):
        taken = taken_irqs(vm)
        if irq.dest is not None and irq.dest in taken:
            yield C7.error(
                "irq-dest-taken",
                irq.place,
                vm.name,
                f'dest {irq.dest} of "{irq.name}" is taken in every guest: {taken[irq.dest]}',
                free.fix(irq),
                f"dest {irq.dest}",
            )
        elif irq.dest == EVENTS_IRQ:
            yield C7.warning(
                "irq-dest-events",
                irq.place,
                vm.name,
                f'dest 12 of "{irq.name}" is that of cross-VM events, should the application have any',
                free.fix(irq),
            )


class _FreeDests:
    """Which guest interrupt an entry that has to change could take; each gets another."""

    def __init__(self, context: Context) -> None:
        native = {
            COM_IRQS.get(context.console or "com2"),
            *(v for v, _ in native_vectors(context.application)),
        }
        taken = {dest for vm in context.vms for dest in taken_irqs(vm)} | native
        keeps: set[int | None] = set()
        changing: list[Irq] = []
        for _, entry in irqs_of(context):
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


def events_fit(context: Context) -> Found:
    """C11."""
    for vm in context.vms:
        if len(vm.irqs) <= EVENTS_IRQ:
            continue
        tell = C11.error if uses_events(vm) else C11.warning
        yield tell(
            "irqs-before-events",
            vm.place_of("vm_irqs"),
            vm.name,
            f"{vm.name} has {len(vm.irqs)} interrupts; with cross-VM events at most {EVENTS_IRQ} fit",
            "give some of its devices to another VM",
        )


CHECKS = (
    (C5, dest_in_range),
    (C6, dest_unique),
    (C7, dest_free_in_vmm),
    (C11, events_fit),
)
