"""Random machines whose buses are numbered as firmware does: depth first, bridges nested.

A machine is made from a seed by Python's random, not by drawing: hundreds of examples then take a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from hypothesis import strategies as st

from bringup.pci.model import Bdf
from tests.machines import caps
from tests.machines.bars import MadeBar
from tests.machines.caps import (
    DOWNSTREAM,
    ENDPOINT,
    INTEGRATED,
    ROOT_PORT,
    TO_CONVENTIONAL,
    UPSTREAM,
    Express,
)
from tests.machines.model import Made

_BUS_MAX = 0xC0
_Link = tuple[int, int]


def machine(seed: int) -> tuple[Made, ...]:
    """Return a machine of one to three root buses, in scan order."""
    chance = Random(seed)
    builder = _Builder(chance)
    for _ in range(chance.randint(1, 3)):
        builder.root()
        builder.bus += chance.randint(1, 5)
    return tuple(sorted(builder.machine, key=lambda made: made.bdf))


def machines() -> st.SearchStrategy[tuple[Made, ...]]:
    """Return machines of any seed."""
    return st.integers(0, 1 << 32).map(machine)


class _Builder:
    """Numbers buses; chance decides everything else."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.machine: list[Made] = []
        self.bus = 0

    def root(self) -> None:
        bus = self.bus
        self.machine.append(Made(Bdf(0, bus, 0, 0), 0x8086, 0x2020, 0x0600))
        for device in sorted(self.chance.sample(range(1, 30), self.chance.randint(0, 4))):
            if self.chance.random() < 0.7:
                self._port(Bdf(0, bus, device, 0), ROOT_PORT, 0)
            else:
                self._endpoint(Bdf(0, bus, device, 0), Express(INTEGRATED))

    def _port(self, bdf: Bdf, kind: int, depth: int, above: _Link | None = None) -> None:
        link = above or (self.chance.choice((1, 4, 8)), self.chance.randint(1, 3))
        filled = self.bus < _BUS_MAX and depth < 4 and (kind == UPSTREAM or self.chance.random() < 0.7)
        shown = link if filled or kind == UPSTREAM else (0, 0)
        index = len(self.machine)
        express = Express(kind, link=shown, most=(max(shown[0], 1), 3))
        made = function(self.chance, bdf, express, bridge=True)
        self.machine.append(made)
        self.bus += 1
        secondary = self.bus
        if filled:
            self._behind(secondary, kind, depth, link)
        self.machine[index] = replace(made, secondary=secondary, subordinate=self.bus)

    def _behind(self, bus: int, kind: int, depth: int, link: _Link) -> None:
        if kind == UPSTREAM:
            for device in sorted(self.chance.sample(range(32), self.chance.randint(1, 3))):
                self._port(Bdf(0, bus, device, 0), DOWNSTREAM, depth + 1)
        elif depth < 3 and self.chance.random() < 0.3:
            self._port(Bdf(0, bus, 0, 0), UPSTREAM, depth + 1, link)
        elif self.chance.random() < 0.2:
            self._conventional(bus, link)
        else:
            for number in range(self.chance.randint(1, 4)):
                flr = self.chance.random() < 0.5
                self._endpoint(
                    Bdf(0, bus, 0, number), Express(ENDPOINT, flr=flr, link=link, most=(link[0], 3))
                )

    def _conventional(self, bus: int, link: _Link) -> None:
        """A bridge to conventional PCI with a device behind it."""
        self.bus += 1
        express = Express(TO_CONVENTIONAL, link=link, most=(link[0], 3))
        place = Bdf(0, bus, 0, 0)
        self.machine.append(
            Made(
                place,
                0x1A03,
                0x1150,
                0x0604,
                capabilities=(express, caps.OtherExtended(1, 0x100)),
                secondary=self.bus,
                subordinate=self.bus,
            )
        )
        self.machine.append(function(self.chance, Bdf(0, self.bus, 0, 0), None))

    def _endpoint(self, bdf: Bdf, express: Express) -> None:
        self.machine.append(function(self.chance, bdf, express))


def function(chance: Random, bdf: Bdf, express: Express | None, *, bridge: bool = False) -> Made:
    """Return a function that is random in everything but its place and its link."""

    def flag() -> bool:
        return chance.random() < 0.5

    def word() -> int:
        return chance.randint(1, 0xFFFE)

    return Made(
        bdf=bdf,
        vendor=word(),
        device=word(),
        class_code=0x0604 if bridge else chance.choice((0x0200, 0x0300, 0x0880, 0x0108)),
        prog_if=chance.choice((0, chance.randint(0, 255))),
        revision=chance.choice((0, chance.randint(0, 255))),
        subsystem=(word(), word()),
        multifunction=flag(),
        command=chance.randint(0, 0x7FF),
        pin=chance.randint(0, 4),
        bars=_bars(chance, 2 if bridge else 6),
        rom=(chance.randint(1, 0xFFF) << 20, 1 << 19, flag()) if flag() else None,
        capabilities=tuple(_capabilities(chance, express)),
        driver=chance.choice((None, "igb", "mlx5_core")),
        group=chance.choice((None, chance.randint(0, 99))),
        irq=chance.choice((0, chance.randint(1, 400))),
    )


def _capabilities(chance: Random, express: Express | None) -> Iterator[caps.Capability]:
    def flag() -> bool:
        return chance.random() < 0.5

    def in_bar() -> tuple[int, int]:
        return chance.randint(0, 5), chance.randint(0, 0xFFFF) << 3

    if flag():
        yield caps.Power(state=chance.choice((0, 3)))
    if flag():
        yield caps.Msi(0x50, chance.choice((1, 2, 32)), flag(), flag(), flag())
    if flag():
        yield caps.MsiX(0x70, chance.randint(1, 2048), in_bar(), in_bar(), flag())
    if flag():
        yield caps.AdvancedFeatures(0x80, flag())
    if express is None:
        return
    yield express
    # The chain must begin at 0x100; AER is what real ones have there.
    yield caps.OtherExtended(1, 0x100)
    if flag():
        yield caps.Serial(chance.randbytes(8))
    if flag():
        yield caps.VirtualFunctions(
            chance.randint(1, 64), chance.randint(1, 255), 1, chance.randint(1, 0xFFFE)
        )
    if flag():
        yield caps.AccessControl(0x1D0, chance.randint(0, 127), chance.randint(0, 127))


def _bars(chance: Random, slots: int) -> tuple[MadeBar, ...]:
    bars = []
    index = 0
    while index < slots:
        kind = chance.choice(("none", "io", "mem", "wide"))
        prefetchable = chance.random() < 0.5
        if kind == "wide" and index + 1 < slots:
            base = chance.choice((0, 0x38C000000000, 0xE0000000))
            bars.append(MadeBar(index, False, base, 1 << chance.randint(12, 28), True, prefetchable))
            index += 1
        elif kind == "mem":
            base = chance.randint(0, 0xFFF) << 20
            bars.append(MadeBar(index, False, base, 1 << chance.randint(4, 20), False, prefetchable))
        elif kind == "io":
            bars.append(MadeBar(index, True, chance.randint(0, 0xFF) << 8, 1 << chance.randint(2, 8)))
        index += 1
    return tuple(bars)
