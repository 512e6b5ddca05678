"""The SYS-E300-9D and its siblings as they are documented, with units of our own making.

Sources are those of `chips`; what each number below rests on is said beside it. Where things sit, and what
addresses the firmware gave, is what public listings of real units show (bsdhw/PCIconf). Serial numbers, MAC
addresses, addresses of remapping units and of reserved memory are nobody's: they are made up here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from tests.machines import chips
from tests.machines.chips import CHANNELS, GEN2, GEN3, Chip, K, M, each, functions
from tests.machines.model import Made, MadeMachine, MadeScope, Port
from tests.machines.wiring import wired

TLN2F, TP8F = (0x15D9, 0x0987), (0x15D9, 0x0986)
# Legacy numbers of PIRQ A to D, as sysfs `irq` showed them on a unit (seL4/camkes-vm-examples#90).
_LEGACY = (0, 11, 10, 11, 11)
# One IOAPIC of the chipset and one a stack: GSI ranges by boot logs of over 50 X11SDV boards (bsdhw/Dmesg);
# addresses and ids as X299 and C620 machines with one processor show them.
IOAPICS = (
    (8, 0xFEC00000, 0, 24),
    (9, 0xFEC01000, 24, 8),
    (10, 0xFEC08000, 32, 8),
    (11, 0xFEC10000, 40, 8),
    (12, 0xFEC18000, 48, 8),
)
# What an operating system with ACPI uses on the board, by the same boot logs.
ROUTING_9D = {
    "17:00.0": 32,
    "17:00.1": 36,
    "17:00.2": 37,
    "17:00.3": 38,
    "b5:00.0": 46,
    "b5:00.1": 46,
    "16:00.0": 39,
    "b2:00.0": 55,
}
# Where interrupts arrived under seL4: 16, 17 and one 19 were seen (camkes-vm-examples#90), the others follow
# from the way INTx crosses bridges (PCI-to-PCI Bridge 1.2, 9.1).
PINS_9D = {"17:00.0": 16, "17:00.1": 17, "17:00.2": 18, "17:00.3": 19, "b5:00.0": 19, "b5:00.1": 19}


def serial(unit: int, chip: int) -> bytes:
    """Return a serial number from a locally administered MAC address."""
    return bytes((0x02, 0x00, unit, 0xFF, 0xFF, 0x00, 0x00, chip))


def _uncore() -> Iterator[Made]:
    """Everything of the processor but its ports: four stacks on buses 00, 16, 64 and b2."""
    yield from each(chips.VTD_PCH, "00:05.0")
    yield from each(chips.RAS_PCH, "00:05.2")
    for number, chip in enumerate(chips.UBOX):
        yield chip.at(f"00:08.{number}")
    for bus, ioapic in (("16", 0xC5F00000), ("64", 0xE0F00000), ("b2", 0xFBF00000)):
        yield chips.VTD.at(f"{bus}:05.0")
        yield chips.RAS.at(f"{bus}:05.2")
        yield chips.IOAPIC.at(f"{bus}:05.4", ioapic)
    yield from each(chips.CHA_LOW, *functions("16:08", 18))
    yield from each(chips.CHA_HIGH, *functions("16:0e", 18))
    for number, chip in enumerate(chips.CHA_ALL):
        yield chip.at(f"16:1d.{number}")
    for number, chip in enumerate(chips.PCU):
        yield chip.at(f"16:1e.{number}")
    yield from each(chips.MEMORY, "64:08.0", "64:09.0")
    for device in (0x0A, 0x0C):
        for number, chip in enumerate(CHANNELS):
            yield chip.at(f"64:{device + number // 8:02x}.{number % 8}")
    for number, chip in enumerate(chips.MESH_KTI):
        yield chip.at(f"b2:12.{number}")
    yield from each(chips.MESH_PCI, "b2:15.0", "b2:16.0", "b2:16.4")
    yield from each(replace(chips.MESH_PCI, subsystem=(0, 0)), "b2:17.0")


def _video(io: int) -> Iterator[Made]:
    yield chips.AST1150.at("02:00.0")
    yield chips.AST2500.at("03:00.0", 0xA9000000, 0xAA000000, io, label="ASPEED Video AST2500")


def _chipset_9d() -> Iterator[Made]:
    """The chipset's functions with the addresses of the 9D; both SATA controllers are off."""
    dma = 0x383FFFF10000
    yield chips.DMI.at("00:00.0")
    for number in range(8):
        yield chips.CBDMA.at(f"00:04.{number}", dma + (7 - number) * 0x4000)
    yield chips.IOAPIC_PCH.at("00:05.4", 0xAA204000)
    yield chips.MROM[0].at("00:11.0")
    yield chips.MROM[1].at("00:11.1")
    yield chips.XHCI.at("00:14.0", 0x383FFFF00000)
    yield chips.THERMAL.at("00:14.2", 0x383FFFF33000)
    for place, chip, base in zip(("16.0", "16.1", "16.4"), chips.MEI, (0x2000, 0x1000, 0), strict=True):
        yield chip.at(f"00:{place}", 0x383FFFF30000 + base)
    yield chips.chipset_port(0xA190, 2, bare=True).at("00:1c.0")
    yield chips.chipset_port(0xA194, 1, (1, GEN2), 4).at("00:1c.4")
    yield chips.chipset_port(0xA198, 2, bare=True).at("00:1d.0")
    yield chips.chipset_port(0xA19C, 4, (4, GEN3), 12).at("00:1d.4")
    yield chips.LPC.at("00:1f.0")
    yield chips.PMC.at("00:1f.2", 0xAA200000)
    yield chips.SMBUS.at("00:1f.4", 0, 0x780, command=1)
    yield chips.SPI.at("00:1f.5", 0xFE010000)


