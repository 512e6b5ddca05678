"""Who gets which function with what, and the settings that say so in a CAmkES application. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bringup.camkes.assign.resources import Frames, PortRange
from bringup.camkes.model import Value
from bringup.pci.assessment import PinCandidate
from bringup.pci.model import Bdf, Function


@dataclass(frozen=True, slots=True)
class Grant:
    """One function given to one VM; `pin` is the best belief, `irq` the name of its `vm_irqs` entry."""

    vm: str
    function: Function
    name: str
    irq: str
    pin: PinCandidate
    dest: int
    ports: tuple[PortRange, ...]
    frames: tuple[Frames, ...]
    reserved: tuple[tuple[int, int], ...] = ()
    accepted: tuple[str, ...] = ()

    @property
    def bdf(self) -> Bdf:
        """The function's address."""
        return self.function.bdf

    @property
    def line(self) -> tuple[int, int]:
        """The IOAPIC and its input."""
        return self.pin.ioapic, self.pin.pin


@dataclass(frozen=True, slots=True)
class Planned:
    """One setting as it shall be."""

    instance: str
    attribute: str
    value: Value


@dataclass(frozen=True, slots=True)
class Passthrough:
    """All grants of one assignment, in the order of VMs and BDFs, and what follows for each VM.

    `sizing` are settings of memory, by VM, as (attribute, value), also of VMs that get nothing else.
    """

    grants: tuple[Grant, ...]
    domains: Mapping[str, int]
    level_trig: int = 0
    active_low: int = 1
    sizing: Mapping[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)
    cautions: tuple[str, ...] = ()

    @property
    def vms(self) -> tuple[str, ...]:
        """The VMs that get something."""
        return tuple(dict.fromkeys(grant.vm for grant in self.grants))

    @property
    def written(self) -> tuple[str, ...]:
        """The VMs that are given a setting: those that get something, then those that are only sized."""
        return tuple(dict.fromkeys((*self.vms, *self.sizing)))

    def of(self, vm: str) -> tuple[Grant, ...]:
        """Return the grants of one VM."""
        return tuple(grant for grant in self.grants if grant.vm == vm)

    def irq_grants(self, vm: str) -> tuple[Grant, ...]:
        """Return one grant for each interrupt of a VM, the first that has it."""
        first: dict[str, Grant] = {}
        for grant in self.of(vm):
            first.setdefault(grant.irq, grant)
        return tuple(first.values())

    def settings(self) -> tuple[Planned, ...]:
        """Return every setting, VM by VM, in the order they are written."""
        return tuple(planned for vm in self.written for planned in self._of_vm(vm))

    def _of_vm(self, vm: str) -> list[Planned]:
        grants = self.of(vm)
        sizing = [Planned(vm, name, value) for name, value in self.sizing.get(vm, ())]
        if not grants:
            return sizing
        ports = [_ports_value(grant, part) for grant in grants for part in grant.ports]
        reserved = sorted({pair for grant in grants for pair in grant.reserved})
        planned = [Planned(vm, "vm_ioports", tuple(ports))] if ports else []
        planned += [
            Planned(vm, "pci_devices", tuple(_device_value(grant) for grant in grants)),
            Planned(vm, "vm_irqs", tuple(map(self._irq_value, self.irq_grants(vm)))),
            Planned(vm, "pci_devices_iospace", 1),
            Planned(vm, "iospace_domain", self.domains[vm]),
        ]
        if reserved:
            planned.append(Planned(vm, "exclude_paddr", tuple(reserved)))
        return planned + sizing

    def _irq_value(self, grant: Grant) -> Mapping[str | int, Value]:
        return {
            "name": grant.irq,
            "ioapic": grant.pin.ioapic,
            "source": grant.pin.pin,
            "level_trig": self.level_trig,
            "active_low": self.active_low,
            "dest": grant.dest,
        }


def _ports_value(grant: Grant, ports: PortRange) -> Mapping[str | int, Value]:
    return {"start": ports.start, "end": ports.end, "pci_device": 0, "name": grant.name}


def _device_value(grant: Grant) -> Mapping[str | int, Value]:
    bdf = grant.bdf
    return {
        "name": grant.name,
        "bus": bdf.bus,
        "dev": bdf.device,
        "fun": bdf.function,
        "irq": grant.irq,
        "memory": tuple({"paddr": f.paddr, "size": f.size, "page_bits": 12} for f in grant.frames),
    }
