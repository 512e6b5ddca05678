"""The machine as buses: which functions are on a bus, and which buses nobody is seen to lead to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bringup.pci.model import Bdf, Function, Pcie
from bringup.pci.topology.above import Topology
from bringup.pci.topology.inferred import BELOW_A_PORT, on_root_bus

BusKey = tuple[int, int]
"""PCI domain and bus number."""


@dataclass(frozen=True, slots=True)
class Buses:
    """`on` holds the functions of each bus in order; `roots` the buses that no observed bridge leads to.

    Roots and `behind` make a forest: each bus comes up once, even where broken bridges lead in a ring. `dark`
    is the lowest bus of each domain with a bridge whose bus numbers were not observed: a root on a higher bus
    may in truth be behind it.
    """

    on: Mapping[BusKey, tuple[Function, ...]]
    roots: tuple[BusKey, ...]
    below: Mapping[Bdf, BusKey]
    topology: Topology
    dark: Mapping[int, int]

    @classmethod
    def of(cls, functions: Iterable[Function]) -> Buses:
        """Sort a machine's functions by bus."""
        functions = sorted(functions, key=lambda function: function.bdf)
        topology = Topology.of(functions)
        on: dict[BusKey, list[Function]] = {}
        for function in functions:
            on.setdefault(_bus(function), []).append(function)
        above = {key: topology.above.get(members[-1].bdf) for key, members in on.items()}
        below = {bridge: key for key, bridge in above.items() if bridge is not None}
        roots = [key for key, bridge in above.items() if bridge is None]
        reached: set[BusKey] = set()
        for root in roots:
            _reach(root, on, below, reached)
        # Bridges that lead to each other in a ring hang on no root: one of their buses is made one.
        for key in on:
            if key not in reached:
                roots.append(key)
                below.pop(above[key], None)  # type: ignore[arg-type]
                _reach(key, on, below, reached)
        dark: dict[int, int] = {}
        for function in functions:
            if function.is_bridge and not function.observed("bridge"):
                dark.setdefault(function.bdf.domain, function.bdf.bus)
        frozen = {key: tuple(members) for key, members in on.items()}
        return cls(frozen, tuple(sorted(roots)), below, topology, dark)

    def behind(self, function: Function) -> tuple[Function, ...]:
        """Return the functions on the bus that a bridge leads to."""
        key = self.below.get(function.bdf)
        return () if key is None else self.on[key]

    def is_surely_root(self, key: BusKey) -> bool:
        """Whether no bridge leads to this bus, also none whose bus numbers were not observed.

        Bus 0 is always one. A bridge is on a bus of a lower number than those behind it (PCI-to-PCI Bridge
        1.2, 3.2.5.3). Root ports, what is integrated in the root complex and host bridges are on root buses
        only, endpoints and switches never (PCIe 4.0, 7.5.3.2). A capture without bus 0 and without a bridge
        here is of a part of a machine (`lspci -s`): where the bridge should be, nobody looked.
        """
        domain, bus = key
        if key not in self.on or self.on[key][-1].bdf in self.topology.above:
            return False
        if bus == 0 or on_root_bus(self.on[key]):
            return True
        ports = (function.capability(Pcie) for function in self.on[key])
        if any(port is not None and port.port_type in BELOW_A_PORT for port in ports):
            return False
        whole = (domain, 0) in self.on or any(function.is_bridge for function in self.on[key])
        return whole and bus <= self.dark.get(domain, bus)

    def path(self, bdf: Bdf) -> tuple[Bdf, ...] | None:
        """Return the bridges above a function, root port first; None when that was not observed."""
        path = self.topology.path(bdf)
        top = path[0] if path else bdf
        return path if self.is_surely_root((top.domain, top.bus)) else None


def _bus(function: Function) -> BusKey:
    return function.bdf.domain, function.bdf.bus


def _reach(
    start: BusKey, on: Mapping[BusKey, list[Function]], below: Mapping[Bdf, BusKey], reached: set[BusKey]
) -> None:
    todo = [start]
    while todo:
        key = todo.pop()
        if key not in reached:
            reached.add(key)
            todo.extend(below[function.bdf] for function in on[key] if function.bdf in below)
