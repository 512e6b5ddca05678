"""Which bus each bridge leads to, what it forwards, and which functions DMA keeps apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from bringup.pci.model import Bdf
from tests.machines import caps
from tests.machines.bars import MadeBar
from tests.machines.model import Made, MadeWindow

_IO_STEP, _MEMORY_STEP = 0x1000, 0x100000


def wired(functions: Iterable[Made], links: Mapping[str, int]) -> tuple[Made, ...]:
    """Return the functions in scan order, complete: `links` names the bus behind each bridge.

    Buses nest and windows cover what lies behind (PCI-to-PCI Bridge 1.2, 3.2.5); functions of a device that
    has several say so; each has a group of its own, but those behind a bridge to conventional PCI share one
    (Linux, Documentation/driver-api/vfio.rst); one with MSI on has vectors.
    """
    found = {made.bdf: made for made in functions}
    behind = {Bdf.parse(place): bus for place, bus in links.items()}
    assert set(behind) == {bdf for bdf, made in found.items() if made.bridge}
    # From the deepest bus up, so that a bridge finds those below it complete.
    for bdf in sorted(behind, key=lambda bdf: (bdf.domain, behind[bdf]), reverse=True):
        found[bdf] = _bridge(found[bdf], behind[bdf], list(found.values()))
    vectors = _vectors(found)
    several = {(bdf.domain, bdf.bus, bdf.device) for bdf in found if bdf.function}
    places = sorted(found)
    return tuple(
        replace(
            found[bdf],
            multifunction=(bdf.domain, bdf.bus, bdf.device) in several,
            group=_group(bdf, places, found),
            vectors=vectors.get(bdf, ()),
        )
        for bdf in places
    )


def _vectors(found: Mapping[Bdf, Made]) -> dict[Bdf, tuple[int, ...]]:
    """Number the vectors in use as Linux does, upwards from 32: one for MSI, two for MSI-X."""
    vectors: dict[Bdf, tuple[int, ...]] = {}
    following = 32
    for bdf in sorted(found):
        msi, msix = found[bdf].capability(caps.Msi), found[bdf].capability(caps.MsiX)
        count = 2 if msix is not None and msix.enabled else 1 if msi is not None and msi.enabled else 0
        if count:
            vectors[bdf] = tuple(range(following, following + count))
            following += count
    return vectors


def _bridge(made: Made, bus: int, others: list[Made]) -> Made:
    inside = [m for m in others if m.bdf.domain == made.bdf.domain and m.bdf.bus == bus]
    subordinate = max([bus, *(m.subordinate for m in inside if m.bridge)])
    bars = [bar for m in inside for bar in m.bars_now if bar.base]
    windows = [w for m in inside for w in m.windows]
    opened = (
        _window("I/O", [b for b in bars if b.io], windows, _IO_STEP),
        _window("Memory", [b for b in bars if not b.io and not b.prefetchable], windows, _MEMORY_STEP),
        _window("Prefetchable memory", [b for b in bars if b.prefetchable], windows, _MEMORY_STEP),
    )
    shut = tuple(window for window in opened if window is not None)
    on = made.command | (1 if any(window.kind == "I/O" for window in shut) else 0)
    return replace(made, secondary=bus, subordinate=subordinate, windows=shut, command=on)


def _window(kind: str, bars: list[MadeBar], inner: list[MadeWindow], step: int) -> MadeWindow | None:
    places = [(bar.base, bar.last) for bar in bars]
    places += [(window.base, window.last) for window in inner if window.kind == kind]
    if not places:
        return None
    first, last = min(a for a, _ in places), max(b for _, b in places)
    return MadeWindow(kind, first - first % step, last - last % step + step - 1)  # type: ignore[arg-type]


def _group(bdf: Bdf, places: list[Bdf], found: Mapping[Bdf, Made]) -> int:
    for place in places:
        made = found[place]
        express = made.capability(caps.Express)
        if express is not None and express.port == caps.TO_CONVENTIONAL and made.secondary == bdf.bus:
            return places.index(place)
    return places.index(bdf)
