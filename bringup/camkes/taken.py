"""What an application's settings already occupy: guest IRQs, pins, ports, frames, domains, devices. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from bringup.camkes.checks.dests import VMM_IRQS
from bringup.camkes.model import Application
from bringup.camkes.vm import Vm
from bringup.camkes.vm_read import read_vms
from bringup.pci.model import Bdf

GUEST_IRQS: Mapping[int, str] = {
    **VMM_IRQS,
    3: "the native serial port of COM2",
    12: "cross-VM events",
}
"""Guest interrupts that the VMM or a native component has, or may have (C6, C7); 10 is virtio-vsock's."""

VSOCK_IRQ = 10


def vms_of(application: Application) -> dict[str, Vm]:
    """Return the application's VMs by name, in the order of their numbers."""
    return {vm.name: vm for vm in read_vms(application)[0]}


def trailing_number(name: str) -> int | None:
    """Return the digits a name ends in, 2 for `vm2`."""
    digits = name[len(name.rstrip("0123456789")) :]
    return int(digits) if 0 < len(digits) <= 6 else None


@dataclass(frozen=True, slots=True)
class Occupied:
    """What VMs other than some named ones, and native components, hold; each with who holds it."""

    guest_irqs: Mapping[int, str]
    pins: Mapping[tuple[int, int], str]
    devices: Mapping[Bdf, str]
    ports: tuple[tuple[int, int, str], ...]
    frames: tuple[tuple[int, int, str], ...]
    domains: Mapping[int, str]


def occupied(application: Application, but: Collection[str]) -> Occupied:
    """Return what is held by everybody but the VMs in `but`, whose settings are about to be made."""
    irqs, pins = _native_interrupts(application)
    devices: dict[Bdf, str] = {}
    ports: list[tuple[int, int, str]] = []
    frames: list[tuple[int, int, str]] = []
    domains: dict[int, str] = {}
    for name, vm in vms_of(application).items():
        if name in but:
            continue
        for irq in vm.irqs:
            if irq.dest is not None:
                irqs.setdefault(irq.dest, f"{name} ({irq.place})")
            if irq.source is not None:
                pins.setdefault((irq.ioapic or 0, irq.source), f"{name} ({irq.place})")
        for device in vm.devices:
            who = f"{name} ({device.place})"
            if device.bdf is not None:
                devices.setdefault(device.bdf, who)
            frames += [(part.base, part.end, who) for part in device.memory]
        ports += [(part.start, part.end, f"{name} ({part.place})") for part in vm.ports]
        if (domain := vm.numbers.get("iospace_domain")) is not None:
            domains.setdefault(domain, name)
    return Occupied(irqs, pins, devices, tuple(ports), tuple(frames), domains)


def _native_interrupts(application: Application) -> tuple[dict[int, str], dict[tuple[int, int], str]]:
    """Return vectors and pins of native components (camkes-tool seL4HardwareInterrupt, `<name>_irq_...`)."""
    vectors: dict[int, str] = {}
    pins: dict[tuple[int, int], str] = {}
    for setting in application.settings:
        if not setting.applied or not isinstance(setting.value, int):
            continue
        who = f"{setting.instance} ({setting.place})"
        if setting.attribute.endswith("irq_vector"):
            vectors.setdefault(setting.value, who)
        elif setting.attribute.endswith("irq_ioapic_pin"):
            ioapic = application.value(setting.instance, setting.attribute.removesuffix("_pin"))
            pins.setdefault((ioapic if isinstance(ioapic, int) else 0, setting.value), who)
    return vectors, pins


def uses_vsock(vm: Vm) -> bool:
    """Whether the VMM of this VM gives guest IRQ 10 to virtio-vsock (C7)."""
    told = any(vm.settings[name].value for name in ("guest_cid", "socket_layout") if name in vm.settings)
    return told or any("vsock" in handler for handler in vm.handlers)
