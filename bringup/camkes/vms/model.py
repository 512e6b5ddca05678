"""The virtual machines of an application: what each is given, and where that is written. Pure data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bringup.camkes.vms.attributes import UNTYPED_POOL
from bringup.camkes.vms.display import whole
from bringup.pci.model import Bdf

if TYPE_CHECKING:
    from bringup.camkes.model import Application, Place, Setting

PASSTHROUGH = ("vm_ioports", "pci_devices", "vm_irqs")

_VM_INSTANCE = re.compile(r"vm\d+", re.ASCII)
_VM_COMPONENT = re.compile(r"Init\d*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Range:
    """Bytes from `base` on, `size` many; `page_bits` where an entry of `memory` says it, else None."""

    base: int
    size: int
    place: Place
    page_bits: int | None = None

    @property
    def end(self) -> int:
        """The first byte after it."""
        return self.base + self.size


@dataclass(frozen=True, slots=True)
class Ports:
    """One entry of `vm_ioports`; `end` is the first port that is not the VM's."""

    name: str
    start: int
    end: int
    place: Place


@dataclass(frozen=True, slots=True)
class Device:
    """One entry of `pci_devices`; `irq` is the name of an entry of `vm_irqs`, None where it is no text."""

    name: str
    bus: int
    dev: int
    fun: int
    irq: str | None
    memory: tuple[Range, ...]
    place: Place

    @property
    def bdf(self) -> Bdf | None:
        """The function it names (config mechanism 1 reaches segment 0 only); None when there is none such."""
        try:
            return Bdf(0, self.bus, self.dev, self.fun)
        except ValueError:
            return None

    @property
    def at(self) -> str:
        """How people name it: `17:00.0`, and the name in the configuration."""
        return f'"{self.name}" ({self.bus:02x}:{self.dev:02x}.{self.fun:x})'


@dataclass(frozen=True, slots=True)
class Irq:
    """One entry of `vm_irqs`; what the entry does not have, or not as a number, is None."""

    name: str
    ioapic: int | None
    source: int | None
    level_trig: int | None
    active_low: int | None
    dest: int | None
    place: Place


@dataclass(frozen=True, slots=True)
class Pool:
    """`simple_untyped<bits>_pool = count`: so many pieces of 2^bits bytes."""

    instance: str
    bits: int
    count: int
    place: Place

    @property
    def bytes(self) -> int:
        """How much it takes; sizes outside of what the kernel has count as nothing."""
        return self.count << self.bits if 4 <= self.bits <= 47 else 0


@dataclass(frozen=True, slots=True)
class Vm:
    """One VM. `numbers` and `texts` hold its plain settings by name, as far as they are set and well formed.

    `place` is where it is declared, or its first setting; `handlers` are the functions `init_cons` calls to
    make a device; those that only register a callback are left out. `unread` are the attributes of which a
    part is known only to a macro or to camkes: they hold more.
    """

    name: str
    place: Place
    settings: Mapping[str, Setting]
    devices: tuple[Device, ...] = ()
    irqs: tuple[Irq, ...] = ()
    ports: tuple[Ports, ...] = ()
    excluded: tuple[Range, ...] = ()
    pools: tuple[Pool, ...] = ()
    handlers: tuple[str, ...] = ()
    numbers: Mapping[str, int] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()

    def place_of(self, attribute: str) -> Place:
        """Return where an attribute is set, or where the VM is declared when it is not."""
        setting = self.settings.get(attribute)
        return self.place if setting is None else setting.place

    @property
    def virtual_devices(self) -> int:
        """How many devices the VMM itself puts on the guest's PCI bus, as far as the settings tell."""
        return len(self.handlers) + ("serial_layout" in self.settings) + ("socket_layout" in self.settings)

    def slots(self, passed: int) -> int:
        """Return how many slots of the guest's PCI bus so many passed-through devices leave taken (C15)."""
        return 1 + passed + self.virtual_devices


def is_vm(instance: str, component: str | None = None) -> bool:
    """Whether an instance is a VM, by its name (`vm0`) or its component (`Init0`)."""
    return _VM_INSTANCE.fullmatch(instance) is not None or (
        component is not None and _VM_COMPONENT.fullmatch(component) is not None
    )


def read_pools(application: Application) -> tuple[Pool, ...]:
    """Return the untyped pools of every instance; a count that is no number gives none."""
    return tuple(
        pool for setting in application.settings if setting.applied and (pool := pool_of(setting)) is not None
    )


def pool_of(setting: Setting) -> Pool | None:
    """Return the pool that a setting asks for, None when it is no pool or its count no number."""
    match = UNTYPED_POOL.fullmatch(setting.attribute)
    count = whole(setting.value)
    if match is None or len(match[1]) > 4 or count is None:
        return None
    return Pool(setting.instance, int(match[1]), count, setting.place)
