"""Which network ports can go to different VMs, and what holds the others together. Pure.

    split = split_ports(assessment)
    split.groups            # the ports of one group have to go to one VM
    split.bonds             # why
    split.doubts            # what may not be kept apart although it can be given apart

Together go ports on one IOAPIC pin (C4: the kernel gives it to one VM), with memory on one page (C24), and
behind one conventional PCI bridge, whose DMA comes under the bridge's own address (PCI Express to PCI/PCI-X
Bridge 1.0, 2.3), so that the IOMMU cannot tell them apart. Where DMA may pass from one port to another before
it reaches the IOMMU is a doubt: seL4 switches on no ACS.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from bringup.camkes.vms.vmm import PAGE
from bringup.pci.model import Acs, Bdf, Function, Pcie
from bringup.pci.topology.above import Topology
from bringup.rules.inputs import memory_bars, named

if TYPE_CHECKING:
    from bringup.pci.assessment import Assessment

Kind = Literal["pin", "page", "bridge", "iommu-group", "switch", "pin-unknown"]


@dataclass(frozen=True, slots=True)
class Bond:
    """Ports that one thing holds together, and that thing in words."""

    kind: Kind
    ports: tuple[Bdf, ...]
    reason: str


@dataclass(frozen=True)
class Split:
    """How the ports that VMs can be given part. `left` are those that cannot be given, each with why.

    `changes` are ports that can be given only once something is changed (`bringup probe-pci` says what).
    """

    groups: tuple[tuple[Bdf, ...], ...]
    bonds: tuple[Bond, ...]
    doubts: tuple[Bond, ...]
    changes: frozenset[Bdf] = frozenset()
    left: tuple[tuple[Bdf, str], ...] = ()

    def settled(self, group: Sequence[Bdf]) -> bool:
        """Whether the pins of a whole group are known; those of another may be the same pin."""
        return self._without_pin.isdisjoint(group)

    def why(self, group: Sequence[Bdf]) -> tuple[Bond, ...]:
        """Return the bonds that make a group."""
        return tuple(bond for bdf in group for bond in self._bonds_from.get(bdf, ()))

    @cached_property
    def _without_pin(self) -> frozenset[Bdf]:
        return frozenset(b for doubt in self.doubts if doubt.kind == "pin-unknown" for b in doubt.ports)

    @cached_property
    def _bonds_from(self) -> dict[Bdf, list[Bond]]:
        """The bonds by their first port: all of a bond's ports are in one group."""
        found: dict[Bdf, list[Bond]] = defaultdict(list)
        for bond in self.bonds:
            found[bond.ports[0]].append(bond)
        return found


def split_ports(assessment: Assessment) -> Split:
    """Return how the network ports of a machine part; of its other functions nothing is said."""
    words = assessment.passability
    every = [f for f in assessment.machine.functions if f.is_ethernet]
    refused = {bdf: word.reasons for bdf, word in words.items() if word.word == "not-passable"}
    ports = [f for f in every if f.bdf not in refused]
    topology = Topology.of(assessment.machine.functions)
    bonds = (*_pins(ports, assessment), *_pages(ports), *_bridges(ports, assessment, topology))
    return Split(
        groups=_groups([f.bdf for f in ports], bonds),
        bonds=bonds,
        doubts=(*_unknown(ports, assessment), *_iommu_groups(ports), *_switches(ports, assessment, topology)),
        changes=frozenset(f.bdf for f in ports if f.bdf in words and words[f.bdf].word == "needs-change"),
        left=tuple((f.bdf, "; ".join(refused[f.bdf])) for f in every if f.bdf in refused),
    )


def _groups(ports: Iterable[Bdf], bonds: Iterable[Bond]) -> tuple[tuple[Bdf, ...], ...]:
    group = {bdf: {bdf} for bdf in ports}
    for bond in bonds:
        merged = set().union(*(group[bdf] for bdf in bond.ports))
        group.update(dict.fromkeys(merged, merged))
    return tuple(sorted({tuple(sorted(members)) for members in group.values()}))


