"""Which functions can be given to a VM: C10, C12 to C16; the state they are in: M1 to M5."""

from __future__ import annotations

from bisect import bisect_left

from bringup.base.finding import Found, Rule
from bringup.base.size import counted
from bringup.camkes.vms.vmm import GUEST_SLOTS
from bringup.pci.model import Bdf, Function, MsiX, PowerManagement, Sriov
from bringup.rules.inputs import Inputs, is_subject

C10 = Rule(
    "C10",
    "the function has an INTx pin",
    "PCI 3.0 6.2.4 (Interrupt Pin); PCIe SR-IOV: VFs have none; seL4_projects_libs#86, camkes-vm#55: no MSI",
)
C12 = Rule("C12", "a function belongs to one VM", "no stage of the build or boot looks (camkes-vm, capDL)")
C13 = Rule(
    "C13",
    "the function is no bridge (header type 0)",
    "seL4_projects_libs libsel4vmmplatsupport pci_helper.c",
)
C14 = Rule(
    "C14",
    "the VMM's scan finds the function",
    "util_libs libpci PCI_MAX_DEVICES (128; util_libs#201 makes it 256): the rest is dropped in silence",
)
C15 = Rule(
    "C15",
    "bus, device and function exist in segment 0, and a guest has room for 31 devices",
    "camkes-vm PCIConfigIO uses ports 0xcf8 and 0xcfc; PCI 3.0 3.2.2.3; seL4_projects_libs vmm_pci: 32 slots",
)
C16 = Rule("C16", "one VM scans the PCI bus", "util_libs libpci: each scan sizes every BAR, live ones too")
M1 = Rule("M1", "the function answers", "PCI 3.0 6.1: reads that nobody answers give ones")
M2 = Rule(
    "M2",
    "SR-IOV is off",
    "PCIe 4.0 9.3.3.3.1; on, it moved X722's BARs above 4 GiB on the sibling boards",
)
M3 = Rule("M3", "the function is awake", "PCI PM 1.2 5.4: leaving D3 without NoSoftReset clears BARs")
M4 = Rule(
    "M4",
    "its config space is one that specifications allow",
    "PCI 3.0 6.7, PCIe 4.0 7.6: lists of capabilities end, and registers have their bounds",
)
M5 = Rule("M5", "the function is no part of the chipset", "PCI Code and ID Assignment 1.11")

_ALL_ONES = 0xFFFF
_READS_ONES = "reads as ones"
_OFF_STATES = ("D3hot", "D3cold")
# Older than the classes, and fitting none of them (PCI Code and ID Assignment 1.11).
_CLASSES_OF_NO_KIND = (0x00, 0xFF)


# What a function is.


def has_intx(inputs: Inputs) -> Found:
    """C10."""
    yield from inputs.without_capture(C10, "whether the functions have an INTx pin")
    for function in inputs.subjects:
        if is_virtual(function):
            yield C10.error(
                "virtual-function",
                function.bdf,
                "is a virtual function: it has MSI-X only",
                "pass through the physical function, or another device",
                f"physical function {function.physical_function}",
            )
        elif not function.observed("intx_pin"):
            if inputs.configured:
                yield C10.gap(
                    f"the interrupt pin of {function.bdf.short}", inputs.capture_with("its config space")
                )
        elif function.intx_pin is None:
            yield C10.error(
                "no-intx-pin",
                function.bdf,
                "has no INTx pin" + (" (MSI-X only)" if function.capability(MsiX) is not None else ""),
                "take another function: the VMM hides MSI and MSI-X",
                "Interrupt Pin (config 0x3d) reads 0",
                refuse="it has no INTx pin, and VMs get no other interrupts",
            )


def is_virtual(function: Function) -> bool:
    """Whether a function is an SR-IOV virtual one."""
    return function.physical_function is not None