def _x722(
    bus: int, unit: int, virtual: tuple[tuple[int, int], ...], media: tuple[int, ...]
) -> Iterator[Made]:
    """The X722 below the switch's last port, its BARs from the top of the stack's window down."""
    count = len(media)
    top = 0xFA000000 if count == 4 else 0xF9000000
    for number, device in enumerate(media):
        chip = chips.x722(device, serial(unit, 0x72), virtual[number])
        place = f"{bus:02x}:00.{number}"
        label = f"Intel LAN X722 #{number + 1}" if device == 0x37D2 else None
        bases = (top - number * 16 * M, 0xFB000000 + (count - 1 - number) * 32 * K)
        rom = (0xFBD80000 - number * 512 * K, 512 * K, False)
        yield _nic(chip, place, bases, unit, rom=rom, label=label)


def _nic(chip: Chip, place: str, bases: tuple[int, ...], unit: int, **more: Any) -> Made:
    bus, function = int(place[:2], 16), int(place[-1])
    mac = f"02:00:{unit:02x}:00:{bus:02x}:{function:02x}"
    up = 1000 if function == 0 and chip.driver == "igb" else None
    port = Port(f"enp{bus}s0f{function}", mac, up)
    return chip.at(place, *bases, ports=(port,), **more)


def _routed(made: Made, board: tuple[int, int], pins: Mapping[str, int]) -> Made:
    """Add what the board decides: its subsystem on the chipset's functions, legacy numbers, pins."""
    irq = _LEGACY[made.pin]
    chipset = (made.bdf.bus == 0 and made.device >> 8 == 0xA1) or made.vendor == chips.ASPEED
    own = made.device != 0x1150 and chipset
    pin = pins.get(made.bdf.short)
    return replace(
        made,
        subsystem=board if own else made.subsystem,
        irq=irq,
        line=irq or 0xFF,
        at_pin=None if pin is None else (0, pin),
    )


def _machine(made: Iterator[Made], links: Mapping[str, int], **values: Any) -> MadeMachine:
    board = TLN2F if values["baseboard"] == "X11SDV-4C-TLN2F" else TP8F
    pins = values.pop("pins")
    parts = wired((_routed(one, board, pins) for one in made), links)
    xhci = MadeScope(1, 0, ((0x14, 0),))
    stacks = ((0xC5FFC000, "16:00.0"), (0xE0FFC000, "64:03.0"), (0xFBFFC000, "b2:00.0"))
    ports = {one.bdf.short for one in parts}
    units = tuple(
        (base, (MadeScope(2, int(place[:2], 16), ((int(place[3:5], 16), 0),)),))
        for base, place in stacks
        if place in ports
    )
    common: dict[str, Any] = {
        "manufacturer": "Supermicro",
        "bios_version": "2.1",
        "bios_date": "02/29/2024",
        "ioapics": IOAPICS,
        "remapping": (*units, (0xAAFFC000, ())),
        "reserved": ((0x6F2F1000, 0x6F300FFF, (xhci,)),),
        "memory": ((0x1000, 0x9E000), (0x100000, 0x6E200000), (0x100000000, 0x380000000)),
    }
    return MadeMachine(parts, **common | values)


