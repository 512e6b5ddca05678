"""Chips: what any unit of one shows, wherever it sits. Data, with where it is told.

Sources, by the letters in `source`:
  D  datasheets: Intel 333069 (I350), 332464 (X710 family, whose registers X722 has), 336067 and 336065 (Xeon
     Scalable uncore), 335902 (C620 chipset: functions, BARs, capabilities)
  F  dumps of single units: FreeBSD, Linux lspci and DMI of the E300-9D and its siblings;
     seL4/camkes-vm-examples#90 and #27
  L  public listings of E300-9D machines (bsdhw/PCIconf, CC BY 4.0): the facts, put down in our own words
  P  pci.ids: names
Pins of functions are A unless a source tells another; those of bridges and of chipset functions are INF.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from bringup.pci.model import Bdf
from tests.machines.bars import MadeBar
from tests.machines.caps import (
    DOWNSTREAM,
    ENDPOINT,
    INTEGRATED,
    ROOT_PORT,
    TO_CONVENTIONAL,
    UPSTREAM,
    AccessControl,
    AdvancedFeatures,
    BridgeSubsystem,
    Capability,
    Express,
    Msi,
    MsiX,
    Other,
    OtherExtended,
    Power,
    Serial,
    VirtualFunctions,
)
from tests.machines.model import BRIDGE_CLASS, Made
from tests.machines.names import ASPEED, CRUCIAL, INTEL, MICRON, SAMSUNG, VENDORS

K, M = 1 << 10, 1 << 20
AER, ARI, VENDOR, TPH, LTR, SECONDARY, CHANNEL = 0x01, 0x0E, 0x0B, 0x17, 0x18, 0x19, 0x02
GEN1, GEN2, GEN3, GEN4 = 1, 2, 3, 4
"""Speed codes of links: 2.5, 5, 8 and 16 GT/s."""


def mem(index: int, size: int, *, wide: bool = False, prefetchable: bool = False) -> MadeBar:
    return MadeBar(index, False, 0, size, wide, prefetchable)


def io(index: int, size: int) -> MadeBar:
    return MadeBar(index, True, 0, size)


def extended(*places: tuple[int, int] | tuple[int, int, int]) -> tuple[OtherExtended, ...]:
    """Return (id, offset) or (id, offset, version) as capabilities."""
    return tuple(OtherExtended(*place) for place in places)


@dataclass(frozen=True)
class Chip:
    """A kind of function. `code` is the class with its programming interface."""

    ids: tuple[int, int]
    name: str
    code: int
    source: str
    revision: int = 0
    subsystem: tuple[int, int] = (INTEL, 0)
    bars: tuple[MadeBar, ...] = ()
    capabilities: tuple[Capability, ...] = ()
    pin: int = 0
    rom: int = 0
    driver: str | None = None
    bsd_driver: str | None = None

    def at(self, place: str, *bases: int, **changes: Any) -> Made:
        """Return the function at a place, its BARs at `bases` in order; a bridge leads nowhere yet."""
        bars = tuple(replace(bar, base=base) for bar, base in zip(self.bars, bases, strict=True))
        io_on = any(bar.io for bar in bars)
        values: dict[str, Any] = {
            "prog_if": self.code & 0xFF,
            "revision": self.revision,
            "subsystem": self.subsystem,
            "command": 6 | io_on if bars or self.bridge else 0,
            "bars": bars,
            "capabilities": self.capabilities,
            "pin": self.pin,
            "names": (VENDORS[self.ids[0]], self.name),
            "driver": self.driver,
            "bsd_driver": self.bsd_driver,
        }
        return Made(Bdf.parse(place), *self.ids, self.code >> 8, **values | changes)

    @property
    def bridge(self) -> bool:
        return self.code >> 8 == BRIDGE_CLASS


def each(chip: Chip, *places: str) -> Iterator[Made]:
    """Yield the same function at several places, none of which has a BAR."""
    for place in places:
        yield chip.at(place)


def functions(device: str, count: int) -> tuple[str, ...]:
    """Return `count` places from `16:08` on, eight to a device."""
    bus, _, first = device.partition(":")
    return tuple(f"{bus}:{int(first, 16) + n // 8:02x}.{n % 8}" for n in range(count))


# The processor's own functions (sources D, L, P). Those without a list show none.
_REGISTERS = 0x088000
_LISTED = (Express(INTEGRATED, 0x40),)
_LISTED_V1 = (Express(INTEGRATED, 0x40, version=1),)


def uncore(device: int, name: str, *, listed: tuple[Capability, ...] = (), code: int = _REGISTERS) -> Chip:
    return Chip((INTEL, device), f"Sky Lake-E {name}", code, "DLP", 4, capabilities=listed)


_PORT_LIST = extended((VENDOR, 0x100), (VENDOR, 0x144), (VENDOR, 0x1D0), (SECONDARY, 0x250), (VENDOR, 0x280))
_PORT_LIST += extended((VENDOR, 0x300))
DMI = Chip(
    (INTEL, 0x2020),
    "Sky Lake-E DMI3 Registers",
    0x060000,
    "DLP",
    4,
    capabilities=(Express(ROOT_PORT, 0x90, most=(4, GEN3)), Power(0xE0), *_PORT_LIST),
    bsd_driver="hostb",
)
CBDMA = Chip(
    (INTEL, 0x2021),
    "Sky Lake-E CBDMA Registers",
    _REGISTERS,
    "DFLP",
    4,
    bars=(mem(0, 16 * K, wide=True),),
    capabilities=(
        MsiX(0x80, 1, (0, 0x2000), (0, 0x3000), enabled=True),
        Express(INTEGRATED, 0x90),
        Power(0xE0),
    ),
    pin=1,
    driver="ioatdma",
    bsd_driver="ioat",
)
VTD_PCH = uncore(0x2024, "MM/Vt-d Configuration Registers", listed=_LISTED)
VTD = uncore(0x2034, "VT-d", listed=_LISTED)
RAS_PCH = replace(uncore(0x2025, "RAS", listed=_LISTED), subsystem=(0, 0))
RAS = replace(uncore(0x2035, "RAS Configuration Registers", listed=_LISTED), subsystem=(0, 0))
_IOAPIC_LIST = (Express(INTEGRATED, 0x44, version=1), Power(0xE0))
IOAPIC_PCH = Chip(
    (INTEL, 0x2026),
    "Sky Lake-E IOAPIC",
    0x080020,
    "DFLP",
    4,
    (INTEL, 0x2026),
    (mem(0, 4 * K),),
    _IOAPIC_LIST,
    bsd_driver="ioapic",
)
IOAPIC = replace(
    IOAPIC_PCH,
    ids=(INTEL, 0x2036),
    subsystem=(INTEL, 0x2036),
    name="Sky Lake-E IOxAPIC Configuration Registers",
)
UBOX = tuple(
    uncore(device, "Ubox Registers", listed=listed, code=code)
    for device, listed, code in (
        (0x2014, _LISTED, _REGISTERS),
        (0x2015, (), 0x110100),
        (0x2016, _LISTED, _REGISTERS),
    )
)
CHA_LOW, CHA_HIGH = uncore(0x208D, "CHA Registers"), uncore(0x208E, "CHA Registers")
CHA_ALL = tuple(uncore(device, "CHA Registers") for device in range(0x2054, 0x2058))
PCU = tuple(uncore(device, "PCU Registers") for device in range(0x2080, 0x2087))
MEMORY = uncore(0x2066, "Integrated Memory Controller", listed=_LISTED_V1)
_CHANNELS = ("Integrated Memory Controller",) * 5 + ("LM Channel 1", "LMS Channel 1", "LMDP Channel 1")
_CHANNELS += ("DECS Channel 2", "LM Channel 2", "LMS Channel 2", "LMDP Channel 2")
CHANNELS = tuple(uncore(0x2040 + n, name, listed=_LISTED_V1) for n, name in enumerate(_CHANNELS))
MESH_KTI = (
    uncore(0x204C, "M3KTI Registers", listed=_LISTED, code=0x110100),
    uncore(0x204D, "M3KTI Registers", code=0x110100),
    uncore(0x204E, "M3KTI Registers"),
)
MESH_PCI = uncore(0x2018, "M2PCI Registers")

# Root ports of the processor (F: 2030 to 2033 are ports A to D; L: capabilities).
_ROOT_LIST: tuple[Capability, ...] = (OtherExtended(VENDOR, 0x100), AccessControl(0x110))
_ROOT_LIST += extended((AER, 0x148), (VENDOR, 0x1D0), (SECONDARY, 0x250))
_ROOT_LIST += extended((VENDOR, 0x280), (VENDOR, 0x300))


def root_port(letter: str, most: int, link: tuple[int, int], slot: int | None = None) -> Chip:
    """Port `letter` of a stack, `most` lanes wide, with what its link is now."""
    express = Express(ROOT_PORT, 0x90, link=link, most=(most, GEN3), slot=slot)
    msi = Msi(0x60, 2, wide=False)
    return Chip(
        (INTEL, 0x2030 + "ABCD".index(letter)),
        f"Sky Lake-E PCI Express Root Port {letter}",
        0x060400,
        "DFLP",
        4,
        capabilities=(
            BridgeSubsystem(0x40),
            msi,
            express,
            Power(0xE0),
            *_ROOT_LIST,
        ),
        pin=1,
        driver="pcieport",
        bsd_driver="pcib",
    )


# The chipset (D, L, P). Its functions carry the board's subsystem.
def _chipset(device: int, name: str, code: int, *bars: MadeBar, **more: Any) -> Chip:
    return Chip((INTEL, device), f"C620 Series Chipset Family {name}", code, "DLP", 4, bars=bars, **more)


MROM = tuple(_chipset(0xA1EC + n, f"MROM {n}", 0xFF0000, capabilities=(Power(0x80),)) for n in range(2))
_AHCI_BARS = (mem(0, 8 * K), mem(1, 256), io(2, 8), io(3, 4), io(4, 32), mem(5, 512 * K))
_AHCI_LIST = (
    Msi(0x80, enabled=True, wide=False, maskable=False),
    Power(0x70),
    Other(0x12, 0xA8),
    AdvancedFeatures(0xB0, flr=True),
)
SSATA = _chipset(
    0xA1D2,
    "SSATA Controller [AHCI mode]",
    0x010601,
    *_AHCI_BARS,
    capabilities=_AHCI_LIST,
    pin=1,
    driver="ahci",
)
SATA = replace(SSATA, ids=(INTEL, 0xA182), name="C620 Series Chipset Family SATA Controller [AHCI mode]")
XHCI = _chipset(
    0xA1AF,
    "USB 3.0 xHCI Controller",
    0x0C0330,
    mem(0, 64 * K, wide=True),
    capabilities=(Power(0x70, version=2), Msi(0x80, 8, enabled=True, maskable=False)),
    pin=1,
    driver="xhci_hcd",
    bsd_driver="xhci",
)
THERMAL = _chipset(
    0xA1B1,
    "Thermal Subsystem",
    0x118000,
    mem(0, 4 * K, wide=True),
    capabilities=(Power(0x50), Msi(0x80, wide=False, maskable=False)),
    pin=3,
)
MEI = tuple(
    _chipset(
        device,
        "MEI Controller",
        0x078000,
        mem(0, 4 * K, wide=True),
        capabilities=(Power(0x50), Msi(0x8C, maskable=False)),
        pin=pin,
    )
    for device, pin in ((0xA1BA, 1), (0xA1BB, 2), (0xA1BE, 1))
)
LPC = replace(_chipset(0xA1C8, "", 0x060100, bsd_driver="isab"), name="C622 Series Chipset LPC Controller")
PMC = _chipset(0xA1A1, "Power Management Controller", 0x058000, mem(0, 16 * K))
SMBUS = _chipset(0xA1A3, "SMBus", 0x0C0500, mem(0, 256, wide=True), io(4, 32), pin=1)
SPI = _chipset(0xA1A4, "SPI Controller", 0x0C8000, mem(0, 4 * K))


def chipset_port(
    device: int, most: int, link: tuple[int, int] = (0, 0), slot: int | None = None, *, bare: bool = False
) -> Chip:
    """A root port of the chipset; a `bare` one shows no extended capabilities."""
    tail = () if bare else (OtherExtended(AER, 0x100), AccessControl(0x140), OtherExtended(SECONDARY, 0x220))
    return replace(
        _chipset(device, "PCI Express Root Port", 0x060400),
        revision=0xF4,
        capabilities=(
            Express(ROOT_PORT, 0x40, link=link, most=(most, GEN3), slot=slot),
            Msi(0x80, wide=False, maskable=False),
            BridgeSubsystem(0x90),
            Power(0xA0),
            *tail,
        ),
        pin=1,
        driver="pcieport",
        bsd_driver="pcib",
    )


# The BMC's video (F, L).
AST1150 = Chip(
    (ASPEED, 0x1150),
    "AST1150 PCI-to-PCI Bridge",
    0x060400,
    "FLP",
    4,
    (ASPEED, 0x1150),
    capabilities=(
        Msi(0x50, maskable=False),
        Power(0x78),
        Express(TO_CONVENTIONAL, 0x80, link=(1, GEN2), most=(1, GEN2)),
        BridgeSubsystem(0xC0),
        *extended((CHANNEL, 0x100), (AER, 0x800)),
    ),
    pin=1,
    bsd_driver="pcib",
)
AST2500 = Chip(
    (ASPEED, 0x2000),
    "ASPEED Graphics Family",
    0x030000,
    "FLP",
    0x41,
    bars=(mem(0, 16 * M), mem(1, 128 * K), io(2, 128)),
    capabilities=(Power(), Msi(0x50, 2, maskable=False)),
    pin=1,
    driver="ast",
    bsd_driver="vgapci",
)

# Solid state disks (L; PCIe 4.0 for ids).
NVME_SAMSUNG = Chip(
    (SAMSUNG, 0xA80A),
    "NVMe SSD Controller PM9A1",
    0x010802,
    "LP",
    subsystem=(SAMSUNG, 0xA801),
    bars=(mem(0, 16 * K, wide=True),),
    capabilities=(
        Power(),
        Msi(0x50, 32, maskable=False),
        Express(ENDPOINT, 0x70, flr=True, link=(4, GEN3), most=(4, GEN4)),
        MsiX(0xB0, 130, (0, 0x3000), (0, 0x2000), enabled=True),
        *extended((AER, 0x100, 2), (ARI, 0x168), (SECONDARY, 0x178), (0x26, 0x198), (0x27, 0x1BC)),
        *extended((LTR, 0x214), (0x1E, 0x21C), (0x25, 0x3A0)),
    ),
    pin=1,
    driver="nvme",
)

NVME_CRUCIAL = Chip(
    (CRUCIAL, 0x540A),
    "P2 NVMe PCIe SSD",
    0x010802,
    "LP",
    1,
    (CRUCIAL, 0x5021),
    (mem(0, 16 * K, wide=True),),
    (
        Express(ENDPOINT, 0x80, flr=True, link=(4, GEN3), most=(4, GEN4)),
        MsiX(0xD0, 9, (0, 0x2000), (0, 0x3000), enabled=True),
        Msi(0xE0, 8),
        Power(0xF8),
        *extended((LTR, 0x100), (0x1E, 0x110), (ARI, 0x128), (0x25, 0x1E0), (AER, 0x200, 2)),
        *extended((SECONDARY, 0x300), (0x26, 0x340), (0x27, 0x378)),
    ),
    pin=1,
    driver="nvme",
)

NVME_MICRON = Chip(
    (MICRON, 0x5410),
    "2200S NVMe SSD",
    0x010802,
    "LP",
    1,
    (MICRON, 0x0100),
    (mem(0, 16 * K, wide=True),),
    (
        Express(ENDPOINT, 0x80, flr=True, link=(4, GEN3), most=(4, GEN3)),
        MsiX(0xD0, 32, (0, 0x3000), (0, 0x3200), enabled=True),
        Msi(0xE0, maskable=False),
        Power(0xF8),
        *extended((VENDOR, 0x100), (LTR, 0x108), (0x1E, 0x110), (AER, 0x200), (SECONDARY, 0x300)),
    ),
    pin=1,
    driver="nvme",
)

# Switch in front of the X722 (F, L): subsystem as it left the factory.
_UNSET = (0xBEEF, 0xDEAD)
SWITCH_UP = Chip(
    (INTEL, 0x37C0),
    "C62x Upstream Port",
    0x060400,
    "FLP",
    4,
    _UNSET,
    (mem(0, 128 * K, wide=True),),
    (
        Express(UPSTREAM, 0x40, link=(16, GEN3), most=(16, GEN3)),
        Power(0x80),
        BridgeSubsystem(0x88),
        *extended((AER, 0x100), (SECONDARY, 0x200)),
    ),
    pin=1,
    driver="pcieport",
    bsd_driver="pcib",
)


def switch_down(device: int) -> Chip:
    """One of the switch's downstream ports: 37c2, 37c4 (QuickAssist) or 37c5 (X722)."""
    return replace(
        SWITCH_UP,
        ids=(INTEL, device),
        name="C62x Downstream Port",
        bars=(),
        capabilities=(
            Express(DOWNSTREAM, 0x40, link=(1, GEN1), most=(1, GEN1)),
            Power(0x80),
            BridgeSubsystem(0x88),
            OtherExtended(AER, 0x100),
            AccessControl(0x138),
        ),
    )


