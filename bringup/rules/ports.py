"""I/O ports: C28 to C31. In `vm_ioports`, `end` is the first port that the VM does not get."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from bringup.base.finding import Finding, Found, Rule
from bringup.camkes.vms.vmm import PORTS, emulated_at
from bringup.pci.bars import bars_under_sel4
from bringup.rules.inputs import Inputs, io_bars, is_subject, place
from bringup.rules.options import CAPTURE

if TYPE_CHECKING:
    from bringup.camkes.vms.model import Device, Ports, Vm
    from bringup.pci.model import Bar, Bdf

C28 = Rule(
    "C28",
    "each I/O BAR is inside one entry of vm_ioports, whose end is exclusive",
    "camkes-vm Init/src/main.c: map_bars' error is taken as a count; capDL grants start..end-1",
)
C29 = Rule("C29", "no port is granted twice", "seL4 IOPortControl: Some ports in range already in use.")
C30 = Rule(
    "C30",
    "no granted port is one that the VMM emulates",
    "camkes-vm Init/src/main.c (serial, PIT, RTC, PCI, PIC); FREE_IOPORT_START 0x9000: the wrong one answers",
)
C31 = Rule(
    "C31", "a range of ports begins before it ends, within 0x10000", "seL4 IOPortControl; x86 has 65536 ports"
)


# C28


def bars_covered(inputs: Inputs) -> Found:
    """C28, by the capture's I/O BARs; without one by what an inclusive end and the profile give away."""
    yield from _unassigned(inputs)
    for vm, ports in _written(inputs):
        if (fixed := exclusive_end(ports)) is not None:
            yield _inclusive(vm, ports, fixed)
    if inputs.machine is None:
        yield from _by_profile(inputs)
        return
    for vm, device, function in inputs.captured():
        if bars_under_sel4(function) is None:
            yield C28.gap(f"{vm.name}: the I/O BARs of {device.at}", inputs.capture_with("its BARs"))
        for bar in io_bars(function):
            if bar.base and bar.size is None:
                yield C28.gap(
                    f"{vm.name}: BAR {bar.index} of {device.at} has no size", inputs.capture_with("sizes")
                )
            elif bar.base and bar.size:
                yield from _covered(vm, device, bar.index, bar.base, bar.size)


def _unassigned(inputs: Inputs) -> Iterator[Finding]:
    for function in inputs.subjects:
        for bar in io_bars(function):
            if not bar.base:
                yield C28.warning(
                    "bar-unassigned",
                    function.bdf,
                    f"I/O BAR {bar.index} has no address: the guest will not see it",
                    "nothing for drivers of memory BARs only (igb, i40e); else free I/O space in the setup",
                    place(bar),
                )


def _covered(vm: Vm, device: Device, index: int, base: int, size: int) -> Iterator[Finding]:
    if any(ports.start <= base and base + size <= ports.end for ports in vm.ports):
        return
    if any(ports.start == base and exclusive_end(ports) == base + size for ports in vm.ports):
        return  # told as an inclusive end
    near = next((ports for ports in vm.ports if ports.start < base + size and base < ports.end), None)
    entry = f'{{"start":{base:#x}, "end":{base + size:#x}, "pci_device":0, "name":"{device.name}"}}'
    have = f"vm_ioports has {near.start:#x} to {near.end:#x}" if near else "vm_ioports has no range for it"
    yield C28.error(
        "io-bar-cut" if near else "io-bar-uncovered",
        (vm.name, near.place if near else device.place),
        f"{device.at}: BAR {index} is I/O ports {base:#x} to {base + size - 1:#x}, and {have}: "
        "the guest sees garbage BARs",
        f"write {entry} in {vm.name}.vm_ioports",
        f"BAR {index}: I/O {base:#x}, {size} ports",
    )


def _inclusive(vm: Vm, ports: Ports, fixed: int) -> Finding:
    return C28.error(
        "inclusive-end",
        (vm.name, ports.place),
        f'the ports "{ports.name}" of {vm.name} end at {ports.end:#x}, which looks like the last port: '
        "`end` is the first port after it",
        f'write "end":{fixed:#x}',
        f"start {ports.start:#x}, end {ports.end:#x}: {ports.end - ports.start} ports",
    )


