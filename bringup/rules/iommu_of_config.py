"""The IOMMU: C32 to C36. Without it a device writes to addresses that mean something else to the host."""

from __future__ import annotations

from collections.abc import Iterator

from bringup.base.finding import Finding, Gap, Rule
from bringup.camkes.vms.model import Vm
from bringup.camkes.vms.vmm import GIB, WINDOW_END, WINDOW_START
from bringup.pci.model import Bdf, Dmar, Rmrr, Scope
from bringup.rules.context import Context

Found = Iterator[Finding | Gap]

C32 = Rule(
    "C32",
    "pci_devices_iospace is set while guests' DMA goes through the IOMMU",
    "camkes-vm seL4VMPCIDevices.template.c; CAmkESVMGuestDMAIommu (default ON)",
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
    "seL4 intel-vtd.c maps an RMRR one to one in that device's context",
)
C36 = Rule(
    "C36",
    "exclude_paddr lies outside of the VMM's window 0x10003000 to 0xa0000000",
    "camkes-vm Init/src/main.c: Failed to create anonymous region",
)

_DOMAIN_MAX = 0xFFFF
_DEFAULT_RMRR_ENTRIES = 32
_ENDPOINT_SCOPE = 1  # VT-d 3.3, 8.3.1: PCI endpoint device
# seL4 include/plat/pc99/plat/machine/devices.h: pages of the kernel's device window after the local APIC.
_DRHU_PAGES = {"ia32": 15, "x86_64": 510}


def _iommu_off(context: Context) -> bool:
    build = context.build
    return build is not None and (
        build.flag("CAmkESVMGuestDMAIommu") is False or build.flag("KernelIOMMU") is False
    )


def iospace_set(context: Context) -> Found:
    """C32."""
    if _iommu_off(context):
        return
    for vm in context.vms:
        setting = vm.settings.get("pci_devices_iospace")
        if vm.devices and (setting is None or vm.numbers.get("pci_devices_iospace") == 0):
            yield C32.error(
                "iospace-missing",
                vm.place_of("pci_devices_iospace" if setting else "pci_devices"),
                vm.name,
                f"{vm.name} passes devices through and has no pci_devices_iospace: no page of the guest can "
                "be mapped for DMA",
                f"{vm.name}.pci_devices_iospace = 1;",
            )


def domain_valid(context: Context) -> Found:
    """C33."""
    dmar = _dmar(context)
    kept = _contexts(dmar) if dmar else 0
    first = max(1, kept)
    owners: dict[int, Vm] = {}
    for vm in context.vms:
        domain = vm.numbers.get("iospace_domain")
        if domain is None:
            if vm.devices and "iospace_domain" not in vm.settings:
                yield C33.error(
                    "domain-missing",
                    vm.place_of("pci_devices"),
                    vm.name,
                    f"{vm.name} passes devices through and has no iospace_domain",
                    f"{vm.name}.iospace_domain = 0x0f;",
                )
            continue
        place = vm.place_of("iospace_domain")
        if not first <= domain <= _DOMAIN_MAX:
            yield C33.error(
                "domain-range",
                place,
                vm.name,
                f"iospace_domain {domain:#x} of {vm.name} is not one of {first:#x} to {_DOMAIN_MAX:#x}",
                f"{vm.name}.iospace_domain = {max(first, 0x0F):#x};",
                f"the firmware's RMRRs take the first {kept} domains" if kept else "0 means none",
            )
        elif domain in owners:
            other = owners[domain]
            # Only a VM with a device has an IOMMU space; until then it is an accident that waits.
            tell = C33.error if vm.devices and other.devices else C33.warning
            yield tell(
                "domain-twice",
                place,
                vm.name,
                f"{vm.name} and {other.name} share iospace_domain {domain:#x}: a device of one reaches the "
                "other's memory",
                "give each VM its own, as in 0x0f, 0x10, 0x11",
            )
        owners.setdefault(domain, vm)
    if dmar is None and context.passes_devices and not _iommu_off(context):
        yield C33.gap("how many domains the firmware's RMRRs take", context.capture_with("the DMAR table"))


