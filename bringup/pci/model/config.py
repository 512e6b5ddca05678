"""What config space says of a function: its BARs, its bridge, its capabilities; pure data.

Addresses and sizes are bytes. None: not observed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar

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
