"""Machines of other shapes: what the E300-9D does not show. Ids and classes are real, the rest is made up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from bringup.pci.model import Bdf
from tests.machines import chips, e300, names
from tests.machines.bars import MadeBar
from tests.machines.caps import ENDPOINT, ROOT_PORT, Express, Msi, MsiX, Power, VirtualFunctions
from tests.machines.chips import GEN1, GEN2, GEN3, Chip, K, M, io, mem
from tests.machines.model import Made, MadeMachine, Port
from tests.machines.wiring import wired

_ABOVE = 0x38C000000000


def _intel(device: int, name: str, code: int, *bars: MadeBar, **more: Any) -> Chip:
    return Chip((names.INTEL, device), name, code, "DP", bars=bars, subsystem=(0x15D9, 0x0892), **more)


HOST = _intel(0x3E30, "8th Gen Core Host Bridge", 0x060000)
GRAPHICS = _intel(
    0x3E92,
    "UHD Graphics 630",
    0x030000,
    mem(0, 16 * M, wide=True),
    mem(2, 256 * M, wide=True, prefetchable=True),
    io(4, 64),
    pin=1,
    driver="i915",
    bsd_driver="vgapci",
)


def pch_port(device: int, link: tuple[int, int], pin: int = 1) -> Chip:
    """A root port of the chipset or the processor; it shows the link that its lower end shows."""
    express = Express(ROOT_PORT, 0x40, link=link, most=(link[0], GEN3), slot=20)
    return _intel(
        device,
        "Cannon Lake PCH PCI Express Root Port",
        0x060400,
        capabilities=(express, Power(0xA0)),
        pin=pin,
        driver="pcieport",
    )


I219 = _intel(
    0x15BC,
    "Ethernet Connection (7) I219-V",
    0x020000,
    mem(0, 128 * K),
    capabilities=(Power(0xC8), Msi(0xD0, maskable=False, enabled=True)),
    pin=1,
    driver="e1000e",
    bsd_driver="em",
)
I210 = _intel(
    0x1533,
    "I210 Gigabit Network Connection",
    0x020000,
    mem(0, 512 * K),
    io(2, 32),
    mem(3, 16 * K),
    capabilities=(
        Power(),
        Msi(0x50),
        MsiX(0x70, 5, (3, 0), (3, 0x2000), enabled=True),
        Express(ENDPOINT, 0xA0, flr=True, link=(1, GEN1), most=(1, GEN1)),
    ),
    pin=1,
    driver="igb",
)
REALTEK = Chip(
    (names.REALTEK, 0x8168),
    "RTL8111/8168/8211/8411 PCI Express Gigabit Ethernet Controller",
    0x020000,
    "P",
    0x15,
    (names.REALTEK, 0x0123),
    (io(0, 256), mem(2, 4 * K, wide=True), mem(4, 16 * K, wide=True)),
    (Power(), Msi(0x50, maskable=False), Express(ENDPOINT, 0x70, link=(1, GEN1), most=(1, GEN1), flr=False)),
    pin=1,
    driver="r8169",
    bsd_driver="re",
)
VIRTUAL_I350 = Chip(
    (names.INTEL, 0x1520),
    "I350 Ethernet Controller Virtual Function",
    0x020000,
    "DFP",
    1,
    (0x15D9, 0x1521),
    (mem(0, 16 * K, wide=True, prefetchable=True), mem(3, 16 * K, wide=True, prefetchable=True)),
    (MsiX(0x70, 3, (3, 0), (3, 0x2000)), Express(ENDPOINT, 0xA0, flr=True, link=(4, GEN2), most=(4, GEN2))),
    driver="igbvf",
)


def _port(chip: Chip, place: str, *bases: int, **more: Any) -> Made:
    bus, function = int(place[-7:-5], 16), int(place[-1])
    port = Port(f"enp{bus}s{int(place[-4:-2], 16)}f{function}", f"02:00:10:00:{bus:02x}:{function:02x}")
    return chip.at(place, *bases, ports=(port,), irq=11, line=11, **more)


def desktop(ports: int = 0xE000) -> MadeMachine:
    """One root bus, UEFI, one IOAPIC of 120 inputs, ports of three makes of NIC; I/O from `ports` on."""

    def made() -> Iterator[Made]:
        yield HOST.at("00:00.0")
        yield GRAPHICS.at("00:02.0", 0xDE000000, 0xB0000000, 0xF000, irq=16)
        yield chips.XHCI.at("00:14.0", 0xDF000000, irq=16)
        yield chips.SATA.at("00:17.0", 0xDF020000, 0xDF022000, 0xF050, 0xF060, 0xF070, 0xDF100000, irq=16)
        yield pch_port(0xA340, (1, GEN1)).at("00:1c.0")
        yield pch_port(0xA338, (1, GEN1), 2).at("00:1c.1")
        yield chips.LPC.at("00:1f.0")
        yield _port(I219, "00:1f.6", 0xDF040000, at_pin=(0, 16))
        yield _port(I210, "01:00.0", 0xDEF00000, ports, 0xDEF80000, at_pin=(0, 16))
        yield _port(REALTEK, "02:00.0", ports - 0x1000, 0xDEE04000, 0xDEE00000, at_pin=(0, 17))

    return MadeMachine(
        wired(made(), {"00:1c.0": 1, "00:1c.1": 2}),
        manufacturer="Example",
        product="Desktop",
        baseboard="Z390-EXAMPLE",
        cpu="Intel(R) Core(TM) i5-9500 CPU @ 3.00GHz",
        cpus=6,
        uefi=True,
        iommu=False,
        ioapics=((2, 0xFEC00000, 0, 120),),
    )


def ports_at_9c00() -> MadeMachine:
    """An I/O BAR at 0x9c00, among the ports that the VMM gives its virtio devices."""
    return desktop(0x9C00)


def above_4_gib() -> MadeMachine:
    """The E300-9D with `SR-IOV Support` on: its firmware puts the X722's BARs into the 56T window."""
    machine = e300.e300_9d()
    bars = {
        "b5:00.0": (_ABOVE + 0x1000000, _ABOVE + 0x2008000),
        "b5:00.1": (_ABOVE, _ABOVE + 0x2000000),
    }
    return _with_bars(machine, bars, "bars")


