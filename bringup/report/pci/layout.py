"""Where things stand in a picture of the topology.

A root bus is a panel. What a bridge leads to stands in the next column, level with the bridge; what nothing
is behind is packed in rows below. Lengths are pixels; text is monospaced, so that no font decides its width.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from bringup.pci.assessment import Assessment
from bringup.pci.model import Function
from bringup.pci.topology.buses import Buses, BusKey
from bringup.report.pci.groups import Group, common_name, grouped
from bringup.report.words import (
    bdf_list,
    bridge_text,
    cells,
    clean,
    ids,
    intx_text,
    pin_text,
    short_name,
    verdict_text,
)

Kind = Literal["bridge", "passable", "needs-change", "not-passable", "unknown", "other"]

CHAR = 6.9  # at FONT px; DejaVu Sans Mono is 0.602 em wide, others less
FONT = 11
LINE = 15
BOX = 218
GAP_X = 64
GAP_Y = 8
PAD = 12
MARGIN = 20
HEAD = 30
_CHARS = int((BOX - 2 * PAD + 8) / CHAR)
_WORD_LINES = 3
_NAME_LINES = 2
_COLUMNS = 4


@dataclass(frozen=True, slots=True)
class Box:
    """One box with its lines of text; `title` is shown when pointed at."""

    x: float
    y: float
    height: float
    kind: Kind
    lines: tuple[str, ...]
    title: str
    width: float = BOX


@dataclass(frozen=True, slots=True)
class Wire:
    """The bus behind a bridge: from the bridge's box to each box on that bus; `label` names the bus."""

    x1: float
    y1: float
    x2: float
    ys: tuple[float, ...]
    label: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A root bus."""

    y: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that is drawn, in pixels."""

    width: float
    height: float
    panels: tuple[Panel, ...]
    boxes: tuple[Box, ...]
    wires: tuple[Wire, ...]


def lay_out(assessment: Assessment, *, top: float) -> Picture:
    """Return the picture of a machine, beginning `top` pixels below the upper edge."""
    buses = Buses.of(assessment.machine.functions)
    drawing = _Drawing(assessment, buses)
    y = top
    for key in buses.roots:
        y = drawing.panel(key, y) + 14
    right = max((box.x + box.width for box in drawing.boxes), default=BOX)
    width = max(right + PAD, _packed_width()) + MARGIN
    return Picture(width, y + 6, tuple(drawing.panels), tuple(drawing.boxes), tuple(drawing.wires))


def _packed_width() -> float:
    return MARGIN + PAD + _COLUMNS * BOX + (_COLUMNS - 1) * GAP_X + PAD


def _column(depth: int) -> float:
    return MARGIN + PAD + depth * (BOX + GAP_X)


class _Drawing:
    """Places boxes panel by panel; the only state is what was placed."""

    def __init__(self, assessment: Assessment, buses: Buses) -> None:
        self._assessment = assessment
        self._buses = buses
        self.panels: list[Panel] = []
        self.boxes: list[Box] = []
        self.wires: list[Wire] = []

    def panel(self, key: BusKey, top: float) -> float:
        """Place one root bus and return the y of its lower edge."""
        domain, bus = key
        groups = grouped(self._buses.on[key])
        y = top + HEAD
        for group in groups:
            if self._buses.behind(group[0]):
                y = self._place(group, 0, y)
        y = self._pack((group for group in groups if not self._buses.behind(group[0])), y)
        title = f"bus {bus:02x}" if domain == 0 else f"bus {domain:04x}:{bus:02x}"
        if not self._buses.is_surely_root(key):
            title += "  (whether a bridge leads here was not observed)"
        self.panels.append(Panel(top, y - top + 4, title))
        return y + 4

    def _place(self, group: Group, depth: int, y: float) -> float:
        """Place a box, and right of it all that is behind it; return the y below everything."""
        box = self._box(group, _column(depth), y)
        self.boxes.append(box)
        below = y + box.height + GAP_Y
        behind = grouped(self._buses.behind(group[0]))
        if not behind:
            return below
        ends: list[float] = []
        next_y = y
        for child in behind:
            # A box's own line, not its middle: that of a tall child is level with its parent's.
            ends.append(next_y + LINE)
            next_y = self._place(child, depth + 1, next_y)
        _, bus = self._buses.below[group[0].bdf]
        self.wires.append(Wire(box.x + BOX, y + LINE, _column(depth + 1), tuple(ends), f"{bus:02x}"))
        return max(below, next_y)

    def _pack(self, groups: Iterable[Group], y: float) -> float:
        """Place boxes in rows of equal columns; return the y below them."""
        row: list[Box] = []
        for group in groups:
            row.append(self._box(group, _column(len(row)), y))
            if len(row) == _COLUMNS:
                y = self._finish(row, y)
                row = []
        return self._finish(row, y) if row else y

    def _finish(self, row: list[Box], y: float) -> float:
        self.boxes += row
        return y + max(box.height for box in row) + GAP_Y

    def _box(self, group: Group, x: float, y: float) -> Box:
        function = group[0]
        lines = [bdf_list(each.bdf for each in group)]
        if function.is_ethernet:
            lines[0] += f"  {ids(function)}"
            lines += [short_name(function), *self._judged(function)]
        else:
            count = "" if len(group) == 1 else f"{len(group)} x "
            lines += _folded(count + common_name(group), _NAME_LINES)
            if function.bridge is not None:
                lines.append(bridge_text(function.bridge))
        title = "\n".join(f"{each.bdf.short} {ids(each)} {short_name(each)}" for each in group)
        judged = self._assessment.passability.get(function.bdf)
        if judged is not None and function.is_ethernet:
            title += f"\n{verdict_text(judged)}"
        shown = tuple(clean(line, _CHARS) for line in lines)
        return Box(x, y, len(shown) * LINE + 10, self._kind(function), shown, title)

    def _judged(self, function: Function) -> Iterator[str]:
        pins = self._assessment.pins.get(function.bdf, ())
        yield f"{intx_text(function)}  {pin_text(pins)}"
        judged = self._assessment.passability.get(function.bdf)
        if judged is not None:
            yield from _folded(verdict_text(judged), _WORD_LINES)

    def _kind(self, function: Function) -> Kind:
        if function.is_bridge:
            return "bridge"
        judged = self._assessment.passability.get(function.bdf)
        if not function.is_ethernet:
            return "other"
        return judged.word if judged is not None else "unknown"


def _folded(text: str, most: int) -> list[str]:
    """Return a text in at most so many lines of a box; what does not fit ends in an ellipsis."""
    lines: list[str] = []
    for word in text.split():
        if lines and cells(lines[-1]) + 1 + cells(word) <= _CHARS:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines if len(lines) <= most else [*lines[: most - 1], " ".join(lines[most - 1 :])]
