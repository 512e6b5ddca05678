"""Which guest interrupt an IOAPIC pin becomes: C5 to C7, C11."""

from __future__ import annotations

from collections.abc import Iterator

from bringup.camkes.checks.context import BUILD, COM_IRQS, Context
from bringup.camkes.checks.interrupts import irqs_of
from bringup.camkes.findings import Finding, Gap, Rule
from bringup.camkes.vm import Vm

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

_PIC_LINES = 16
_CROSS_VM_IRQ = 12
_VSOCK_IRQ = 10

# Guest interrupts behind which the VMM puts a device of its own, used or not.
VMM_IRQS = {
    0: "the PIT",
    2: "the PIC's cascade",
    4: "ttyS0",
    6: "virtio-net",
    7: "virtio-blk",
    8: "the RTC",
    9: "virtio-con",
    13: "the FPU",
}
# Free on every machine first: 3 goes to the serial server on com2 and com4, 10 to vsock, 12 to events.
_FREE_DESTS = (11, 10, 5, 14, 15, 3, 1)


def dest_in_range(context: Context) -> Found:
    """C5."""
    for vm, irq in irqs_of(context):
        if irq.dest is not None and not 0 <= irq.dest < _PIC_LINES:
            yield C5.error(
                "irq-dest-range",
                irq.place,
                vm.name,
                f'dest {irq.dest} of "{irq.name}" is no interrupt of the guest\'s PIC (0 to 15)',
                f'write "dest":{free_dest(context)}',
                f"dest {irq.dest}",
            )


def dest_unique(context: Context) -> Found:
    """C6."""
    console = context.console
    owners: dict[int, str] = {}
    if console in COM_IRQS:
        owners[COM_IRQS[console]] = f"the native serial port {console}"
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
                f'write "dest":{free_dest(context)}',
                f"dest {irq.dest}",
            )
        owners.setdefault(irq.dest, name)
        if irq.dest == 3 and console is None:
            yield C6.gap(f"{vm.name}: dest 3 is free only when the native console is com1 or com3", BUILD)


def dest_free_in_vmm(context: Context) -> Found:
    """C7."""
    for vm, irq in irqs_of(context):
        taken = dict(VMM_IRQS)
        if _uses_vsock(vm):
            taken[_VSOCK_IRQ] = "virtio-vsock"
        if _uses_events(vm):
            taken[_CROSS_VM_IRQ] = "cross-VM events"
        if irq.dest in taken:
            yield C7.error(
                "irq-dest-taken",
                irq.place,
                vm.name,
                f'dest {irq.dest} of "{irq.name}" is taken in every guest: {taken[irq.dest]}',
                f'write "dest":{free_dest(context)}',
                f"dest {irq.dest}",
            )
        elif irq.dest == _CROSS_VM_IRQ:
            yield C7.warning(
                "irq-dest-events",
                irq.place,
                vm.name,
                f'dest 12 of "{irq.name}" is that of cross-VM events, should the application have any',
                f'write "dest":{free_dest(context)}',
            )


def free_dest(context: Context) -> str:
    """Return a guest interrupt that nobody has, for a fix; in words when all are taken."""
    used = {irq.dest for _, irq in irqs_of(context)}
    native = {COM_IRQS.get(context.console or "com2")}
    vsock = {_VSOCK_IRQ} if any(_uses_vsock(vm) for vm in context.vms) else set()
    free = [dest for dest in _FREE_DESTS if dest not in used | native | vsock]
    return str(free[0]) if free else "one that another entry gives up (1, 3, 5, 10, 11, 14 and 15 are usable)"


def _uses_vsock(vm: Vm) -> bool:
    return "socket_layout" in vm.settings or any("vsock" in handler for handler in vm.handlers)


def _uses_events(vm: Vm) -> bool:
    # A dataport to another component has an id and a size (camkes-vm-examples optiplex9020); vswitch has not.
    return any(
        name.endswith("_id") and f"{name.removesuffix('_id')}_size" in vm.settings for name in vm.settings
    )


def events_fit(context: Context) -> Found:
    """C11."""
    for vm in context.vms:
        if len(vm.irqs) <= _CROSS_VM_IRQ:
            continue
        tell = C11.error if _uses_events(vm) else C11.warning
        yield tell(
            "irqs-before-events",
            vm.place_of("vm_irqs"),
            vm.name,
            f"{vm.name} has {len(vm.irqs)} interrupts; with cross-VM events at most {_CROSS_VM_IRQ} fit",
            "give some of its devices to another VM",
        )


CHECKS = (
    (C5, dest_in_range),
    (C6, dest_unique),
    (C7, dest_free_in_vmm),
    (C11, events_fit),
)
