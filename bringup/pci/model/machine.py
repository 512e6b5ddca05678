"""The machine as the sources show it: functions, bridges, ACPI, interrupts; pure data.

What nobody observed is absent, never zero. `Function.provenance` is the one witness of observation: a field
whose name is a key there was read, and `None` or an empty tuple then means "read, and there is none"; a field
that is not a key there was not observed, whatever its value. Addresses and sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal

from bringup.base.place import Bdf
from bringup.pci.model.acpi import Acpi
from bringup.pci.model.config import AdvancedFeatures, Bar, Bridge, Capability, D, IntxPin, Pcie, Rom


@dataclass(frozen=True, slots=True)
class NetInterface:
    """What the OS calls the port; `link` None and `speed_mbps` None: the OS does not say (port down)."""

    name: str
    mac: str | None = None
    link: bool | None = None
    speed_mbps: int | None = None


@dataclass(frozen=True, slots=True)
class Function:
    """One PCI function. See the module's word on `provenance`: it alone tells what was observed.

    `class_code` is base class and subclass (0x0200 Ethernet), `prog_if` the byte below. `irq` is the number
    the OS shows and `interrupt_line` the firmware's hint in config 0x3c: neither is an IOAPIC pin.
    `intx_pin` None and observed: the function has no INTx. `firmware_bars` are the BARs as the firmware left
    them, read from a boot log's first lines or from bare metal; `os_placed` are the BARs that an OS said it
    placed itself. Three kinds of remark, in sentences: `problems` about broken bytes, `moves` about what the
    OS made other than it was, `unread` about what the reader here did not understand.
    """

    bdf: Bdf
    vendor: int | None = None
    device: int | None = None
    subsystem: tuple[int, int] | None = None
    class_code: int | None = None
    prog_if: int | None = None
    revision: int | None = None
    header_type: int | None = None
    multifunction: bool | None = None
    command: int | None = None
    status: int | None = None
    vendor_name: str | None = None
    device_name: str | None = None
    subsystem_name: str | None = None
    class_name: str | None = None
    bars: tuple[Bar, ...] | None = None
    firmware_bars: tuple[Bar, ...] | None = None
    rom: Rom | None = None
    capabilities: tuple[Capability, ...] | None = None
    intx_pin: IntxPin | None = None
    interrupt_line: int | None = None
    irq: int | None = None
    msi_active: bool | None = None
    bridge: Bridge | None = None
    driver: str | None = None
    modules: tuple[str, ...] | None = None
    iommu_group: int | None = None
    numa_node: int | None = None
    power_state: str | None = None
    slot: str | None = None
    label: str | None = None
    physical_function: Bdf | None = None
    net: tuple[NetInterface, ...] | None = None
    config_bytes: int | None = None
    os_placed: tuple[Bar, ...] | None = None
    problems: tuple[str, ...] = ()
    moves: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)

    def observed(self, name: str) -> bool:
        """Whether any source told about this field; its value is meaningless otherwise."""
        return name in self.provenance

    def capability(self, kind: type[D]) -> D | None:
        """Return the decoded content of the first capability of this kind, None when there is none."""
        for capability in self.capabilities or ():
            if isinstance(capability.decoded, kind):
                return capability.decoded
        return None

    @property
    def flr(self) -> bool | None:
        """Whether the function can be reset alone (PCIe FLR or AF); None when not observed."""
        if not self.observed("capabilities"):
            return None
        known = [
            c.decoded.flr
            for c in self.capabilities or ()
            if isinstance(c.decoded, Pcie | AdvancedFeatures) and c.decoded.flr is not None
        ]
        return (
            any(known)
            if known or not any(isinstance(c.decoded, Pcie) for c in self.capabilities or ())
            else None
        )

    @property
    def is_ethernet(self) -> bool:
        """Class 0x0200; also true of a virtio-net function."""
        return self.class_code == 0x0200

    @property
    def is_bridge(self) -> bool:
        """Header type 1 or 2; where the header was not read, class PCI bridge or a bus that it leads to."""
        return self.header_type in (1, 2) or (
            self.header_type is None and (self.class_code in (0x0604, 0x0607) or self.bridge is not None)
        )


REMARKS = ("problems", "moves", "unread")
"""The fields of a function that are remarks, not facts."""
FUNCTION_FIELDS = frozenset(f.name for f in fields(Function)) - {"bdf", "provenance", *REMARKS}


@dataclass(frozen=True, slots=True)
class InterruptLine:
    """A row of /proc/interrupts: Linux's number, the controller ("IO-APIC", "PCI-MSI"), pin, users."""

    irq: int
    chip: str
    pin: int | None
    trigger: str | None
    count: int
    users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RoutedPin:
    """An OS's word that a function's INTx arrives at this GSI: the firmware's routing, all IOAPICs on."""

    bdf: Bdf
    gsi: int
    source: str


