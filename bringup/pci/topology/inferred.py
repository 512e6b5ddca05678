"""Which bus a bridge leads to where no source told: only when a single answer is left.

FreeBSD's pciconf shows every function and no bridge's bus numbers. Four rules narrow down which bridge a bus
is behind, each from a specification and none from custom (such as numbering slots in ascending order):

- Numbers nest: all buses behind a bridge lie in one range that begins with its secondary bus, and the ranges
  of two bridges on one bus are disjoint (PCI-to-PCI Bridge 1.2, 3.2.5). So the bridge above a bus is on the
  bus seen before it, or on one of the buses above that one.
- Port types fit: an upstream port or an endpoint is below a root or downstream port, a downstream port below
  an upstream port, a function without PCI Express below a bridge to conventional PCI (PCIe 4.0, 7.5.3.2).
- A link has two ends: both show the same negotiated width and speed, and without a link nothing is behind a
  port (PCIe 4.0, 7.5.3.8).
- A bridge leads to one bus, and a bus is behind one bridge.

A root bus is known by what is only on such: host bridges, root ports, root complex integrated functions. A
bus for which two answers are left stays as it was: not observed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bringup.pci.model import Bdf, Bridge, Function, Pcie

INFERRED = "inferred"

# No machine has more; a listing that claims so is not worked on.
_BRIDGES_MAX = 1024
_ROOT_COMPLEX = ("root port", "root complex integrated endpoint", "root complex event collector")
_HOST_BRIDGE = 0x0600
_EXPRESS = 0x10
_SWITCH_OR_ROOT = ("root port", "downstream port")
_TO_CONVENTIONAL = "pci-express to pci/pci-x bridge"
_PARENTS = {
    "upstream port": _SWITCH_OR_ROOT,
    "endpoint": _SWITCH_OR_ROOT,
    "legacy endpoint": _SWITCH_OR_ROOT,
    _TO_CONVENTIONAL: _SWITCH_OR_ROOT,
    "downstream port": ("upstream port",),
}
BELOW_A_PORT = frozenset(_PARENTS)
"""Port types of what is behind another port, never on a root bus."""


def infer_bridges(functions: Sequence[Function]) -> tuple[Function, ...]:
    """Return the functions, bridges with the bus they can only lead to; provenance `SOURCE:inferred`.

    Their `subordinate` is the last bus that was seen behind them: empty ones may follow. Nothing is inferred
    where capabilities were not observed: ports cannot be told apart then.
    """
    unknown = [f for f in functions if f.is_bridge and not f.observed("bridge")]
    if not any(f.observed("capabilities") for f in unknown) or len(unknown) > _BRIDGES_MAX:
        return tuple(functions)
    found: dict[Bdf, int] = {}
    for domain in {f.bdf.domain for f in unknown}:
        found |= _Domain([f for f in functions if f.bdf.domain == domain]).solve()
    return tuple(_told(function, found, functions) for function in functions)


def _told(function: Function, found: Mapping[Bdf, int], functions: Sequence[Function]) -> Function:
    secondary = found.get(function.bdf)
    if secondary is None:
        return function
    behind = {secondary}
    # Buses are numbered downwards, so one pass in their order reaches everything.
    for bridge in sorted(found, key=lambda bdf: bdf.bus):
        if bridge.domain == function.bdf.domain and bridge.bus in behind:
            behind.add(found[bridge])
    source = f"{function.provenance.get('capabilities', '')}:{INFERRED}"
    return replace(
        function,
        bridge=Bridge(function.bdf.bus, secondary, max(behind)),
        provenance={**function.provenance, "bridge": source},
    )


def on_root_bus(members: Iterable[Function]) -> bool:
    """Whether the functions of a bus show that no bridge leads to it."""
    return any(f.class_code == _HOST_BRIDGE or _port(f) in _ROOT_COMPLEX for f in members)


def _port(function: Function) -> str | None:
    pcie = function.capability(Pcie)
    return None if pcie is None else pcie.port_type


@dataclass(frozen=True, slots=True)
class _Kind:
    """What counts of a function here: its port and link, and whether these are known.

    A PCI Express function whose port type its source did not tell is not known: it may be any.
    """

    known: bool
    port: str | None
    width: int | None
    speed: float | None


def _kind(function: Function) -> _Kind:
    express = any(not c.extended and c.id == _EXPRESS for c in function.capabilities or ())
    pcie = function.capability(Pcie) or Pcie()
    known = function.observed("capabilities") and (pcie.port_type is not None or not express)
    return _Kind(known, pcie.port_type, pcie.width, pcie.speed)


def _is_any_port(function: Function) -> bool:
    """Whether a function was seen to be PCI Express, and not which port of it."""
    return function.observed("capabilities") and not _kind(function).known


class _Domain:
    """The buses of one PCI domain; `above` is the bridge of each bus for which it is known."""

    def __init__(self, functions: Sequence[Function]) -> None:
        on: dict[int, list[Function]] = {}
        for function in sorted(functions, key=lambda function: function.bdf):
            on.setdefault(function.bdf.bus, []).append(function)
        self.buses = tuple(on)
        self.roots = {bus for bus, members in on.items() if on_root_bus(members)}
        # What may be a root port after all may be on a root bus.
        self.doubtful = {bus for bus, members in on.items() if any(map(_is_any_port, members))}
        self.kinds = {bus: {_kind(function) for function in members} for bus, members in on.items()}
        self.open = {
            bus: [(f.bdf, _kind(f)) for f in members if f.is_bridge and not f.observed("bridge")]
            for bus, members in on.items()
        }
        told = [f for f in functions if f.bridge is not None and f.bridge.secondary]
        self.above = {f.bridge.secondary: f.bdf for f in told if f.bridge is not None}

    def solve(self) -> dict[Bdf, int]:
        """Return the bus behind each bridge for which one answer is left and no source told it."""
        known = set(self.above)
        # Every round but the last settles a bus, and there are at most 256.
        while sum(map(self._settle, self.buses)):
            pass
        return {bridge: bus for bus, bridge in self.above.items() if bus not in known}

    def _settle(self, bus: int) -> bool:
        if bus in self.above or bus in self.roots or bus in self.doubtful:
            return False
        taken = set(self.above.values())
        fits = [
            bdf
            for seen in self._possible(bus)
            for bdf, bridge in self.open[seen]
            if bdf not in taken and all(_may_be_above(bridge, below) for below in self.kinds[bus])
        ]
        if len(fits) != 1:
            return False
        self.above[bus] = fits[0]
        return True

    def _possible(self, bus: int) -> list[int]:
        """Return the buses that the bridge above this one can be on, as far as numbering goes."""
        before = [seen for seen in self.buses if seen < bus]
        possible: list[int] = []
        while before:
            at = before.pop()
            possible.append(at)
            if at in self.roots:
                break
            if at in self.above:
                before = [seen for seen in before if seen <= self.above[at].bus]
            # Where this bus hangs is not known yet: then it may be below any of those before it.
        return possible


def _may_be_above(bridge: _Kind, below: _Kind) -> bool:
    """Whether port types and the two ends of the link fit."""
    if not bridge.known:
        return True
    if bridge.port in _SWITCH_OR_ROOT and bridge.width == 0:
        return False
    if not below.known:
        return True
    if below.port is None:
        return bridge.port in (None, _TO_CONVENTIONAL)
    if bridge.port not in _PARENTS.get(below.port, ()):
        return False
    # Inside a switch, between upstream and downstream port, there is no link.
    return below.port == "downstream port" or (
        _same(bridge.width, below.width) and _same(bridge.speed, below.speed)
    )


def _same(one: float | None, other: float | None) -> bool:
    return one is None or other is None or one == other
