"""Where devices are that an OS told without bus numbers: found again among functions whose place is known.

A device whose BARs lie where those of one function alone do, at the same device and function number, tells
the number of its bus; from there the tree of bridges tells those above and below. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from bringup.pci.model import Bdf, Bridge, Function, Machine, Missing, RoutedPin, Unplaced
from bringup.pci.topology.above import Topology

_NETWORK = re.compile(r"Ethernet|Network|Gigabit", re.IGNORECASE)

Bus = tuple[int, int]
"""PCI domain and bus number."""


def place(machine: Machine) -> Machine:
    """Return the machine with what its unplaced devices tell of its functions; the others stay unplaced.

    A bridge whose bus nobody told gets it from what was found behind it.
    """
    if not machine.unplaced:
        return machine
    functions = {function.bdf: function for function in machine.functions}
    buses = _buses(machine)
    routed: list[RoutedPin] = []
    still: list[Unplaced] = []
    for device in machine.unplaced:
        bus = buses.get(device.on)
        function = None if bus is None else functions.get(Bdf(*bus, device.device, device.function))
        if function is None:
            still.append(device)
            continue
        if device.gsi is not None:
            routed.append(RoutedPin(function.bdf, device.gsi, device.source))
        functions[function.bdf] = _with_bus(function, device, buses)
    return replace(
        machine,
        functions=tuple(functions[bdf] for bdf in sorted(functions)),
        routed=(*machine.routed, *routed),
        unplaced=tuple(still),
        missing=(*machine.missing, *_told(still)),
    )


def _buses(machine: Machine) -> dict[str, Bus]:
    """Return the numbers of the buses, as far as they can be known."""
    found = _by_addresses(machine)
    above = Topology.of(machine.functions).above
    on = {(bdf.domain, bdf.bus): bridge for bdf, bridge in above.items()}
    below = {f.bdf: (f.bdf.domain, f.bridge.secondary) for f in machine.functions if f.bridge is not None}
    changed = True
    while changed:
        known = len(found)
        for device in machine.unplaced:
            behind = None if device.leads_to is None else found.get(device.leads_to)
            bridge = None if behind is None else on.get(behind)
            if bridge is not None and (bridge.device, bridge.function) == (device.device, device.function):
                found.setdefault(device.on, (bridge.domain, bridge.bus))
            here = found.get(device.on)
            leads = None if here is None else below.get(Bdf(*here, device.device, device.function))
            if leads is not None and leads[1] and device.leads_to is not None:
                found.setdefault(device.leads_to, leads)
        changed = len(found) > known
    return found


def _by_addresses(machine: Machine) -> dict[str, Bus]:
    """Return the buses on which a device's BARs are those of one function; none that is disputed."""
    at: dict[int, set[Bdf]] = {}
    for function in machine.functions:
        for bar in (*(function.bars or ()), *(function.firmware_bars or ())):
            if bar.base:
                at.setdefault(bar.base, set()).add(function.bdf)
    found: dict[str, set[Bus]] = {}
    for device in machine.unplaced:
        for base in device.bases:
            there = at.get(base, set())
            if len(there) == 1:
                (bdf,) = there
                if (bdf.device, bdf.function) == (device.device, device.function):
                    found.setdefault(device.on, set()).add((bdf.domain, bdf.bus))
    return {name: next(iter(buses)) for name, buses in found.items() if len(buses) == 1}


def _with_bus(function: Function, device: Unplaced, buses: Mapping[str, Bus]) -> Function:
    leads = None if device.leads_to is None else buses.get(device.leads_to)
    if leads is None or function.observed("bridge") or not function.is_bridge:
        return function
    # Of the buses behind it the log shows the first; which is the last nobody told.
    bridge = Bridge(function.bdf.bus, leads[1], leads[1])
    return replace(function, bridge=bridge, provenance={**function.provenance, "bridge": device.source})


def _told(devices: Iterable[Unplaced]) -> tuple[Missing, ...]:
    """Return what is not known of devices that interrupt, network ports first."""
    routed = [device for device in devices if device.gsi is not None and device.leads_to is None]
    why = "a FreeBSD boot log tells no bus numbers: add `pciconf -lvbc`"
    return tuple(
        Missing(f"the place of {device.name} (GSI {device.gsi})", why)
        for device in sorted(routed, key=lambda device: not _NETWORK.search(device.what))
    )
