"""What a made machine is: functions with registers, and what firmware and Linux say of the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from bringup.pci.model import Bdf
from tests.machines import caps
from tests.machines.bars import MadeBar

C = TypeVar("C", bound=caps.Capability)
BRIDGE_CLASS = 0x0604


@dataclass(frozen=True)
class MadeWindow:
    """What a bridge forwards, `last` included; `kind` as lspci writes it."""

    kind: Literal["I/O", "Memory", "Prefetchable memory"]
    base: int
    last: int


@dataclass(frozen=True)
class Port:
    """A network port of Linux; `mbps` None: down."""

    name: str
    mac: str
    mbps: int | None = None


@dataclass(frozen=True)
class Made:
    """One function. `bars` are as the firmware left them, `moved` where Linux put them if it moved any.

    `rom` is (address, size, enabled); `irq` the number Linux shows; `vectors` those of MSI in use; `at_gsi`
    what the firmware's routing says of its INTx; `at_pin` the (IOAPIC, pin) where the firmware probe sees it.
    """

    bdf: Bdf
    vendor: int
    device: int
    class_code: int
    prog_if: int = 0
    revision: int = 0
    subsystem: tuple[int, int] = (0x15D9, 0x0987)
    multifunction: bool = False
    command: int = 6
    pin: int = 0
    line: int = 0xFF
    bars: tuple[MadeBar, ...] = ()
    moved: tuple[MadeBar, ...] | None = None
    rom: tuple[int, int, bool] | None = None
    secondary: int = 0
    subordinate: int = 0
    windows: tuple[MadeWindow, ...] = ()
    capabilities: tuple[caps.Capability, ...] = ()
    names: tuple[str, str] = ("Maker", "Device")
    driver: str | None = None
    bsd_driver: str | None = None
    modules: tuple[str, ...] = ()
    group: int | None = None
    irq: int = 0
    vectors: tuple[int, ...] = ()
    label: str | None = None
    slot: str | None = None
    physical: Bdf | None = None
    ports: tuple[Port, ...] = ()
    at_pin: tuple[int, int] | None = None

    @property
    def bridge(self) -> bool:
        return self.class_code == BRIDGE_CLASS

    @property
    def header(self) -> int:
        return 1 if self.bridge else 0

    @property
    def bars_now(self) -> tuple[MadeBar, ...]:
        """The BARs as they stand under Linux."""
        return self.bars if self.moved is None else self.moved

    def capability(self, kind: type[C]) -> C | None:
        """Return the capability of this kind."""
        return next((cap for cap in self.capabilities if isinstance(cap, kind)), None)


@dataclass(frozen=True)
class MadeScope:
    """A device scope of the DMAR: `kind` 1 endpoint, 2 bridge with all behind; `path` from `bus` down."""

    kind: int
    bus: int
    path: tuple[tuple[int, int], ...]
    id: int = 0


@dataclass(frozen=True)
class MadeMachine:
    """A machine: its functions in scan order, and what is true of the whole.

    `ioapics` are (id, address, first GSI, inputs); `overrides` (ISA IRQ, GSI, flags); `remapping` the DMAR's
    units as (register base, scopes), the one without scopes being for all the rest; `reserved` its RMRRs as
    (base, last, scopes); `memory` the usable ranges as (start, size).
    """

    functions: tuple[Made, ...]
    manufacturer: str = "Maker"
    product: str = "Product"
    baseboard: str = "Board"
    bios_version: str = "1.0"
    bios_date: str = "01/02/2020"
    cpu: str = "A processor"
    cpus: int = 1
    vtx: bool = True
    x2apic: bool = False
    uefi: bool = False
    iommu: bool = True
    memory: tuple[tuple[int, int], ...] = ((0x1000, 0x9E000), (0x100000, 0x3FF00000))
    kernel: str = "6.1.0-18-amd64"
    command_line: str = "root=/dev/nvme0n1p2 ro console=ttyS1,115200n8"
    ioapics: tuple[tuple[int, int, int, int], ...] = ((2, 0xFEC00000, 0, 24),)
    overrides: tuple[tuple[int, int, int], ...] = ((0, 2, 0), (9, 9, 0b1101))
    remapping: tuple[tuple[int, tuple[MadeScope, ...]], ...] = ()
    reserved: tuple[tuple[int, int, tuple[MadeScope, ...]], ...] = ()
    mcfg: int = 0x80000000
    routing: Mapping[str, int] = field(default_factory=dict)

    def at(self, place: str) -> Made:
        """Return the function at `17:00.0`."""
        return next(made for made in self.functions if made.bdf == Bdf.parse(place))

    @property
    def ethernet(self) -> tuple[Made, ...]:
        return tuple(made for made in self.functions if made.class_code == 0x0200)