def moved_by_linux() -> MadeMachine:
    """The E300-9D whose X722 Linux moved above 4 GiB to fit virtual functions, the firmware had not."""
    bars = {"b5:00.0": (_ABOVE, _ABOVE + 0x1000000)}
    return _with_bars(e300.e300_9d(), bars, "moved")


def _with_bars(machine: MadeMachine, bases: dict[str, tuple[int, ...]], where: str) -> MadeMachine:
    """Return the machine with other addresses in some functions' BARs, its bridges set again."""

    def changed(made: Made) -> Made:
        if made.bdf.short not in bases:
            return made
        pairs = zip(made.bars, bases[made.bdf.short], strict=True)
        bars = tuple(replace(bar, base=base) for bar, base in pairs)
        return replace(made, **{where: bars})

    links = {made.bdf.short: made.secondary for made in machine.functions if made.bridge}
    cleared = (replace(made, windows=()) if made.bridge else made for made in machine.functions)
    return replace(machine, functions=wired(map(changed, cleared), links))


def virtual_functions() -> MadeMachine:
    """An I350 with two of eight virtual functions of port 0 in use, below 4 GiB."""
    virtual = VirtualFunctions(
        8,
        0x80,
        4,
        0x1520,
        now=2,
        bars=(
            MadeBar(0, False, 0xE0E00000, 16 * K, True, True),
            MadeBar(3, False, 0xE0E20000, 16 * K, True, True),
        ),
    )

    def made() -> Iterator[Made]:
        yield HOST.at("00:00.0")
        yield pch_port(0x1901, (4, GEN2)).at("00:01.0")
        for number in range(2):
            bases = (0xE0D60000 - number * 128 * K, 0xB060 - number * 32, 0xE0D8C000 - number * 16 * K)
            chip = chips.i350(number, 128 * K, (0x15D9, 0x1521), e300.serial(5, 0x35), 0x80)
            port = _port(chip, f"01:00.{number}", *bases, at_pin=(0, 16 + number))
            mine = (
                virtual if isinstance(cap, VirtualFunctions) and not number else cap
                for cap in port.capabilities
            )
            yield replace(port, capabilities=tuple(mine))
        for number in range(2):
            # Routing id 0x80 after the physical function's, stride 4 (PCIe 4.0, 9.2.1.2).
            place, bases = f"01:{16 + number // 2:02x}.{4 * (number % 2)}", (0xE0E00000, 0xE0E20000)
            step = number * 16 * K
            yield VIRTUAL_I350.at(
                place, *(base + step for base in bases), physical=Bdf.parse("01:00.0"), command=4
            )

    return MadeMachine(
        wired(made(), {"00:01.0": 1}),
        product="Virtual functions",
        baseboard="VF-BOARD",
        cpus=2,
    )


