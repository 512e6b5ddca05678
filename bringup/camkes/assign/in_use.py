"""What an application's settings already occupy: guest IRQs, pins, ports, frames, domains, devices. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bringup.camkes.vms.native import native_hardware
from bringup.camkes.vms.read import read_vms

if TYPE_CHECKING:
    from bringup.camkes.model import Application
    from bringup.camkes.vms.model import Vm
    from bringup.pci.model import Bdf


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
    native = native_hardware(application)
    irqs = {vector: str(owner) for vector, owner in native.vectors}
    pins = {pin: str(owner) for pin, owner in native.pins}
    devices = {bdf: str(owner) for bdf, owner in native.functions}
    ports = [(start, end, str(owner)) for start, end, owner in native.ports]
    frames = [(start, end, str(owner)) for start, end, owner in native.memory]
    domains = {domain: str(owner) for domain, owner in native.domains}
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