def iommu_stays(context: Context) -> Found:
    """C34: each reason for which the kernel turns all IOMMUs off."""
    if not context.passes_devices or _iommu_off(context):
        return
    dmar = _dmar(context)
    if dmar is None:
        yield C34.gap("whether the kernel keeps the IOMMU on", context.capture_with("the DMAR table"))
        return
    bios = "see `disabling IOMMU support` in the boot log; BIOS: switch off the device that needs the RMRR"
    for slug, message, evidence in _reasons(context, dmar):
        yield C34.error(slug, None, None, f"the kernel turns the IOMMU off: {message}", bios, evidence)


def _reasons(context: Context, dmar: Dmar) -> Iterator[tuple[str, str, str]]:
    build = context.build
    arch = (build.text("KernelSel4Arch") if build else None) or "x86_64"
    ioapics = (build.number("KernelMaxNumIOAPIC") if build else None) or 1
    room = _DRHU_PAGES.get(arch, _DRHU_PAGES["x86_64"]) - ioapics
    if len(dmar.drhds) > room:
        yield "too-many-iommus", f"{len(dmar.drhds)} units, and {room} fit", f"DRHD count {len(dmar.drhds)}"
    for drhd in dmar.drhds:
        if drhd.base >= 4 * GIB:
            yield "iommu-above-4g", f"a unit's registers are at {drhd.base:#x}", f"DRHD {drhd.base:#x}"
    limit = (build.number("KernelMaxRMRREntries") if build else None) or _DEFAULT_RMRR_ENTRIES
    if _contexts(dmar) > limit:
        yield "too-many-rmrrs", f"{_contexts(dmar)} devices have an RMRR, and {limit} fit", "RMRR scopes"
    for rmrr in dmar.rmrrs:
        evidence = f"RMRR {rmrr.base:#x} to {rmrr.limit:#x}"
        if rmrr.limit >= 4 * GIB:
            yield "rmrr-above-4g", "an RMRR is above 4 GiB", evidence
        for scope in rmrr.scopes:
            if scope.kind != _ENDPOINT_SCOPE:
                yield "rmrr-scope", "an RMRR is for something other than a PCI endpoint", evidence
            elif len(scope.path) != 1:
                yield "rmrr-behind-bridge", "an RMRR is for a device behind a bridge", evidence


def _contexts(dmar: Dmar) -> int:
    return sum(len(rmrr.scopes) for rmrr in dmar.rmrrs)


def _dmar(context: Context) -> Dmar | None:
    return context.assessment.machine.acpi.dmar if context.assessment else None


def rmrr_excluded(context: Context) -> Found:
    """C35."""
    if not context.passes_devices or _iommu_off(context):
        return
    dmar = _dmar(context)
    if dmar is None:
        yield C35.gap(
            "whether a device has memory kept for it (RMRR)", context.capture_with("the DMAR table")
        )
        return
    for vm, device in context.devices():
        for rmrr in dmar.rmrrs:
            if not _is_for(rmrr, device.bdf):
                continue
            size = rmrr.limit + 1 - rmrr.base
            if not any(hole.base <= rmrr.base and rmrr.limit < hole.end for hole in vm.excluded):
                yield C35.error(
                    "rmrr-in-guest",
                    device.place,
                    vm.name,
                    f"{device.at} has firmware memory at {rmrr.base:#x} to {rmrr.limit:#x}, which "
                    f"{vm.name}.exclude_paddr does not keep free: its DMA lands in the guest's RAM",
                    f"{vm.name}.exclude_paddr = [[{rmrr.base:#x}, {size:#x}]];",
                    f"RMRR {rmrr.base:#x} to {rmrr.limit:#x}",
                )


def _is_for(rmrr: Rmrr, bdf: Bdf | None) -> bool:
    return bdf is not None and any(_target(rmrr.segment, scope) == bdf for scope in rmrr.scopes)


def _target(segment: int, scope: Scope) -> Bdf | None:
    if scope.bdf is not None or len(scope.path) != 1:
        return scope.bdf
    device, function = scope.path[0]
    try:
        return Bdf(segment, scope.start_bus, device, function)
    except ValueError:
        return None


def hole_outside_window(context: Context) -> Found:
    """C36."""
    for vm in context.vms:
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
                hole.place,
                vm.name,
                f"exclude_paddr [{hole.base:#x}, {hole.size:#x}] of {vm.name} {problem}",
                "pass through another device: the VMM cannot keep this memory free",
            )


CHECKS = (
    (C32, iospace_set),
    (C33, domain_valid),
    (C34, iommu_stays),
    (C35, rmrr_excluded),
    (C36, hole_outside_window),
)
