"""The topology as a tree: buses, the bridges that lead to them with what they forward, and what is there."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from bringup.pci.assessment import Assessment
from bringup.pci.model import Bridge, Function
from bringup.pci.topology.buses import Buses, BusKey
from bringup.report.pci.groups import Group, group_name, grouped
from bringup.report.pci.text import View, headline
from bringup.report.style import Tint, paint
from bringup.report.words import (
    bdf_list,
    bridge_text,
    cells,
    clean,
    intx_text,
    pin_text,
    verdict_text,
    word_tint,
)

_BRANCH, _LAST, _THROUGH, _BELOW_LAST = "├─ ", "└─ ", "│  ", "   "


def report_as_tree(assessment: Assessment, view: View) -> Iterator[str]:
    """Yield the whole report: whose facts these are, and the tree."""
    yield from headline(assessment, view.width, view.why_no_profile)
    yield from tree_lines(assessment, width=view.width, everything=view.everything)


def tree_lines(assessment: Assessment, *, width: int = 118, everything: bool = False) -> Iterator[str]:
    """Yield the tree; the dull functions of a device take one line unless `everything` is wanted."""
    buses = Buses.of(assessment.machine.functions)
    tree = _Tree(assessment, buses, width, everything)
    for key in buses.roots:
        yield paint(_root_title(key, buses), "bold")
        yield from tree.members(buses.on[key], "")


def _root_title(key: BusKey, buses: Buses) -> str:
    domain, bus = key
    name = f"bus {bus:02x}" if domain == 0 else f"bus {domain:04x}:{bus:02x}"
    sure = buses.is_surely_root(key)
    return f"{name}  (root bus)" if sure else f"{name}  (whether a bridge leads here was not observed)"


@dataclass(frozen=True, slots=True)
class _Tree:
    assessment: Assessment
    buses: Buses
    width: int
    everything: bool

    def members(self, functions: tuple[Function, ...], lead: str) -> Iterator[str]:
        """Yield the functions of one bus, each followed by what is behind it."""
        groups = grouped(functions, single=self.everything)
        for number, group in enumerate(groups, start=1):
            end = number == len(groups)
            below = lead + (_BELOW_LAST if end else _THROUGH)
            behind = self.buses.behind(group[0])
            yield from self._entry(group, lead + (_LAST if end else _BRANCH), below)
            if (bridge := group[0].bridge) is not None:
                yield from self._windows(bridge, below + (_THROUGH if behind else _BELOW_LAST))
            yield from self.members(behind, below)

    def _entry(self, group: Group, lead: str, below: str) -> Iterator[str]:
        function = group[0]
        parts = [bdf_list(each.bdf for each in group), clean(group_name(group), 60)]
        if function.bridge is not None:
            parts.append(bridge_text(function.bridge))
        elif function.is_bridge:
            parts.append("bus numbers not observed")
        text = "  ".join(parts)
        if not function.is_ethernet:
            yield from self._wrapped(text, None, lead, below)
            return
        judged = self.assessment.passability.get(function.bdf)
        word = "" if judged is None else verdict_text(judged)
        text += f"  {intx_text(function)}  {pin_text(self.assessment.pins.get(function.bdf, ()))}"
        if word and cells(lead + text) + 2 + cells(word) <= self.width:
            yield f"{lead}{paint(text, 'bold')}  {paint(word, word_tint(judged))}"
            return
        yield from self._wrapped(text, "bold", lead, below)
        yield from self._wrapped(word, word_tint(judged), below + "   ", below + "   ")

    def _windows(self, bridge: Bridge, lead: str) -> Iterator[str]:
        if not bridge.windows:
            return
        shown = (f"{w.kind} {w.base:x}-{w.limit:x}" for w in bridge.windows)
        text = f"forwards {' · '.join(shown)}"
        yield from self._wrapped(text, "faint", lead, lead)

    def _wrapped(self, text: str, tint: Tint | None, lead: str, below: str) -> Iterator[str]:
        """Yield one entry, its second line and further ones indented under the first."""
        room = max(20, self.width - len(lead) - 3)
        for number, piece in enumerate(textwrap.wrap(text, room, break_on_hyphens=False)):
            yield (f"{below}   " if number else lead) + paint(piece, tint)
