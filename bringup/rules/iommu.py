"""The IOMMU: whether there is one, whether seL4 keeps it, shared groups, reserved memory (C32 to C36)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from bringup.pci.acpi.tables import TABLES
from bringup.pci.assessment import Finding
from bringup.pci.model import Bdf, Dmar, Function, Rmrr, Scope
from bringup.rules.case import Case, Judged, named

_ENDPOINT, _HIERARCHY = 1, 2
_LIMIT = 1 << 32
_RMRR_MAX = 32
_NOTED_MAX = 8


def iommu_rules(case: Case) -> Iterator[Judged]:
    """Yield what stands between the subjects and DMA that is kept apart."""
    if dmar_is_absent(case):
        yield _off()
    if case.machine.acpi.dmar is not None:
        yield from _kernel_drops(case.machine.acpi.dmar)
        yield from _reserved(case, case.machine.acpi.dmar)
    yield from _groups(case)


def dmar_is_absent(case: Case) -> bool:
    """Whether the tables were read and the firmware offers no IOMMU in them.

    Linux not using one (`platform.iommu` False) is no sign: the firmware may offer it all the same.
    """
    acpi, path = case.machine.acpi, f"{TABLES}/DMAR"
    looked = any(gap.what == path and gap.why == "absent" for gap in case.machine.missing)
    return acpi.dmar is None and acpi.madt is not None and looked and case.machine.platform.iommu is not True


def _off() -> Judged:
    return Judged(
        Finding(
            "iommu-off",
            "error",
            None,
            "the firmware offers no IOMMU: a passed-through function could write anywhere in memory",
            ("ACPI has other tables and no DMAR",),
            "switch on Intel VT for Directed I/O (VT-d) in the firmware's setup",
            "camkes-vm CAmkESVMGuestDMAIommu, seL4 KernelIOMMU (C32)",
        ),
        "change",
        "switch on VT-d in the firmware",
    )


def _kernel_drops(dmar: Dmar) -> Iterator[Judged]:
    """Tell what makes seL4 switch off every IOMMU (src/plat/pc99/machine/acpi.c, acpi_dmar_init)."""
    reasons = [f"remapping unit at {unit.base:#x}, above 4 GiB" for unit in dmar.drhds if unit.base >= _LIMIT]
    for region in dmar.rmrrs:
        what = f"reserved memory {region.base:#x} to {region.limit:#x}"
        if region.limit >= _LIMIT:
            reasons.append(f"{what}, above 4 GiB")
        if any(scope.kind != _ENDPOINT for scope in region.scopes):
            reasons.append(f"{what}, for something that is no PCI endpoint")
        if any(len(scope.path) > 1 for scope in region.scopes):
            reasons.append(f"{what}, for a function behind a bridge")
    devices = sum(len(region.scopes) for region in dmar.rmrrs)
    if devices > _RMRR_MAX:
        reasons.append(f"{devices} functions with reserved memory, more than {_RMRR_MAX}")
    if not reasons:
        return
    yield Judged(
        Finding(
            "iommu-dropped",
            "error",
            None,
            "the kernel will switch off the IOMMU, because its table has what the kernel cannot read",
            tuple(reasons[:_NOTED_MAX]),
            "look for `disabling IOMMU support` in the boot log; switch off the devices with reserved memory",
            "seL4 src/plat/pc99/machine/acpi.c (C34)",
        ),
        "change",
        "the IOMMU's table must be one that seL4 reads (C34)",
    )


def _reserved(case: Case, dmar: Dmar) -> Iterator[Judged]:
    for function in case.subjects:
        regions = reserved_of(function, dmar, case)
        if not regions:
            continue
        ranges = tuple(f"{region.base:#x} to {region.limit:#x}" for region in regions)
        yield Judged(
            Finding(
                "rmrr-on-device",
                "warning",
                function.bdf,
                f"the firmware keeps memory for it: {', '.join(ranges[:4])}",
                tuple(f"DMAR RMRR {each}, both inclusive" for each in ranges[:_NOTED_MAX]),
                "keep these out of its VM's memory: "
                + ", ".join(
                    f"[{region.base:#x}, {region.limit - region.base + 1:#x}]" for region in regions[:4]
                ),
                "seL4 maps an RMRR one to one in the device's context: DMA into the guest's RAM (C35)",
            ),
            "limit",
            "with exclude_paddr for its reserved memory",
        )


def reserved_of(function: Function, dmar: Dmar, case: Case) -> tuple[Rmrr, ...]:
    """Return the reserved regions whose scopes hold this function, itself or through a bridge above it."""
    above = set(case.topology.path(function.bdf))
    return tuple(
        region for region in dmar.rmrrs if any(_covers(scope, function.bdf, above) for scope in region.scopes)
    )


def _covers(scope: Scope, bdf: Bdf, above: set[Bdf]) -> bool:
    return scope.bdf is not None and (
        (scope.kind == _ENDPOINT and scope.bdf == bdf) or (scope.kind == _HIERARCHY and scope.bdf in above)
    )


def _groups(case: Case) -> Iterator[Judged]:
    groups: dict[int, list[Bdf]] = defaultdict(list)
    for function in case.machine.functions:
        # Bridges do no DMA of their own that a VM could start.
        if function.iommu_group is not None and not function.is_bridge:
            groups[function.iommu_group].append(function.bdf)
    for function in case.subjects:
        group = function.iommu_group
        members = tuple(groups[group]) if group is not None else ()
        if len(members) < 2:
            continue
        others = tuple(bdf for bdf in members if bdf != function.bdf)
        # What may not go to another VM because of its pin is said there; the sentence stands once.
        apart = set(others) <= set(case.sharing.get(function.bdf, ()))
        yield Judged(
            Finding(
                "iommu-group-shared",
                "warning",
                function.bdf,
                # The same sentence for all of them, so that it is shown once.
                f"IOMMU group {group} holds {named(members)}: between them DMA is not kept apart",
                (f"group {group}: {named(members)}",),
                "give them all to one VM, or only one of them to any",
                "Linux Documentation/driver-api/vfio.rst, Groups; PCIe 4.0 6.12 (ACS)",
            ),
            "none" if apart else "limit",
            "" if apart else f"not with {named(others)} in another VM (IOMMU group {group})",
        )