@dataclass(frozen=True, slots=True)
class Unplaced:
    """A device that an OS tells with its place in its own tree, whose buses have its own names, not numbers.

    It is function `function` of device `device` on the bus named `on`; a bridge leads to the bus `leads_to`.
    `what` is the OS's description, `bases` are the addresses of its BARs, `gsi` is where its INTx arrives.
    """

    name: str
    what: str
    on: str
    device: int
    function: int
    bases: tuple[int, ...]
    gsi: int | None
    leads_to: str | None
    source: str


@dataclass(frozen=True, slots=True)
class MeasuredPin:
    """An interrupt of this unit's function that was seen to arrive: `ioapic` is the MADT index."""

    bdf: Bdf
    ioapic: int
    pin: int
    source: str


@dataclass(frozen=True, slots=True)
class IoRange:
    """A range of /proc/ioports or /proc/iomem, `limit` inclusive; `depth` is its nesting."""

    base: int
    limit: int
    name: str
    depth: int


@dataclass(frozen=True, slots=True)
class Identity:
    """How the unit names itself (SMBIOS); None: not observed."""

    manufacturer: str | None = None
    product: str | None = None
    baseboard: str | None = None
    bios_version: str | None = None
    bios_date: str | None = None
    serial: str | None = None
    uuid: str | None = None


@dataclass(frozen=True, slots=True)
class Platform:
    """What is true of the whole machine; None: not observed. `memory_bytes` is what the OS counts."""

    cpu_model: str | None = None
    vtx: bool | None = None
    vtx_locked_off: bool | None = None
    x2apic: bool | None = None
    iommu: bool | None = None
    memory_bytes: int | None = None
    kernel: str | None = None
    command_line: str | None = None
    firmware: Literal["bios", "uefi"] | None = None

    @property
    def is_amd(self) -> bool:
        """Whether the processor is AMD's or of its kind: VT-x and VT-d have other names there."""
        return self.cpu_model is not None and self.cpu_model.startswith(("AMD", "Hygon"))


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """Where facts came from: `provenance` points at `name`; `kind` is the format, `sha256` of its bytes."""

    name: str
    kind: str
    sha256: str
    taken: str | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """An input that was looked for and not read, and why ("absent", "permission denied", "zeroed", …)."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two sources that disagree about a field of a function; the first one's value was kept."""

    bdf: Bdf
    field: str
    kept: str
    other: str


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine. `functions` are sorted by BDF and unique; None parts were not observed."""

    functions: tuple[Function, ...]
    identity: Identity | None = None
    platform: Platform = field(default_factory=Platform)
    acpi: Acpi = field(default_factory=Acpi)
    interrupts: tuple[InterruptLine, ...] | None = None
    ioports: tuple[IoRange, ...] | None = None
    iomem: tuple[IoRange, ...] | None = None
    sources: tuple[SourceInfo, ...] = ()
    missing: tuple[Missing, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    measured: tuple[MeasuredPin, ...] = ()
    routed: tuple[RoutedPin, ...] = ()
    unplaced: tuple[Unplaced, ...] = ()

    def find(self, bdf: Bdf) -> Function | None:
        """Return the function at this address."""
        for function in self.functions:
            if function.bdf == bdf:
                return function
        return None