def no_bridge(inputs: Inputs) -> Found:
    """C13."""
    yield from inputs.without_capture(C13, "whether a device is a bridge")
    for function in inputs.subjects:
        if bridge_words(function) is not None:
            yield C13.error(
                "bridge",
                function.bdf,
                f"is a bridge: {function.class_name or f'header type {function.header_type}'}",
                "pass through the functions behind it",
            )
        elif inputs.configured and function.header_type is None and function.class_code is None:
            yield C13.gap(f"the header type of {function.bdf.short}", inputs.capture_with("its config space"))


def bridge_words(function: Function) -> str | None:
    """Return why a function's header keeps it from every VM, None where it does not."""
    if function.is_bridge:
        return "it is a bridge (C13)"
    if function.header_type is not None and function.header_type & 0x7F:
        return f"its header type is {function.header_type & 0x7F}, the VMM knows 0 only (C13)"
    return None


def no_chipset(inputs: Inputs) -> Found:
    """M5."""
    for function in inputs.subjects:
        if is_chipset(function, inputs) and bridge_words(function) is None and not is_virtual(function):
            yield M5.error(
                "chipset-function",
                function.bdf,
                "belongs to the chipset, which the machine itself needs",
                "pass through another device",
            )


def is_chipset(function: Function, inputs: Inputs) -> bool:
    """Whether a function's class says that it is the machine's own, and no profile calls it a port."""
    known = function.class_code is not None and not is_of_no_kind(function)
    return known and not is_subject(function) and function.bdf not in inputs.nics


def is_of_no_kind(function: Function) -> bool:
    """Whether a function's class does not say what it is."""
    return function.class_code is not None and function.class_code >> 8 in _CLASSES_OF_NO_KIND


# Where it is.


def owned_once(inputs: Inputs) -> Found:
    """C12."""
    owners: dict[Bdf, str] = {bdf: f"the native component {owner}" for bdf, owner in inputs.native.functions}
    for vm, device in inputs.devices():
        bdf = device.bdf
        if bdf is None:
            continue
        if bdf in owners:
            yield C12.error(
                "function-twice",
                (vm.name, device.place),
                f"{device.at} of {vm.name} is also given to {owners[bdf]}",
                "leave it with one VM",
            )
        owners.setdefault(bdf, f'{vm.name} as "{device.name}"')


def found_by_scan(inputs: Inputs) -> Found:
    """C14: the function is there, and stands early enough in the order of the scan."""
    yield from inputs.without_capture(
        C14, "whether the machine has these functions, and the VMM's table ends after them"
    )
    # A virtual function's vendor reads 0xffff, so a scan passes over it (PCIe 4.0 9.3.4.1.1).
    scanned = sorted(
        bdf for bdf, function in inputs.functions.items() if not bdf.domain and not is_virtual(function)
    )
    for vm, device in inputs.devices():
        if inputs.machine is not None and device.bdf is not None and inputs.function(device) is None:
            yield C14.error(
                "function-absent",
                (vm.name, device.place),
                f"{device.at} of {vm.name} is not in this machine",
                "take the address from the capture: bringup probe-pci (bus numbers move with cards)",
                f"the capture has {counted(len(scanned), 'function')}",
            )
    limit = inputs.table_size
    for function in inputs.subjects:
        index = bisect_left(scanned, function.bdf)
        if not function.bdf.domain and index >= limit:
            yield C14.error(
                "beyond-pci-table",
                function.bdf,
                f"lies beyond the VMM's PCI table of {limit} functions: the VMM does not find it",
                "raise PCI_MAX_DEVICES (util_libs#201 has 256)",
                f"{_ordinal(index + 1)} of {len(scanned)} functions in scan order",
                change="raise PCI_MAX_DEVICES (util_libs#201)",
            )


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def address_valid(inputs: Inputs) -> Found:
    """C15."""
    for function in inputs.subjects:
        if function.bdf.domain:
            yield C15.error(
                "segment-not-zero",
                function.bdf,
                f"is in PCI segment {function.bdf.domain:x}, and the VMM reaches segment 0 only",
                "take a function of segment 0 (VMD in the firmware's setup makes segments of its own)",
                str(function.bdf),
                refuse=f"it is in PCI segment {function.bdf.domain:x}",
            )
    for vm, device in inputs.devices():
        if device.bdf is None:
            yield C15.error(
                "no-such-address",
                (vm.name, device.place),
                f'"{device.name}" of {vm.name}: bus {device.bus:#x}, device {device.dev:#x}, function '
                f"{device.fun:#x} is no PCI address",
                "bus 0 to 255, dev 0 to 31, fun 0 to 7; a PCI segment other than 0 cannot be reached",
            )
    for vm in inputs.vms:
        count = vm.slots(len(vm.devices))
        if count > GUEST_SLOTS:
            yield C15.error(
                "too-many-devices",
                (vm.name, vm.place_of("pci_devices")),
                f"{vm.name} has {count} devices on its bus, and {GUEST_SLOTS} fit",
                f"take {count - GUEST_SLOTS} away",
                f"1 bridge, {len(vm.devices)} passed through, {vm.virtual_devices} virtual",
            )