QUICKASSIST = Chip(
    (INTEL, 0x37C8),
    "C62x Chipset QuickAssist Technology",
    0x0B4000,
    "FLP",
    4,
    bars=(mem(2, 256 * K, wide=True), mem(4, 256 * K, wide=True)),
    capabilities=(
        Msi(0xB0),
        MsiX(0x60, 17, (2, 0x3B000), (2, 0x3B800)),
        Power(0x6C),
        Express(ENDPOINT, 0x74, flr=True, link=(16, GEN2), most=(16, GEN2)),
        *extended((AER, 0x100), (ARI, 0x138)),
        VirtualFunctions(16, 8, 1, 0x37C9, at=0x140),
        AccessControl(0x1B0),
    ),
    pin=1,
)


# Network (F, D).
def i350(function: int, size: int, subsystem: tuple[int, int], serial: bytes, first: int = 0x180) -> Chip:
    """Function 0 to 3 of an I350; `size` is BAR 0's, `first` the offset to the first virtual function."""
    ltr = () if function else (OtherExtended(LTR, 0x1C0),)
    return Chip(
        (INTEL, 0x1521),
        "I350 Gigabit Network Connection",
        0x020000,
        "DFLP",
        1,
        subsystem,
        (mem(0, size), io(2, 32), mem(3, 16 * K)),
        (
            Power(),
            Msi(0x50),
            MsiX(0x70, 10, (3, 0), (3, 0x2000), enabled=True),
            Express(ENDPOINT, 0xA0, flr=True, link=(4, GEN2), most=(4, GEN2)),
            OtherExtended(AER, 0x100, 2),
            Serial(serial),
            OtherExtended(ARI, 0x150),
            VirtualFunctions(8, first, 4, 0x1520),
            *extended((TPH, 0x1A0)),
            *ltr,
            AccessControl(0x1D0),
        ),
        pin=function + 1,
        driver="igb",
    )


