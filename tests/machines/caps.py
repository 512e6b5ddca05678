"""Capabilities of a made function, each at its offset (PCI 3.0 chapter 6.7; PCIe 4.0 chapter 7)."""

from __future__ import annotations

from dataclasses import dataclass

from tests.machines.bars import MadeBar

ENDPOINT, ROOT_PORT, UPSTREAM, DOWNSTREAM, TO_CONVENTIONAL, INTEGRATED = 0, 4, 5, 6, 7, 9
"""Device/port types (PCIe 4.0, 7.5.3.2)."""


@dataclass(frozen=True)
class Power:
    """Power management; `state` 0 to 3."""

    at: int = 0x40
    state: int = 0
    version: int = 3


@dataclass(frozen=True)
class Msi:
    """MSI: how many vectors it asks for, and its four flags."""

    at: int = 0x50
    vectors: int = 1
    enabled: bool = False
    wide: bool = True
    maskable: bool = True


@dataclass(frozen=True)
class MsiX:
    """MSI-X: table and pending bits as (BAR, offset)."""

    at: int
    vectors: int
    table: tuple[int, int]
    pba: tuple[int, int]
    enabled: bool = False


@dataclass(frozen=True)
class Express:
    """PCI Express: port type, link now and at best (lanes, speed code 1 to 4; no link is 0, 0)."""

    port: int
    at: int = 0xA0
    flr: bool = False
    link: tuple[int, int] = (0, 0)
    most: tuple[int, int] = (1, 3)
    slot: int | None = None
    version: int = 2


@dataclass(frozen=True)
class AdvancedFeatures:
    """Conventional PCI's function level reset."""

    at: int
    flr: bool


@dataclass(frozen=True)
class BridgeSubsystem:
    """The subsystem of a bridge, which has no registers for it."""

    at: int


@dataclass(frozen=True)
class Other:
    """A capability of which only the id counts here."""

    id: int
    at: int


@dataclass(frozen=True)
class Serial:
    """Device serial number, first byte as lspci prints it first."""

    value: bytes
    at: int = 0x140


@dataclass(frozen=True)
class AccessControl:
    """ACS: capability and control words."""

    at: int
    capability: int = 0
    control: int = 0


@dataclass(frozen=True)
class VirtualFunctions:
    """SR-IOV; `bars` are those of one virtual function, by index 0 to 5."""

    total: int
    offset: int
    stride: int
    device: int
    at: int = 0x160
    now: int = 0
    bars: tuple[MadeBar, ...] = ()


@dataclass(frozen=True)
class OtherExtended:
    """An extended capability of which only id and version count here."""

    id: int
    at: int
    version: int = 1


Plain = Power | Msi | MsiX | Express | AdvancedFeatures | BridgeSubsystem | Other
Extended = Serial | AccessControl | VirtualFunctions | OtherExtended
Capability = Plain | Extended
EXTENDED = (Serial, AccessControl, VirtualFunctions, OtherExtended)
IDS: dict[type, int] = {
    Power: 0x01,
    Msi: 0x05,
    BridgeSubsystem: 0x0D,
    Express: 0x10,
    MsiX: 0x11,
    AdvancedFeatures: 0x13,
    Serial: 0x0003,
    AccessControl: 0x000D,
    VirtualFunctions: 0x0010,
}


def identity(capability: Capability) -> int:
    """Return the id that its list shows."""
    return capability.id if isinstance(capability, Other | OtherExtended) else IDS[type(capability)]
