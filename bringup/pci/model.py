"""The machine as the sources show it: functions, bridges, ACPI, interrupts; pure data.

What nobody observed is absent, never zero. `Function.provenance` is the one witness of observation: a field
whose name is a key there was read, and `None` or an empty tuple then means "read, and there is none"; a field
that is not a key there was not observed, whatever its value. Addresses and sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal, TypeVar

from bringup.base.place import Bdf as Bdf

IntxPin = Literal["A", "B", "C", "D"]
INTX_PINS: tuple[IntxPin, ...] = ("A", "B", "C", "D")


@dataclass(frozen=True, slots=True)
class Bar:
    """One base address register (PCI 3.0 6.2.5.1): its slot 0 to 5, kind, and what the registers say.

    `base` None: no address assigned. `size` None: not observed (a config space alone has no sizes).
    `numbered` False: the source (lspci -v) has no numbers, and `index` is only the order.
    `width` is 32 or 64 for memory, 20 for the reserved below-1M type; an I/O BAR counts as 32.
    """

    index: int
    kind: Literal["mem", "io"]
    base: int | None
    size: int | None = None
    width: int = 32
    prefetchable: bool = False
    numbered: bool = True

    @property
    def name(self) -> str:
        """What people call it: `BAR 3`; by its address where its number was not observed."""
        if self.numbered:
            return f"BAR {self.index}"
        return "a BAR without an address" if self.base is None else f"the BAR at {self.base:#x}"

    @property
    def end(self) -> int | None:
        """The first byte after the BAR; None when base or size is not known."""
        return None if self.base is None or self.size is None else self.base + self.size


@dataclass(frozen=True, slots=True)
class Rom:
    """The expansion ROM (PCI 3.0 6.2.5.2); `shadow` is Linux's copy in RAM at 0xc0000, not a BAR."""

    base: int | None
    size: int | None = None
    enabled: bool | None = None
    shadow: bool = False


@dataclass(frozen=True, slots=True)
class Window:
    """What a bridge forwards: addresses `base` to `limit`, both inclusive (PCI-to-PCI Bridge 1.2, 3.2.5)."""

    kind: Literal["io", "mem", "prefetchable"]
    base: int
    limit: int


@dataclass(frozen=True, slots=True)
class Bridge:
    """Bus numbers and open windows of a header type 1 or 2 function."""

    primary: int
    secondary: int
    subordinate: int
    windows: tuple[Window, ...] | None = None


@dataclass(frozen=True, slots=True)
class PowerManagement:
    """PM capability: the D-state now ("D0" to "D3hot") and whether D3hot keeps the state (NoSoftReset)."""

    state: str | None = None
    no_soft_reset: bool | None = None


@dataclass(frozen=True, slots=True)
class Msi:
    """MSI capability; `vectors` is what the function can ask for."""

    vectors: int | None = None
    enabled: bool | None = None
    wide: bool | None = None
    maskable: bool | None = None


@dataclass(frozen=True, slots=True)
class MsiX:
    """MSI-X capability: table and pending bit array as (BAR index, byte offset in it)."""

    vectors: int | None = None
    enabled: bool | None = None
    table_bar: int | None = None
    table_offset: int | None = None
    pba_bar: int | None = None
    pba_offset: int | None = None


@dataclass(frozen=True, slots=True)
class Pcie:
    """PCI Express capability; `port_type` as PCIe names it ("endpoint", "root port", "upstream port", …).

    Speeds in GT/s, widths in lanes; None where a source does not tell.
    """

    port_type: str | None = None
    flr: bool | None = None
    max_speed: float | None = None
    max_width: int | None = None
    speed: float | None = None
    width: int | None = None
    slot: int | None = None


@dataclass(frozen=True, slots=True)
class AdvancedFeatures:
    """Conventional PCI Advanced Features (AF): function level reset."""

    flr: bool


@dataclass(frozen=True, slots=True)
class Acs:
    """Access Control Services: raw capability and control words (PCIe 4.0 7.7.8); 0 means does nothing."""

    capability: int | None = None
    control: int | None = None


@dataclass(frozen=True, slots=True)
class Sriov:
    """SR-IOV (PCIe 4.0 9.3.3); the BARs are those of ONE virtual function, apart from the function's own.

    `bars` None: the source does not tell them.
    """

    enabled: bool | None = None
    total_vfs: int | None = None
    num_vfs: int | None = None
    first_offset: int | None = None
    stride: int | None = None
    vf_device: int | None = None
    bars: tuple[Bar, ...] | None = None


