"""What the x86 VMM of camkes-vm has and keeps: addresses, ports, guest IRQs. Pure.

Whoever writes settings and whoever checks them read the same facts here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bringup.camkes.vms.model import Vm

PAGE = 4096
GIB = 1 << 30
MIB = 1 << 20

WINDOW_START, WINDOW_END = 0x1000_3000, 0xA000_0000
"""Guest-physical addresses that hold guest RAM and BARs (seL4_projects_libs guest memory; C25, C36)."""

PORTS = 0x10000
"""How many I/O ports x86 has (C31)."""

EMULATED_PORTS = (
    (0x20, 0x22, "the first PIC"),
    (0x40, 0x44, "the PIT"),
    (0x70, 0x72, "the RTC"),
    (0xA0, 0xA2, "the second PIC"),
    (0x3F8, 0x400, "ttyS0"),
    (0x4D0, 0x4D2, "the PIC's trigger registers"),
    (0xCF8, 0xD00, "PCI configuration"),
)
"""First port, first after it, and what every VMM has there (camkes-vm Init/src/main.c; C30)."""

_VIRTIO_PORTS, _VIRTIO_PORTS_EACH = 0x9000, 0x400
"""FREE_IOPORT_START (camkes-vm Init/src/main.c), and what each virtio device takes from there on (C30)."""
_VIRTIO_KINDS = 4
"""Net, block, console and vsock: of a VM that is not known any may be there."""


def emulated_at(start: int, end: int, vm: Vm | None = None) -> tuple[int, int, str] | None:
    """Return the VMM's own ports that `start` to before `end` meets: first, first after, what is there.

    Ports of virtio devices are as many as the `vm` has such devices: a handler that is a dummy only registers
    a callback and makes none. Of a VM that is not known, or not wholly, all of them count.
    """
    known = vm is not None and "init_cons" not in vm.unread
    devices = vm.virtual_devices if vm is not None and known else _VIRTIO_KINDS
    virtio = (_VIRTIO_PORTS, _VIRTIO_PORTS + devices * _VIRTIO_PORTS_EACH, "its virtio devices")
    own_ports = (*EMULATED_PORTS, virtio) if devices else EMULATED_PORTS
    return next((own for own in own_ports if start < own[1] and own[0] < end), None)


PCI_MAX_DEVICES = 128
"""Functions that the PCI table of stock libraries holds (util_libs libpci; util_libs#201 has 256; C14)."""

BAR_LIMIT = 4 * GIB
"""The first address at which no BAR may lie: libpci's base_addr has 32 bits (C21)."""

GUEST_SLOTS = 31
"""Devices on a guest's PCI bus (seL4_projects_libs vmm_pci: one bus of 32 slots; C15)."""

CNODE_BITS_DEFAULT = 21  # camkes-vm components/VM/configurations/vm.h
SLOT_BYTES = 32  # seL4 x86_64: seL4_SlotBits 5

# util_libs libplatsupport plat/pc99/serial.h: the interrupt of each console device.
COM_IRQS = {"com1": 4, "com2": 3, "com3": 4, "com4": 3}
STOCK_CONSOLE = "com1"
"""util_libs libplatsupport: LibPlatSupportX86ConsoleDevice where nobody chooses."""

# Guest IRQs.

PIC_LINES = 16
EVENTS_IRQ = 12
"""Guest IRQ of cross-VM events; `init_irqs` puts them behind all others (camkes-vm Init/src/main.c; C11)."""

USABLE_IRQS = (10, 11, 5, 14, 15, 1)
"""Guest IRQs for passed-through devices, first those of camkes-vm-examples#90. All are free in a VMM without
vsock (C7); 3 is left out because the console may be on COM2."""

_VSOCK_IRQ = 10
_VMM_IRQS = {0: "the PIT", 2: "the PIC's cascade", 4: "ttyS0", 8: "the RTC"}
_VIRTIO_IRQS = {6: ("virtio-net", "net"), 7: ("virtio-blk", "blk"), 9: ("virtio-con", "con")}
"""Guest IRQ, device, and the word in the name of the handler that makes it (make_virtio_net_vswitch)."""


def taken_irqs(vm: Vm) -> Mapping[int, str]:
    """Return the guest IRQs behind which a VM's own VMM puts a device (C7).

    Some are there in every VM, the others where the application has that device. Sources: camkes-vm
    components/Init/src (virtio_irq.h, i8254.c, main.c, virtio_*.c). Nothing of the VMM is at 13.
    """
    taken = dict(_VMM_IRQS)
    for irq, (device, word) in _VIRTIO_IRQS.items():
        if any("virtio" in handler and f"_{word}" in handler for handler in vm.handlers):
            taken[irq] = device
    if vm.settings.get("serial_layout") and vm.settings["serial_layout"].value:
        taken[9] = "virtio-con"
    if uses_vsock(vm):
        taken[_VSOCK_IRQ] = "virtio-vsock"
    if uses_events(vm):
        taken[EVENTS_IRQ] = "cross-VM events"
    return taken


def perhaps_taken_irqs(vm: Vm, *, complete: bool) -> Mapping[int, str]:
    """Return the guest IRQs of devices that the VM may have: its handlers, or events, are not all known.

    `complete`: all of the application was read. One without cross-VM events has nothing at their interrupt,
    which such applications use (camkes-vm-examples#90: "dest":12 of a port).
    """
    perhaps = {} if complete else {EVENTS_IRQ: "cross-VM events"}
    if "init_cons" in vm.unread:
        perhaps |= {irq: device for irq, (device, _) in _VIRTIO_IRQS.items()}
    taken = taken_irqs(vm)
    return {irq: device for irq, device in perhaps.items() if irq not in taken}


def uses_vsock(vm: Vm) -> bool:
    """Whether a VM has virtio-vsock: by its layout, its number or a handler."""
    told = any(vm.settings[name].value for name in ("guest_cid", "socket_layout") if name in vm.settings)
    return told or any("vsock" in handler for handler in vm.handlers)


def uses_events(vm: Vm) -> bool:
    """Whether a VM has cross-VM events.

    A dataport to another component has an id and a size (camkes-vm-examples optiplex9020); vswitch has not.
    """
    return any(
        name.endswith("_id") and f"{name.removesuffix('_id')}_size" in vm.settings for name in vm.settings
    )