def exclusive_end(ports: Ports) -> int | None:
    """Return the end that is meant where the last port is written instead, None where nothing says so.

    An I/O BAR's size is a power of two from 4 on, and its base a multiple of it (PCI 3.0 6.2.5.1).
    """
    size = ports.end + 1 - ports.start
    if size >= 4 and not size & (size - 1) and not ports.start % size:
        return ports.end + 1
    return None


def _by_profile(inputs: Inputs) -> Found:
    for vm, device in inputs.devices():
        nic = inputs.nic_at(device.bdf)
        bars = nic.bars.value if nic is not None and nic.bars is not None else ()
        io = [bar for bar in bars if bar.kind == "io"]
        if nic is None or not io or vm.ports:
            continue
        yield C28.error(
            "io-bar-uncovered",
            (vm.name, device.place),
            f"{device.at} has an I/O BAR of {io[0].size_bytes} ports, and {vm.name} has no vm_ioports: "
            "the guest sees garbage BARs",
            "add its range, read from a capture: bringup probe-pci",
            f"profile: {nic.name}",
        )
    if inputs.passes_devices:
        yield C28.gap("whether vm_ioports covers the I/O BARs", CAPTURE)


# C29


def owned_once(inputs: Inputs) -> Found:
    """C29: over the entries of all VMs, native components' ports, and the BARs of the machine."""
    widest: tuple[Ports, Vm] | None = None
    for ports, vm in sorted(entries_of(inputs), key=lambda pair: (pair[0].start, pair[0].end)):
        if widest is not None and ports.start < widest[0].end and ports.start < ports.end:
            other, owner = widest
            yield C29.error(
                "ports-twice",
                (vm.name, ports.place),
                f'the ports "{ports.name}" of {vm.name} ({ports.start:#x} to {ports.end:#x}) overlap '
                f'"{other.name}" of {owner.name} ({other.start:#x} to {other.end:#x})',
                "each port belongs to one entry; ranges may touch",
            )
        if widest is None or ports.end > widest[0].end:
            widest = (ports, vm)
    for ports, vm in entries_of(inputs):
        held = (each for each in inputs.native.ports if each[0] < ports.end and ports.start < each[1])
        if (native := next(held, None)) is not None:
            start, end, component = native
            yield C29.error(
                "ports-twice",
                (vm.name, ports.place),
                f'the ports "{ports.name}" of {vm.name} ({ports.start:#x} to {ports.end:#x}) overlap those '
                f"of the native component {component} ({start:#x} to {end:#x})",
                "give the device to one of them",
            )
    yield from _neighbours(inputs)


def reach_no_other(inputs: Inputs) -> Found:
    """C29: an entry that reaches into the I/O BAR of a function that is not the VM's."""
    for ports, vm in entries_of(inputs) if inputs.functions else ():
        if "pci_devices" in vm.unread or any(inputs.function(device) is None for device in vm.devices):
            continue  # whose ports they are is not known: a device is not told, or not where it is said to be
        for function in inputs.functions.values():
            if inputs.holders.get(function.bdf, ("",))[0] == vm.name:
                continue
            bars = (bar for bar in io_bars(function) if bar.base and bar.size)
            met = (bar for bar in bars if ports.start < (bar.end or 0) and (bar.base or 0) < ports.end)
            if (bar := next(met, None)) is None:
                continue
            tell = C29.error if is_subject(function) or function.bdf in inputs.nics else C29.warning
            yield tell(
                "ports-of-other",
                (vm.name, ports.place),
                f'the ports "{ports.name}" of {vm.name} ({ports.start:#x} to {ports.end:#x}) reach into '
                f"I/O BAR {bar.index} of {function.bdf.short}",
                "one entry per I/O BAR, from its base to the port after its last",
                place(bar),
            )
            break


def entries_of(inputs: Inputs) -> Iterator[tuple[Ports, Vm]]:
    """Yield every entry of `vm_ioports` with its VM."""
    return ((ports, vm) for vm in inputs.vms for ports in vm.ports)