def e300_9d() -> MadeMachine:
    """SYS-E300-9D (X11SDV-4C-TLN2F): an I350 in SLOT7, an NVMe disk, two X722 ports; 132 functions."""

    def made() -> Iterator[Made]:
        yield from _uncore()
        yield from _chipset_9d()
        yield from _video(0x3000)
        yield chips.NVME_SAMSUNG.at("05:00.0", 0xAA100000)
        yield chips.root_port("A", 8, (4, GEN2), 1).at("16:00.0")
        for number in range(4):
            chip = chips.i350(number, M, (0x1734, 0x11D1), serial(1, 0x35), 0x80)
            bases = (0xC5A00000 - number * M, 0x7060 - number * 32, 0xC5E0C000 - number * 16 * K)
            yield _nic(chip, f"17:00.{number}", bases, 1, slot="7")
        yield chips.root_port("A", 16, (16, GEN3), 9).at("b2:00.0")
        yield chips.SWITCH_UP.at("b3:00.0", 0xFBE00000)
        yield chips.switch_down(0x37C5).at("b4:03.0")
        yield from _x722(0xB5, 1, ((64, 0x10), (64, 0x4F)), (0x37D2, 0x37D2))

    links = {"00:1c.0": 1, "00:1c.4": 2, "02:00.0": 3, "00:1d.0": 4, "00:1d.4": 5}
    links |= {"16:00.0": 0x17, "b2:00.0": 0xB3, "b3:00.0": 0xB4, "b4:03.0": 0xB5}
    return _machine(
        made(),
        links,
        product="SYS-E300-9D",
        baseboard="X11SDV-4C-TLN2F",
        cpu="Intel(R) Xeon(R) D-2123IT CPU @ 2.20GHz",
        cpus=8,
        pins=PINS_9D,
        routing=ROUTING_9D,
    )


def _chipset_tp8f(*, second_mrom: bool, smbus: tuple[int, int]) -> Iterator[Made]:
    """The chipset's functions with the addresses of the TP8F, SATA on."""
    yield chips.DMI.at("00:00.0", subsystem=TP8F)
    for number in range(8):
        yield chips.CBDMA.at(f"00:04.{number}", 0x383FFFF00000 + (7 - number) * 0x4000)
    yield chips.IOAPIC_PCH.at("00:05.4", 0xAA21A000)
    yield chips.MROM[0].at("00:11.0")
    if second_mrom:
        yield chips.MROM[1].at("00:11.1")
    bars = (0xAA216000, 0xAA219000, 0x3070, 0x3060, 0x3020, 0xAA180000)
    yield chips.SSATA.at("00:11.5", *bars)
    yield chips.XHCI.at("00:14.0", 0xAA200000)
    yield replace(chips.THERMAL, bsd_driver="pchtherm").at("00:14.2", 0x383FFFF23000)
    for place, chip, base in zip(("16.0", "16.1", "16.4"), chips.MEI, (0x2000, 0x1000, 0), strict=True):
        yield chip.at(f"00:{place}", 0x383FFFF20000 + base)
    bars = (0xAA214000, 0xAA218000, 0x3050, 0x3040, 0x3000, 0xAA100000)
    yield chips.SATA.at("00:17.0", *bars)
    yield chips.chipset_port(0xA190, 2).at("00:1c.0")
    yield chips.chipset_port(0xA194, 1, (1, GEN2), 4).at("00:1c.4")
    yield chips.chipset_port(0xA198, 2).at("00:1d.0")
    yield chips.LPC.at("00:1f.0")
    yield chips.PMC.at("00:1f.2", 0xAA210000)
    yield replace(chips.SMBUS, bsd_driver="ichsmb").at("00:1f.4", *smbus)
    yield chips.SPI.at("00:1f.5", 0xFE010000)