def many_roots() -> MadeMachine:
    """Two processors: eight root buses with a port and an uncore each, and a domain of its own behind VMD."""
    roots = (0x00, 0x17, 0x3A, 0x5D, 0x80, 0x85, 0xAE, 0xD7)

    def made() -> Iterator[Made]:
        for number, bus in enumerate(roots):
            yield (chips.DMI if bus == 0 else chips.MEMORY).at(f"{bus:02x}:08.0" if bus else "00:00.0")
            yield chips.root_port("A", 16, (4, GEN2)).at(f"{bus:02x}:02.0")
            yield chips.VTD.at(f"{bus:02x}:05.0")
            base = 0x90000000 + number * 0x8000000
            chip = chips.i350(0, 128 * K, (names.INTEL, 0x0001), e300.serial(6, number))
            yield _port(chip, f"{bus + 1:02x}:00.0", base, 0x2000 + number * 0x1000, base + M)
        yield chips.root_port("A", 4, (4, GEN3)).at("10000:00:02.0")
        yield chips.NVME_SAMSUNG.at("10000:01:00.0", 0xD8000000)

    links = {f"{bus:02x}:02.0": bus + 1 for bus in roots} | {"10000:00:02.0": 1}
    return MadeMachine(
        wired(made(), links),
        product="Two processors",
        baseboard="C621-EXAMPLE",
        cpus=64,
        ioapics=tuple((8 + n, 0xFEC00000 + n * 0x8000, n * 24, 24) for n in range(9)),
        remapping=((0x97FFC000, ()),),
        kernel="6.8.0-40-generic",
    )


def lan_on_motherboard() -> MadeMachine:
    """A server whose board carries an I350 of four ports, labelled by its maker, first port up."""
    pins = (2, 3, 4, 1)

    def made() -> Iterator[Made]:
        yield HOST.at("00:00.0")
        yield pch_port(0x3C02, (4, GEN2)).at("00:01.1")
        for number in range(4):
            chip = replace(
                chips.i350(number, 128 * K, (0x1028, 0x0518), e300.serial(7, 0x35)), pin=pins[number]
            )
            bases = (0x91180000 - number * 128 * K, 0x3060 - number * 32, 0x9104C000 - number * 16 * K)
            one = _port(chip, f"02:00.{number}", *bases)
            label = f"LOM 1G I350-BT2 (LAN{number + 1})"
            up = tuple(
                replace(port, name=f"eth{number}", mbps=1000 if number == 0 else None) for port in one.ports
            )
            yield replace(one, label=label, ports=up)

    return MadeMachine(
        wired(made(), {"00:01.1": 2}),
        manufacturer="Example",
        product="Server with I350",
        baseboard="LOM-BOARD",
        cpus=16,
        iommu=False,
    )