def one_scan(inputs: Inputs) -> Found:
    """C16."""
    scanning = [vm for vm in inputs.vms if vm.devices]
    if len(scanning) > 1:
        first, *later = (vm.name for vm in scanning)
        yield C16.warning(
            "later-scan",
            (scanning[1].name, scanning[1].place_of("pci_devices")),
            f"{len(scanning)} VMs scan PCI: the scan of {' and '.join(later)} sizes the live BARs of {first}",
            "nothing to write: start traffic only once every VM is up",
        )


# What state it is in.


def answers(inputs: Inputs) -> Found:
    """M1: without a configuration of every function, since one that is off tells no class and may be any."""
    for function in inputs.subjects if inputs.configured else inputs.functions.values():
        if is_all_ones(function):
            yield M1.error(
                "device-all-ones",
                function.bdf,
                "answers with ones only: it is off, asleep in D3cold, or gone",
                "wake it (power/control: on), switch it on in the firmware, or look at the slot",
                "config space is all 0xff",
                refuse="it answers with ones only",
            )


def is_all_ones(function: Function) -> bool:
    """Whether config space answers with ones only: off, in D3cold, or gone."""
    return function.vendor == _ALL_ONES or any(_READS_ONES in problem for problem in function.problems)


def sriov_off(inputs: Inputs) -> Found:
    """M2."""
    for function in inputs.subjects:
        sriov = function.capability(Sriov)
        if sriov is not None and (sriov.enabled or sriov.num_vfs):
            yield M2.error(
                "sriov-enabled",
                function.bdf,
                "SR-IOV is on: the function's virtual functions are live",
                f"{inputs.words.advice('sr-iov')}, and write 0 to sriov_numvfs in Linux",
                f"VF Enable {sriov.enabled}, NumVFs {sriov.num_vfs}, TotalVFs {sriov.total_vfs}",
                change="switch SR-IOV off",
            )


def awake(inputs: Inputs) -> Found:
    """M3."""
    for function in inputs.subjects:
        management = function.capability(PowerManagement)
        state = management.state if management is not None and management.state else function.power_state
        if state in _OFF_STATES:
            yield M3.warning(
                "device-in-d3",
                function.bdf,
                f"sleeps in {state}: what was read of its BARs may not hold once it wakes",
                "write `on` to its power/control and capture again",
                f"power state {state}",
            )


def undamaged(inputs: Inputs) -> Found:
    """M4."""
    for function in inputs.subjects:
        if function.problems and not is_all_ones(function):
            yield M4.warning(
                "config-damaged",
                function.bdf,
                "its config space has what no specification allows",
                "capture again; if it stays, the device or its firmware is faulty",
                *function.problems[:4],
            )


CHECKS = (
    (C10, has_intx),
    (C12, owned_once),
    (C13, no_bridge),
    (C14, found_by_scan),
    (C15, address_valid),
    (C16, one_scan),
    (M1, answers),
    (M2, sriov_off),
    (M3, awake),
    (M4, undamaged),
    (M5, no_chipset),
)