@dataclass(frozen=True, slots=True)
class SerialNumber:
    """Device serial number, written as Linux and lspci do: 00-11-22-ff-ff-33-44-55."""

    value: str


D = TypeVar("D", PowerManagement, Msi, MsiX, Pcie, AdvancedFeatures, Acs, Sriov, SerialNumber)
Decoded = PowerManagement | Msi | MsiX | Pcie | AdvancedFeatures | Acs | Sriov | SerialNumber


@dataclass(frozen=True, slots=True)
class Capability:
    """One capability: its id, its offset (None: not told), and its content where the id is a known one."""

    id: int
    offset: int | None
    extended: bool = False
    version: int | None = None
    decoded: Decoded | None = None


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
        """Header type 1 or 2, or class PCI bridge where the header was not read."""
        return self.header_type in (1, 2) or (
            self.header_type is None and self.class_code in (0x0604, 0x0607)
        )


REMARKS = ("problems", "moves", "unread")
"""The fields of a function that are remarks, not facts."""
FUNCTION_FIELDS = frozenset(f.name for f in fields(Function)) - {"bdf", "provenance", *REMARKS}


@dataclass(frozen=True, slots=True)
class IoApic:
    """MADT type 1 entry; `index` is its place in the table, which is seL4's `ioapic` number."""

    index: int
    id: int
    address: int
    gsi_base: int
    pins: int | None = None


@dataclass(frozen=True, slots=True)
class SourceOverride:
    """MADT type 2 entry: ISA IRQ `source` arrives at `gsi`."""

    source: int
    gsi: int
    flags: int


@dataclass(frozen=True, slots=True)
class Madt:
    """Interrupt controllers (ACPI 6.4, 5.2.12)."""

    ioapics: tuple[IoApic, ...]
    overrides: tuple[SourceOverride, ...] = ()
    cpus: int | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """DMAR device scope: `path` holds (device, function) pairs from `start_bus` down, several when multi-hop.

    `bdf` is the function the path ends at once the bridges' bus numbers are known.
    """

    kind: int
    enumeration_id: int
    start_bus: int
    path: tuple[tuple[int, int], ...]
    bdf: Bdf | None = None


@dataclass(frozen=True, slots=True)
class Drhd:
    """One VT-d remapping unit."""

    segment: int
    base: int
    include_all: bool
    scopes: tuple[Scope, ...]


@dataclass(frozen=True, slots=True)
class Rmrr:
    """Memory the firmware keeps for a device: `base` to `limit`, both inclusive."""

    segment: int
    base: int
    limit: int
    scopes: tuple[Scope, ...]


@dataclass(frozen=True, slots=True)
class Dmar:
    """VT-d reporting structure (VT-d 3.3, 8)."""

    address_bits: int | None
    flags: int | None
    drhds: tuple[Drhd, ...]
    rmrrs: tuple[Rmrr, ...]


@dataclass(frozen=True, slots=True)
class Mcfg:
    """One range of memory mapped config space."""

    base: int
    segment: int
    first_bus: int
    last_bus: int


@dataclass(frozen=True, slots=True)
class PrtEntry:
    """One `_PRT` row in APIC mode: INTx `pin` of `device` on `bus` arrives at `gsi` (None: not resolved)."""

    bus: int
    device: int
    pin: IntxPin
    gsi: int | None
    link: str | None = None
    domain: int = 0


@dataclass(frozen=True, slots=True)
class LostPrt:
    """A `_PRT` that is there and tells nothing: nobody behind it may be routed by the bus above.

    It is of `bus`, or with `behind` of a bus behind one of the bridges on it; None: of any.
    """

    bus: int | None
    behind: bool = False
    domain: int = 0


@dataclass(frozen=True, slots=True)
class Acpi:
    """Tables that were read; None for one that was not observed."""

    madt: Madt | None = None
    dmar: Dmar | None = None
    mcfg: tuple[Mcfg, ...] | None = None
    prt: tuple[PrtEntry, ...] | None = None
    lost_prt: tuple[LostPrt, ...] | None = None


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

    def find(self, bdf: Bdf) -> Function | None:
        """Return the function at this address."""
        for function in self.functions:
            if function.bdf == bdf:
                return function
        return None
