"""What an application's settings already occupy: guest IRQs, pins, ports, frames, domains, devices. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from bringup.camkes.model import Application, Setting
from bringup.camkes.vms.model import Vm
from bringup.camkes.vms.read import read_vms
from bringup.camkes.vms.vmm import native_pins, native_vectors
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
    irqs = {vector: _who(setting) for vector, setting in native_vectors(application)}
    pins = {pin: _who(setting) for pin, setting in native_pins(application)}
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


def _who(setting: Setting) -> str:
    return f"{setting.instance} ({setting.place})"
