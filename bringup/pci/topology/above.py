"""Who is behind whom: the bridges above a function, from its root port down (PCI-to-PCI Bridge 1.2, 3.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bringup.pci.model import Bdf, Function


@dataclass(frozen=True, slots=True)
class Topology:
    """`above[bdf]` is the bridge whose secondary bus the function is on; those on a root bus have none."""

    above: Mapping[Bdf, Bdf]

    @classmethod
    def of(cls, functions: Iterable[Function]) -> Topology:
        """Read the tree from the bridges' secondary bus numbers."""
        functions = tuple(functions)
        behind: dict[tuple[int, int], Bdf] = {}
        for function in functions:
            if function.bridge is not None and function.bridge.secondary:
                behind.setdefault((function.bdf.domain, function.bridge.secondary), function.bdf)
        above = {
            function.bdf: bridge
            for function in functions
            if (bridge := behind.get((function.bdf.domain, function.bdf.bus))) not in (None, function.bdf)
        }
        return cls({bdf: bridge for bdf, bridge in above.items() if bridge is not None})

    def path(self, bdf: Bdf) -> tuple[Bdf, ...]:
        """Return the bridges above a function, root port first; a loop of broken numbers ends the walk."""
        path: list[Bdf] = []
        seen = {bdf}
        while (bridge := self.above.get(bdf)) is not None and bridge not in seen:
            path.append(bridge)
            seen.add(bridge)
            bdf = bridge
        return tuple(reversed(path))