def _pins(ports: Iterable[Function], assessment: Assessment) -> Iterator[Bond]:
    at: dict[tuple[int, int], list[Bdf]] = defaultdict(list)
    for function in ports:
        if beliefs := assessment.pins.get(function.bdf):
            at[beliefs[0].ioapic, beliefs[0].pin].append(function.bdf)
    for (ioapic, pin), members in at.items():
        if len(members) > 1:
            grades = dict.fromkeys(assessment.pins[bdf][0].words for bdf in members)
            reason = f"IOAPIC pin {ioapic}/{pin} ({', '.join(grades)}): the kernel gives it to one VM (C4)"
            yield Bond("pin", tuple(members), reason)


def _pages(ports: Sequence[Function]) -> Iterator[Bond]:
    pages = sorted(
        (bar.base // PAGE, (bar.base + bar.size - 1) // PAGE, function.bdf)
        for function in ports
        for bar in memory_bars(function)
        if bar.base and bar.size
    )
    # The one that reaches furthest so far: whatever begins before its end shares a page with it.
    reach, holder = -1, None
    for first, last, bdf in pages:
        if holder is not None and first <= reach and bdf != holder:
            reason = f"page {first * PAGE:#x}: one VM only is granted it (C24)"
            yield Bond("page", (holder, bdf), reason)
        if last > reach:
            reach, holder = last, bdf


def _bridges(ports: Iterable[Function], assessment: Assessment, topology: Topology) -> Iterator[Bond]:
    behind: dict[Bdf, list[Bdf]] = defaultdict(list)
    for function in ports:
        for bridge in topology.path(function.bdf):
            if _is_conventional(assessment.machine.find(bridge)):
                behind[bridge].append(function.bdf)
    for bridge, members in behind.items():
        if len(members) > 1:
            reason = f"PCI bridge {bridge.short}: their DMA has its address, and the IOMMU sees one device"
            yield Bond("bridge", tuple(members), reason)


_TO_PCI = "pci-express to pci/pci-x bridge"


def _is_conventional(bridge: Function | None) -> bool:
    """Whether the bus behind a bridge is PCI or PCI-X; of one that was not read wholly it is not said."""
    if bridge is None or not bridge.observed("capabilities") or bridge.unread or bridge.problems:
        return False
    pcie = bridge.capability(Pcie)
    return pcie is None or pcie.port_type == _TO_PCI


def _unknown(ports: Iterable[Function], assessment: Assessment) -> Iterator[Bond]:
    unknown = tuple(f.bdf for f in ports if not assessment.pins.get(f.bdf))
    if unknown:
        reason = "IOAPIC pin not known: it may be that of another port (C4)"
        yield Bond("pin-unknown", unknown, reason)


def _iommu_groups(ports: Iterable[Function]) -> Iterator[Bond]:
    groups: dict[int, list[Bdf]] = defaultdict(list)
    for function in ports:
        if function.iommu_group is not None:
            groups[function.iommu_group].append(function.bdf)
    for number, members in groups.items():
        if len(members) > 1:
            yield Bond(
                "iommu-group", tuple(members), f"IOMMU group {number}: between them DMA is not kept apart"
            )


def _switches(ports: Iterable[Function], assessment: Assessment, topology: Topology) -> Iterator[Bond]:
    """Yield ports below one PCIe switch whose downstream ports do not send all DMA upwards (ACS)."""
    below: dict[Bdf, dict[Bdf, list[Bdf]]] = defaultdict(lambda: defaultdict(list))
    for function in ports:
        path = topology.path(function.bdf)
        for switch, downstream in pairwise(path):
            below[switch][downstream].append(function.bdf)
    for switch, branches in below.items():
        open_ones = [d for d in branches if not _redirects(assessment.machine.find(d))]
        members = tuple(sorted(bdf for branch in branches.values() for bdf in branch))
        if len(branches) > 1 and open_ones:
            reason = (
                f"one switch ({switch.short}), and {named(tuple(open_ones))} not seen sending DMA between "
                "its ports to the IOMMU (ACS)"
            )
            yield Bond("switch", members, reason)


# Source validation, P2P request and completion redirect, upstream forwarding (PCIe 4.0 7.7.8.3).
_ACS_APART = 0b11101


def _redirects(port: Function | None) -> bool:
    acs = port.capability(Acs) if port is not None else None
    return acs is not None and acs.control is not None and acs.control & _ACS_APART == _ACS_APART