def x722(device: int, serial: bytes, virtual: tuple[int, int]) -> Chip:
    """A port of an X722: 37d2 is 10GBASE-T, 37d0 SFP+; `virtual`: how many, and the offset to the first."""
    total, first = virtual
    return Chip(
        (INTEL, device),
        f"Ethernet Connection X722 for {'10GBASE-T' if device == 0x37D2 else '10GbE SFP+'}",
        0x020000,
        "DFLP",
        4,
        (0x15D9, device),
        (mem(0, 16 * M, wide=True, prefetchable=True), mem(3, 32 * K, wide=True, prefetchable=True)),
        (
            Power(),
            Msi(0x50),
            MsiX(0x70, 129, (3, 0), (3, 0x1000), enabled=True),
            Express(ENDPOINT, 0xA0, flr=True, link=(1, GEN1), most=(1, GEN1)),
            Other(0x03, 0xE0),
            OtherExtended(AER, 0x100, 2),
            Serial(serial),
            OtherExtended(ARI, 0x150),
            VirtualFunctions(total, first, 1, 0x37CD),
            *extended((TPH, 0x1A0)),
            AccessControl(0x1B0),
        ),
        pin=1,
        rom=512 * K,
        driver="i40e",
        bsd_driver="ixl",
    )


X550 = Chip(
    (INTEL, 0x15D1),
    "Ethernet Controller 10G X550T",
    0x020000,
    "LP",
    1,
    bars=(mem(0, 2 * M, wide=True, prefetchable=True), mem(4, 16 * K, wide=True, prefetchable=True)),
    capabilities=(
        Power(),
        Msi(0x50),
        MsiX(0x70, 64, (4, 0), (4, 0x2000), enabled=True),
        Express(ENDPOINT, 0xA0, flr=True, link=(4, GEN3), most=(4, GEN3)),
        OtherExtended(AER, 0x100, 2),
        Serial(bytes.fromhex("020000ffff000550")),
        OtherExtended(ARI, 0x150),
        VirtualFunctions(64, 0x180, 2, 0x1565),
        *extended((TPH, 0x1A0)),
        AccessControl(0x1B0),
        *extended((LTR, 0x1C0), (SECONDARY, 0x1D0)),
    ),
    pin=1,
    driver="ixgbe",
    bsd_driver="ix",
)
