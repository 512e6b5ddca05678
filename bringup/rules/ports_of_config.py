"""I/O ports: C28 to C31. `end` is the first port that the VM does not get."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bringup.base.finding import Finding, Gap, Rule
from bringup.camkes.vms.model import Device, Ports, Vm
from bringup.camkes.vms.vmm import EMULATED_PORTS
from bringup.pci.bars import bars_under_sel4
from bringup.pci.model import Function
from bringup.rules.context import CAPTURE, Context

Found = Iterator[Finding | Gap]

C28 = Rule(
    "C28",
    "each I/O BAR is inside one entry of vm_ioports, whose end is exclusive",
    "camkes-vm Init/src/main.c: map_bars' error is taken as a count; capDL grants start..end-1",
)
C29 = Rule("C29", "no port is granted twice", "seL4 IOPortControl: Some ports in range already in use.")
C30 = Rule(
    "C30",
    "no granted port is one that the VMM emulates",
    "camkes-vm Init/src/main.c (serial, PIT, RTC, PCI, PIC); FREE_IOPORT_START 0x9000",
)
C31 = Rule(
    "C31", "a range of ports begins before it ends, within 0x10000", "seL4 IOPortControl; x86 has 65536 ports"
)

_PORTS = 0x10000
_VIRTIO_POOL, _VIRTIO_STEP = 0x9000, 0x400


def bars_covered(context: Context) -> Found:
    """C28, by the capture's I/O BARs; without one by what an inclusive end and the profile give away."""
    for vm in context.vms:
        for ports in vm.ports:
            if not _is_known_bar(context, vm, ports) and (fixed := exclusive_end(ports)) is not None:
                yield _inclusive(vm, ports, fixed)
    if context.assessment is None:
        yield from _by_profile(context)
        return
    for vm, device, function in context.captured():
        bars = bars_under_sel4(function)
        if bars is None:
            yield C28.gap(f"{vm.name}: the I/O BARs of {device.at}", context.capture_with("its BARs"))
        for bar in bars or ():
            if bar.kind != "io" or not bar.base:
                continue
            if bar.size is None:
                yield C28.gap(
                    f"{vm.name}: BAR {bar.index} of {device.at} has no size", context.capture_with("sizes")
                )
                continue
            yield from _covered(vm, device, bar.index, bar.base, bar.size)


def _covered(vm: Vm, device: Device, index: int, base: int, size: int) -> Found:
    if any(ports.start <= base and base + size <= ports.end for ports in vm.ports):
        return
    if any(ports.start == base and exclusive_end(ports) == base + size for ports in vm.ports):
        return  # told as an inclusive end
    near = next((ports for ports in vm.ports if ports.start < base + size and base < ports.end), None)
    entry = f'{{"start":{base:#x}, "end":{base + size:#x}, "pci_device":0, "name":"{device.name}"}}'
    have = f"vm_ioports has {near.start:#x} to {near.end:#x}" if near else "vm_ioports has no range for it"
    yield C28.error(
        "io-bar-cut" if near else "io-bar-uncovered",
        near.place if near else device.place,
        vm.name,
        f"{device.at}: BAR {index} is I/O ports {base:#x} to {base + size - 1:#x}, and {have}: "
        "the guest sees garbage BARs",
        f"write {entry} in {vm.name}.vm_ioports",
        f"BAR {index}: I/O {base:#x}, {size} ports",
    )


def _inclusive(vm: Vm, ports: Ports, fixed: int) -> Finding:
    return C28.error(
        "inclusive-end",
        ports.place,
        vm.name,
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


def _is_known_bar(context: Context, vm: Vm, ports: Ports) -> bool:
    functions: Sequence[Function | None] = [context.function(device) for device in vm.devices]
    return any(
        bar.kind == "io" and bar.base == ports.start and bar.end == ports.end
        for function in functions
        if function is not None
        for bar in bars_under_sel4(function) or ()
    )


def _by_profile(context: Context) -> Found:
    for vm, device in context.devices():
        nic = context.nic(device.bdf)
        bars = nic.bars.value if nic is not None and nic.bars is not None else ()
        io = [bar for bar in bars if bar.kind == "io"]
        if nic is None or not io or vm.ports:
            continue
        yield C28.error(
            "io-bar-uncovered",
            device.place,
            vm.name,
            f"{device.at} has an I/O BAR of {io[0].size_bytes} ports, and {vm.name} has no vm_ioports: "
            "the guest sees garbage BARs",
            "add its range, read from a capture: bringup probe-pci",
            f"profile: {nic.name}",
        )
    if context.passes_devices:
        yield C28.gap("whether vm_ioports covers the I/O BARs", CAPTURE)


def no_overlap(context: Context) -> Found:
    """C29."""
    entries = sorted(
        ((ports, vm) for vm in context.vms for ports in vm.ports),
        key=lambda pair: (pair[0].start, pair[0].end),
    )
    widest: tuple[Ports, Vm] | None = None
    for ports, vm in entries:
        if widest is not None and ports.start < widest[0].end and ports.start < ports.end:
            other, owner = widest
            yield C29.error(
                "ports-twice",
                ports.place,
                vm.name,
                f'the ports "{ports.name}" of {vm.name} ({ports.start:#x} to {ports.end:#x}) overlap '
                f'"{other.name}" of {owner.name} ({other.start:#x} to {other.end:#x})',
                "each port belongs to one entry; ranges may touch",
            )
        if widest is None or ports.end > widest[0].end:
            widest = (ports, vm)


def not_emulated(context: Context) -> Found:
    """C30."""
    for vm in context.vms:
        pool = (_VIRTIO_POOL, _VIRTIO_POOL + _VIRTIO_STEP * max(vm.virtual_devices, 1), "a virtio device")
        for ports in vm.ports:
            for start, end, what in (*EMULATED_PORTS, pool):
                if ports.start >= end or start >= ports.end:
                    continue
                maybe = what == pool[2] and not vm.virtual_devices
                tell = C30.warning if maybe else C30.error
                yield tell(
                    "emulated-port",
                    ports.place,
                    vm.name,
                    f'the ports "{ports.name}" of {vm.name} ({ports.start:#x} to {ports.end:#x}) meet those '
                    f"of {what} in the VMM ({start:#x} to {end - 1:#x}){', if it has one' if maybe else ''}",
                    "a BAR there must be moved by the firmware; anything else is left out",
                )


def range_valid(context: Context) -> Found:
    """C31."""
    for vm in context.vms:
        for ports in vm.ports:
            if not 0 <= ports.start < ports.end <= _PORTS:
                yield C31.error(
                    "port-range",
                    ports.place,
                    vm.name,
                    f'the ports "{ports.name}" of {vm.name} run from {ports.start:#x} to {ports.end:#x}',
                    "start below end, end at most 0x10000 and one past the last port",
                )


CHECKS = (
    (C28, bars_covered),
    (C29, no_overlap),
    (C30, not_emulated),
    (C31, range_valid),
)