def _neighbours(inputs: Inputs) -> Iterator[Finding]:
    ranges: list[tuple[int, int, Bdf]] = sorted(
        (bar.base, bar.base + bar.size, function.bdf)
        for function in inputs.functions.values()
        for bar in io_bars(function)
        if bar.base and bar.size
    )
    for (base, end, bdf), (base2, end2, other) in pairwise(ranges):
        subjects = [each for each in (bdf, other) if each in inputs.subject_bdfs]
        if bdf == other or bdf.domain != other.domain or not subjects:
            continue
        evidence = (
            f"{bdf.short}: ports {base:#x} to {end - 1:#x}",
            f"{other.short}: ports {base2:#x} to {end2 - 1:#x}",
        )
        if base2 < end:
            for each in subjects:
                yield _overlap(each, other if each == bdf else bdf, evidence)
        elif base2 == end and len(subjects) == 2 and not inputs.configured:
            yield C29.note(
                "io-range-adjacent",
                bdf,
                # The same sentence for a card's functions, which commonly lie in a row.
                "its ports end where another function's begin",
                "write one past the last port as `end`, it is exclusive",
                *evidence,
            )


def _overlap(bdf: Bdf, other: Bdf, evidence: tuple[str, ...]) -> Finding:
    return C29.error(
        "io-range-overlap",
        bdf,
        f"its ports overlap those of {other.short}",
        "check the capture: two functions cannot decode one port",
        *evidence,
        change=f"its ports must not overlap those of {other.short}",
    )


# C30


def not_emulated(inputs: Inputs) -> Found:
    """C30: what is said of a function holds for whichever VM it is given to."""
    for function in inputs.subjects:
        met: dict[tuple[int, int, str], list[Bar]] = {}
        for bar in io_bars(function):
            if bar.base and (own := emulated_at(bar.base, bar.base + (bar.size or 1))) is not None:
                met.setdefault(own, []).append(bar)
        for (start, end, what), bars in met.items():
            numbers = ", ".join(str(bar.index) if bar.numbered else f"at {bar.base:#x}" for bar in bars)
            yield C30.error(
                "io-range-emulated",
                function.bdf,
                f"I/O BAR {numbers} overlaps ports {start:#x} to {end - 1:#x}, where the VMM has {what}",
                "have the firmware place it elsewhere, or leave that emulated device out of the VM",
                *map(place, bars),
                change=f"I/O BAR {numbers} must leave the VMM's own ports {start:#x} to {end - 1:#x}",
            )
    for vm, ports in _written(inputs):
        if (own := emulated_at(ports.start, ports.end, vm)) is not None:
            start, end, what = own
            yield C30.error(
                "emulated-port",
                (vm.name, ports.place),
                f'the ports "{ports.name}" of {vm.name} ({ports.start:#x} to {ports.end:#x}) meet '
                f"{start:#x} to {end - 1:#x}, where the VMM has {what}",
                "a BAR there must be moved by the firmware; anything else is left out",
            )


# C31


def range_valid(inputs: Inputs) -> Found:
    """C31."""
    for function in inputs.subjects:
        for bar in io_bars(function):
            if bar.base and bar.base + (bar.size or 1) > PORTS:
                yield C31.error(
                    "io-range-beyond",
                    function.bdf,
                    f"I/O BAR {bar.index} ends beyond port 0xffff",
                    "check the capture: x86 has 65536 ports",
                    place(bar),
                    refuse=f"I/O BAR {bar.index} lies where x86 has no ports",
                )
    for vm, ports in _written(inputs):
        if not 0 <= ports.start < ports.end <= PORTS:
            yield C31.error(
                "port-range",
                (vm.name, ports.place),
                f'the ports "{ports.name}" of {vm.name} run from {ports.start:#x} to {ports.end:#x}',
                "start below end, end at most 0x10000 and one past the last port",
            )


def _written(inputs: Inputs) -> Iterator[tuple[Vm, Ports]]:
    """Yield the entries that are not exactly a BAR of the VM's own devices: those are judged as BARs."""
    for vm in inputs.vms:
        functions = [function for device in vm.devices if (function := inputs.function(device)) is not None]
        bars = {(bar.base, bar.end) for function in functions for bar in io_bars(function)}
        yield from ((vm, ports) for ports in vm.ports if (ports.start, ports.end) not in bars)


CHECKS = (
    (C28, bars_covered),
    (C29, owned_once),
    (C29, reach_no_other),
    (C30, not_emulated),
    (C31, range_valid),
)
