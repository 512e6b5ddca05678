"""The IOMMU: C32 to C36, M7. Without it a device writes to addresses that mean something else to the host."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bringup.base.finding import Finding, Found, Rule
from bringup.base.size import counted
from bringup.camkes.vms.vmm import GIB, WINDOW_END, WINDOW_START
from bringup.pci.acpi.reserved import ENDPOINT, reserved_for
from bringup.pci.acpi.tables import TABLES
from bringup.rules.inputs import Inputs, named

if TYPE_CHECKING:
    from bringup.camkes.vms.model import Vm
    from bringup.pci.model import Bdf, Dmar, Function, Rmrr

C32 = Rule(
    "C32",
    "there is an IOMMU, and pci_devices_iospace is set while guests' DMA goes through it",
    "camkes-vm seL4VMPCIDevices.template.c; CAmkESVMGuestDMAIommu, seL4 KernelIOMMU (default ON)",
)
C33 = Rule(
    "C33",
    "each VM has an IOMMU domain of its own that the kernel left free",
    "seL4 src/arch/x86/object/objecttype.c x86KSFirstValidIODomain",
)
C34 = Rule(
    "C34",
    "the kernel keeps the IOMMU on with this firmware's DMAR",
    "seL4 src/plat/pc99/machine/acpi.c, intel-vtd.c: disabling IOMMU support",
)
C35 = Rule(
    "C35",
    "memory the firmware keeps for a device is kept out of the guest's RAM",
    "seL4 intel-vtd.c maps an RMRR one to one in that device's inputs",
)
C36 = Rule(
    "C36",
    "what is kept out of the guest's RAM lies outside of the VMM's window 0x10003000 to 0xa0000000",
    "camkes-vm Init/src/main.c: Failed to create anonymous region",
)

M7 = Rule(
    "M7",
    "functions of one IOMMU group go to one VM",
    "Linux Documentation/driver-api/vfio.rst, Groups; PCIe 4.0 6.12 (ACS)",
)

_DOMAIN_MAX = 0xFFFF
_DEFAULT_RMRR_ENTRIES = 32
_NOTED_MAX = 8
# seL4 include/plat/pc99/plat/machine/devices.h: pages of the kernel's device window after the local APIC.
_DRHU_PAGES = {"ia32": 15, "x86_64": 510}


# C32


def present(inputs: Inputs) -> Found:
    """C32: the firmware offers an IOMMU, and each VM with a device uses it."""
    if inputs.iommu_off:
        return
    if dmar_is_absent(inputs) and not inputs.idle:
        yield C32.error(
            "iommu-off",
            None,
            "the firmware offers no IOMMU: a passed-through function could write anywhere in memory",
            inputs.words.advice("vt-d"),
            "ACPI has other tables and no DMAR",
            change="switch on VT-d in the firmware",
        )
    for vm in inputs.vms:
        setting = vm.settings.get("pci_devices_iospace")
        if vm.devices and (setting is None or vm.numbers.get("pci_devices_iospace") == 0):
            yield C32.error(
                "iospace-missing",
                (vm.name, vm.place_of("pci_devices_iospace" if setting else "pci_devices")),
                f"{vm.name} passes devices through and has no pci_devices_iospace: no page of the guest can "
                "be mapped for DMA",
                f"{vm.name}.pci_devices_iospace = 1;",
            )


def dmar_is_absent(inputs: Inputs) -> bool:
    """Whether the tables were read and the firmware offers no IOMMU in them.

    Linux not using one (`platform.iommu` False) is no sign: the firmware may offer it all the same.
    """
    if inputs.machine is None or inputs.machine.platform.is_amd:
        # AMD's firmware has an IVRS instead.
        return False
    acpi, path = inputs.machine.acpi, f"{TABLES}/DMAR"
    looked = any(gap.what == path and gap.why == "absent" for gap in inputs.machine.missing)
    return (
        acpi.dmar is None and acpi.madt is not None and looked and inputs.machine.platform.iommu is not True
    )


# C33


def domain_valid(inputs: Inputs) -> Found:
    """C33."""
    dmar = _dmar(inputs)
    kept = _contexts(dmar) if dmar else 0
    first = max(1, kept)
    owners: dict[int, Vm] = {}
    natives = dict(inputs.native.domains)
    for vm in inputs.vms:
        domain = vm.numbers.get("iospace_domain")
        if domain is None:
            if vm.devices and "iospace_domain" not in vm.settings:
                yield C33.error(
                    "domain-missing",
                    (vm.name, vm.place_of("pci_devices")),
                    f"{vm.name} passes devices through and has no iospace_domain",
                    f"{vm.name}.iospace_domain = 0x0f;",
                )
            continue
        place = vm.place_of("iospace_domain")
        if not first <= domain <= _DOMAIN_MAX:
            yield C33.error(
                "domain-range",
                (vm.name, place),
                f"iospace_domain {domain:#x} of {vm.name} is not one of {first:#x} to {_DOMAIN_MAX:#x}",
                f"{vm.name}.iospace_domain = {max(first, 0x0F):#x};",
                f"the firmware's RMRRs take the first {kept} domains" if kept else "0 means none",
            )
        elif domain in natives:
            yield C33.error(
                "domain-twice",
                (vm.name, place),
                f"{vm.name} and the native component {natives[domain]} share iospace_domain {domain:#x}: a "
                "device of one reaches the other's memory",
                "give each its own, as in 0x0f, 0x10, 0x11",
            )
        elif domain in owners:
            other = owners[domain]
            # Only a VM with a device has an IOMMU space; until then it is an accident that waits.
            tell = C33.error if vm.devices and other.devices else C33.warning
            yield tell(
                "domain-twice",
                (vm.name, place),
                f"{vm.name} and {other.name} share iospace_domain {domain:#x}: a device of one reaches the "
                "other's memory",
                "give each VM its own, as in 0x0f, 0x10, 0x11",
            )
        owners.setdefault(domain, vm)
    if dmar is None and inputs.passes_devices and not inputs.iommu_off:
        yield C33.gap("how many domains the firmware's RMRRs take", inputs.capture_with("the DMAR table"))


# C34


def kept_on(inputs: Inputs) -> Found:
    """C34: nothing makes the kernel turn all IOMMUs off."""
    if inputs.idle or inputs.iommu_off:
        return
    dmar = _dmar(inputs)
    if dmar is None:
        if inputs.passes_devices:
            yield C34.gap("whether the kernel keeps the IOMMU on", inputs.capture_with("the DMAR table"))
        return
    reasons = list(_reasons(inputs, dmar))
    if reasons:
        yield C34.error(
            "iommu-dropped",
            None,
            "the kernel will switch off the IOMMU, because its table has what the kernel cannot read",
            "look for `disabling IOMMU support` in the boot log; switch off the devices with reserved memory",
            *reasons[:_NOTED_MAX],
            change="the IOMMU's table must be one that seL4 reads (C34)",
        )


def _reasons(inputs: Inputs, dmar: Dmar) -> Iterator[str]:
    """Yield what seL4 does not take (src/plat/pc99/machine/acpi.c, acpi_dmar_init)."""
    build = inputs.build
    arch = (build.text("KernelSel4Arch") if build else None) or "x86_64"
    ioapics = (build.number("KernelMaxNumIOAPIC") if build else None) or 1
    room = _DRHU_PAGES.get(arch, _DRHU_PAGES["x86_64"]) - ioapics
    if len(dmar.drhds) > room:
        yield f"{len(dmar.drhds)} remapping units, and {room} fit"
    yield from (
        f"remapping unit at {unit.base:#x}, above 4 GiB" for unit in dmar.drhds if unit.base >= 4 * GIB
    )
    for region in dmar.rmrrs:
        what = f"reserved memory {region.base:#x} to {region.limit:#x}"
        if region.limit >= 4 * GIB:
            yield f"{what}, above 4 GiB"
        if any(scope.kind != ENDPOINT for scope in region.scopes):
            yield f"{what}, for something that is no PCI endpoint"
        if any(scope.kind == ENDPOINT and len(scope.path) != 1 for scope in region.scopes):
            yield f"{what}, for a function behind a bridge"
    limit = (build.number("KernelMaxRMRREntries") if build else None) or _DEFAULT_RMRR_ENTRIES
    if _contexts(dmar) > limit:
        yield f"{counted(_contexts(dmar), 'function')} with reserved memory, more than {limit}"


def _contexts(dmar: Dmar) -> int:
    return sum(len(rmrr.scopes) for rmrr in dmar.rmrrs)


def _dmar(inputs: Inputs) -> Dmar | None:
    return inputs.machine.acpi.dmar if inputs.machine else None


# C35, C36


def reserved_excluded(inputs: Inputs) -> Found:
    """C35: told of every subject; of one that a VM has, as far as its exclude_paddr does not do it."""
    if inputs.idle or inputs.iommu_off:
        return
    if _dmar(inputs) is None:
        if inputs.passes_devices:
            what = "whether a device has memory kept for it (RMRR)"
            yield C35.gap(what, inputs.capture_with("the DMAR table"))
        return
    if not inputs.configured:
        for function in inputs.subjects:
            if regions := _regions(inputs, function):
                yield _reserved(function, regions)
    for vm, device, function in inputs.captured():
        for region in _regions(inputs, function):
            if any(hole.base <= region.base and region.limit < hole.end for hole in vm.excluded):
                continue
            size = region.limit + 1 - region.base
            yield C35.error(
                "rmrr-in-guest",
                (vm.name, device.place),
                f"{device.at} has firmware memory at {region.base:#x} to {region.limit:#x}, which "
                f"{vm.name}.exclude_paddr does not keep free: its DMA lands in the guest's RAM",
                f"{vm.name}.exclude_paddr = [[{region.base:#x}, {size:#x}]];",
                f"RMRR {region.base:#x} to {region.limit:#x}",
            )


def _regions(inputs: Inputs, function: Function) -> tuple[Rmrr, ...]:
    return reserved_for(function.bdf, _dmar(inputs), inputs.topology)


def _reserved(function: Function, regions: tuple[Rmrr, ...]) -> Finding:
    ranges = tuple(f"{region.base:#x} to {region.limit:#x}" for region in regions)
    holes = (f"[{region.base:#x}, {region.limit - region.base + 1:#x}]" for region in regions[:4])
    return C35.warning(
        "rmrr-on-device",
        function.bdf,
        f"the firmware keeps memory for it: {', '.join(ranges[:4])}",
        f"keep these out of its VM's memory: {', '.join(holes)}",
        *(f"DMAR RMRR {each}, both inclusive" for each in ranges[:_NOTED_MAX]),
        limit="with exclude_paddr for its reserved memory",
    )


def outside_window(inputs: Inputs) -> Found:
    """C36: of what is written, and of what the machine would make anybody write."""
    for function in () if inputs.iommu_off else inputs.subjects:
        for region in _regions(inputs, function):
            if region.base < WINDOW_END and region.limit >= WINDOW_START:
                yield C36.error(
                    "rmrr-in-window",
                    function.bdf,
                    f"the firmware keeps {region.base:#x} to {region.limit:#x} for it, in the window "
                    f"{WINDOW_START:#x} to {WINDOW_END:#x} that guest RAM and BARs use",
                    f"switch off what needs it: {inputs.words.advice('legacy-usb')}",
                    f"DMAR RMRR {region.base:#x} to {region.limit:#x}, both inclusive",
                    change="the firmware must keep no memory for it in the guest's window (C36)",
                )
    for vm in inputs.vms:
        for hole in vm.excluded:
            if hole.size <= 0 or hole.base < 0:
                problem = "is empty"
            elif hole.base < WINDOW_END and hole.end > WINDOW_START:
                problem = (
                    f"lies in the window {WINDOW_START:#x} to {WINDOW_END:#x} that guest RAM and BARs use"
                )
            else:
                continue
            yield C36.error(
                "hole-in-window",
                (vm.name, hole.place),
                f"exclude_paddr [{hole.base:#x}, {hole.size:#x}] of {vm.name} {problem}",
                "pass through another device: the VMM cannot keep this memory free",
            )


# M7


def group_apart(inputs: Inputs) -> Found:
    """M7."""
    groups: dict[int, list[Bdf]] = defaultdict(list)
    for function in inputs.functions.values():
        # Bridges do no DMA of their own that a VM could start.
        if function.iommu_group is not None and not function.is_bridge:
            groups[function.iommu_group].append(function.bdf)
    for function in inputs.subjects:
        group = function.iommu_group
        members = tuple(groups[group]) if group is not None else ()
        if inputs.configured:
            # Whoever has the function may have its neighbours; another VM may not.
            mine = inputs.holders[function.bdf][0]
            members = tuple(b for b in members if b in inputs.holders)
            if all(inputs.holders[b][0] == mine for b in members):
                continue
        if len(members) < 2:
            continue
        others = tuple(bdf for bdf in members if bdf != function.bdf)
        # What may not go to another VM because of its pin is said there; the sentence stands once.
        apart = set(others) <= set(inputs.sharing.get(function.bdf, ()))
        yield M7.warning(
            "iommu-group-shared",
            function.bdf,
            # The same sentence for all of them, so that it is shown once.
            f"IOMMU group {group} holds {named(members)}: between them DMA is not kept apart",
            "give them all to one VM, or only one of them to any",
            f"group {group}: {named(members)}",
            limit="" if apart else f"not with {named(others)} in another VM (IOMMU group {group})",
        )


CHECKS = (
    (C32, present),
    (C33, domain_valid),
    (C34, kept_on),
    (C35, reserved_excluded),
    (C36, outside_window),
    (M7, group_apart),
)