def _onboard_i350(unit: int) -> Iterator[Made]:
    yield chips.root_port("D", 4, (4, GEN2)).at("64:03.0")
    for number in range(4):
        chip = chips.i350(number, 128 * K, (0x15D9, 0x1521), serial(unit, 0x35))
        bases = (0xE0D60000 - number * 128 * K, 0xB060 - number * 32, 0xE0D8C000 - number * 16 * K)
        yield _nic(chip, f"66:00.{number}", bases, unit)


_TP8F_LINKS = {"00:1c.0": 1, "00:1c.4": 2, "02:00.0": 3, "00:1d.0": 4, "64:03.0": 0x66}
_MEDIA = (0x37D2, 0x37D2, 0x37D0, 0x37D0)
_VIRTUAL = tuple((32, first) for first in (0x110, 0x12F, 0x14E, 0x16D))


def e300_9d_4cn8tp(unit: int = 2) -> MadeMachine:
    """SYS-E300-9D-4CN8TP: unit 2 has a disk behind port C of stack 64, unit 3 an X550 card behind port A."""

    def made() -> Iterator[Made]:
        yield from _uncore()
        smbus = (0x90000000, 0x780) if unit == 2 else (0xAAFFF000, 0x3FE0)
        yield from _chipset_tp8f(second_mrom=False, smbus=smbus)
        yield from _video(0x2000)
        if unit == 2:
            yield chips.root_port("C", 4, (4, GEN3)).at("64:02.0")
            yield chips.NVME_CRUCIAL.at("65:00.0", 0xE0E00000)
        else:
            yield chips.root_port("A", 8, (4, GEN3)).at("64:00.0")
            yield _nic(chips.X550, "65:00.0", (0x38BFFFC00000, 0x38BFFFE00000), unit)
        yield from _onboard_i350(unit)
        yield chips.root_port("A", 16, (16, GEN3), 9).at("b2:00.0")
        yield chips.SWITCH_UP.at("b3:00.0", 0xFBE00000)
        yield chips.switch_down(0x37C5).at("b4:03.0")
        yield from _x722(0xB5, unit, _VIRTUAL, _MEDIA)

    links = _TP8F_LINKS | {"64:02.0" if unit == 2 else "64:00.0": 0x65}
    links |= {"b2:00.0": 0xB3, "b3:00.0": 0xB4, "b4:03.0": 0xB5}
    return _machine(
        made(),
        links,
        product="SYS-E300-9D-4CN8TP",
        baseboard="X11SDV-4C-TP8F",
        cpu="Intel(R) Xeon(R) D-2123IT CPU @ 2.20GHz",
        cpus=8,
        pins={},
    )


def e300_9d_8cn8tp() -> MadeMachine:
    """SYS-E300-9D-8CN8TP: QuickAssist takes buses b5 and b6, so the X722 is on b7; 140 functions."""

    def made() -> Iterator[Made]:
        yield from _uncore()
        yield from _chipset_tp8f(second_mrom=True, smbus=(0x90000000, 0x780))
        yield from _video(0x2000)
        yield chips.root_port("C", 4, (4, GEN3)).at("64:02.0")
        yield chips.NVME_MICRON.at("65:00.0", 0xE0E00000)
        yield from _onboard_i350(4)
        yield chips.root_port("A", 16, (16, GEN3), 9).at("b2:00.0")
        yield chips.SWITCH_UP.at("b3:00.0", 0xFBE00000)
        for place, device in (("00", 0x37C2), ("02", 0x37C4), ("03", 0x37C5)):
            yield chips.switch_down(device).at(f"b4:{place}.0")
        yield chips.QUICKASSIST.at("b5:00.0", 0xFBD40000, 0xFBD00000)
        yield chips.QUICKASSIST.at("b6:00.0", 0xFBC40000, 0xFBC00000)
        yield from _x722(0xB7, 4, _VIRTUAL, _MEDIA)

    links = _TP8F_LINKS | {"64:02.0": 0x65, "b2:00.0": 0xB3, "b3:00.0": 0xB4}
    links |= {"b4:00.0": 0xB5, "b4:02.0": 0xB6, "b4:03.0": 0xB7}
    return _machine(
        made(),
        links,
        product="SYS-E300-9D-8CN8TP",
        baseboard="X11SDV-8C-TP8F",
        cpu="Intel(R) Xeon(R) D-2146NT CPU @ 2.30GHz",
        cpus=16,
        pins={},
    )
