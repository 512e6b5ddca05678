"""Which functions are passed through: C12 to C16."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from bringup.base.finding import Finding, Gap, Rule
from bringup.pci.model import Bdf
from bringup.rules.context import CAPTURE, Context

Found = Iterator[Finding | Gap]

C12 = Rule("C12", "a function belongs to one VM", "no stage of the build or boot looks (camkes-vm, capDL)")
C13 = Rule(
    "C13",
    "the function is no bridge (header type 0)",
    "seL4_projects_libs libsel4vmmplatsupport pci_helper.c",
)
C14 = Rule(
    "C14",
    "the VMM's scan finds the function",
    "util_libs libpci PCI_MAX_DEVICES (128; util_libs#201 makes it 256); camkes-vm: Failed to find device",
)
C15 = Rule(
    "C15",
    "bus, device and function exist, and a guest has room for 31 devices",
    "PCI 3.0 3.2.2.3; seL4_projects_libs vmm_pci (one bus of 32 slots)",
)
C16 = Rule("C16", "one VM scans the PCI bus", "util_libs libpci: each scan sizes every BAR, live ones too")

_STOCK_PCI_MAX_DEVICES = 128
_GUEST_SLOTS = 31


def function_owned_once(context: Context) -> Found:
    """C12."""
    owners: dict[Bdf, str] = {}
    for vm, device in context.devices():
        bdf = device.bdf
        if bdf is None:
            continue
        if bdf in owners:
            yield C12.error(
                "function-twice",
                device.place,
                vm.name,
                f"{device.at} of {vm.name} is also given to {owners[bdf]}",
                "leave it with one VM",
            )
        owners.setdefault(bdf, f'{vm.name} as "{device.name}"')


def no_bridge(context: Context) -> Found:
    """C13."""
    if context.assessment is None and context.passes_devices:
        yield C13.gap("whether a device is a bridge", CAPTURE)
    for vm, device, function in context.captured():
        if function.is_bridge:
            yield C13.error(
                "bridge",
                device.place,
                vm.name,
                f"{device.at} is a bridge: {function.class_name or f'header type {function.header_type}'}",
                "pass through the functions behind it",
            )
        elif function.header_type is None and function.class_code is None:
            yield C13.gap(
                f"{vm.name}: the header type of {device.at}", context.capture_with("its config space")
            )


def function_found(context: Context) -> Found:
    """C14: the function is there, and stands early enough in the order of the scan."""
    if context.assessment is None:
        if context.passes_devices:
            yield C14.gap(
                "whether the machine has these functions, and the VMM's table ends after them", CAPTURE
            )
        return
    scanned = [
        function.bdf
        for function in context.assessment.machine.functions
        # A virtual function's vendor reads 0xffff, so a scan passes over it (PCIe 4.0 9.3.4.1.1).
        if not function.bdf.domain and function.physical_function is None
    ]
    limit, source = _table_size(context)
    for vm, device in context.devices():
        bdf = device.bdf
        if bdf is None:
            continue
        if context.assessment.machine.find(bdf) is None:
            yield C14.error(
                "function-absent",
                device.place,
                vm.name,
                f"{device.at} of {vm.name} is not in this machine",
                "take the address from the capture: bringup probe-pci (bus numbers move with cards)",
                f"the capture has {len(scanned)} functions",
            )
        elif (index := bisect_left(scanned, bdf)) >= limit:
            yield C14.error(
                "beyond-table",
                device.place,
                vm.name,
                f"{device.at} is function {index + 1} in the order of the scan, and the VMM keeps {limit}",
                "raise PCI_MAX_DEVICES in util_libs (util_libs#201 makes it 256) and name the build "
                "with --build-dir",
                f"PCI_MAX_DEVICES {limit} ({source})",
            )


def _table_size(context: Context) -> tuple[int, str]:
    if context.build is not None and context.build.pci_max_devices is not None:
        return context.build.pci_max_devices, "the sources of the build"
    if context.profile is not None:
        return context.profile.hypervisor.pci_max_devices.value, f"profile {context.profile.name}"
    return _STOCK_PCI_MAX_DEVICES, "stock util_libs"


def address_valid(context: Context) -> Found:
    """C15."""
    for vm, device in context.devices():
        if device.bdf is None:
            yield C15.error(
                "no-such-address",
                device.place,
                vm.name,
                f'"{device.name}" of {vm.name}: bus {device.bus:#x}, device {device.dev:#x}, function '
                f"{device.fun:#x} is no PCI address",
                "bus 0 to 255, dev 0 to 31, fun 0 to 7; a PCI segment other than 0 cannot be reached",
            )
    for vm in context.vms:
        count = 1 + len(vm.devices) + vm.virtual_devices
        if count > _GUEST_SLOTS:
            yield C15.error(
                "too-many-devices",
                vm.place_of("pci_devices"),
                vm.name,
                f"{vm.name} has {count} devices on its bus, and {_GUEST_SLOTS} fit",
                f"take {count - _GUEST_SLOTS} away",
                f"1 bridge, {len(vm.devices)} passed through, {vm.virtual_devices} virtual",
            )


def one_scan(context: Context) -> Found:
    """C16."""
    scanning = [vm for vm in context.vms if vm.devices]
    if len(scanning) > 1:
        first, *later = (vm.name for vm in scanning)
        yield C16.warning(
            "later-scan",
            scanning[1].place_of("pci_devices"),
            scanning[1].name,
            f"{len(scanning)} VMs scan PCI: the scan of {' and '.join(later)} sizes the live BARs of {first}",
            "nothing to write: start traffic only once every VM is up",
        )


CHECKS = (
    (C12, function_owned_once),
    (C13, no_bridge),
    (C14, function_found),
    (C15, address_valid),
    (C16, one_scan),
)
