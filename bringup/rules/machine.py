"""What is true of the whole machine: CPU and firmware state, fit with the profile, sources that disagree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bringup.pci.assessment import Finding, Severity
from bringup.pci.match.ports import ids_of, seen_at
from bringup.pci.model import Bar, Bdf, Function
from bringup.rules.case import Case, Judged, named
from bringup.rules.iommu import dmar_is_absent

if TYPE_CHECKING:
    from bringup.profile.model import ExpectedNic, Profile

_NOTED_MAX = 8


def machine_rules(case: Case) -> Iterator[Judged]:
    """Yield what concerns every function."""
    yield from _platform(case)
    yield from _not_observed(case)
    if case.profile is not None:
        yield from _profile(case, case.profile)
    yield from _conflicts(case)


def _platform(case: Case) -> Iterator[Judged]:
    platform = case.machine.platform
    if platform.vtx_locked_off or platform.vtx is False:
        yield _machine(
            "vtx-off",
            "error",
            "VT-x is locked off: no VM can run" if platform.vtx_locked_off else "no VT-x: no VM can run",
            "the firmware locked it off" if platform.vtx_locked_off else "the CPU shows no vmx",
            "switch on Intel Virtualization Technology in the firmware's setup; an emulated CPU has none",
            "seL4: vt-x: not supported, or vt-x: feature locked",
        )
    if platform.x2apic:
        yield _machine(
            "x2apic-on",
            "error",
            "the firmware switched x2APIC on, and a kernel built for xAPIC stops there",
            "x2APIC was on when the firmware handed over",
            "switch off Extended APIC in the firmware's setup, or build with KernelX86LAPICMode X2APIC",
            "seL4: x2APIC enabled in BIOS but kernel does not support that",
        )


def _machine(code: str, level: Severity, message: str, evidence: str, fix: str, source: str) -> Judged:
    return Judged(Finding(code, level, None, message, (evidence,) if evidence else (), fix, source))


def _not_observed(case: Case) -> Iterator[Judged]:
    machine = case.machine
    unknown = [
        name
        for name, value in (
            ("VT-x", True if machine.platform.vtx_locked_off else machine.platform.vtx),
            ("x2APIC", machine.platform.x2apic),
            ("the IOMMU", machine.acpi.dmar or machine.platform.iommu or dmar_is_absent(case) or None),
        )
        if value is None
    ]
    if unknown and case.subjects:
        yield _machine(
            "platform-not-observed",
            "note",
            f"not observed: the state of {', '.join(unknown)}",
            "",
            "capture with `bringup probe-pci BOARD`, or as root with the boot log",
            "seL4 needs VT-x and VT-d on, and x2APIC off (C32, C34)",
        )
    blind = tuple(f.bdf for f in case.ethernet if not f.observed("capabilities"))
    if blind:
        yield _machine(
            "capabilities-not-observed",
            "note",
            f"capabilities of {named(blind, 12)} were not observed: SR-IOV, reset, power state",
            "",
            "capture as root: others read 64 bytes of config space, which have none",
            "Linux drivers/pci/pci-sysfs.c, pci_read_config",
        )


def _profile(case: Case, profile: Profile) -> Iterator[Judged]:
    yield from _board(case, profile)
    yield from _count(case, profile)
    for function in case.subjects:
        nic = case.nics.get(function.bdf)
        if nic is not None:
            yield from _port(function, nic)


def _board(case: Case, profile: Profile) -> Iterator[Judged]:
    identity, known = case.machine.identity, profile.identity.baseboard_product
    wanted = None if known is None else known.value
    if wanted and identity is not None and identity.baseboard is not None and identity.baseboard != wanted:
        yield _machine(
            "profile-board",
            "error",
            f"this is a {identity.baseboard}, and profile {profile.name} is of a {wanted}",
            f"SMBIOS baseboard: {identity.baseboard}",
            "name the right profile: bringup boards lists them",
            "SMBIOS type 2",
        )
    counts = Counter(ids_of(function) for function in case.machine.functions)
    for expected in profile.pci.expected:
        if counts[expected.id] < expected.count:
            yield _machine(
                "profile-functions-missing",
                "error",
                f"{counts[expected.id]} functions {expected.id} ({expected.what}), "
                f"every {profile.title} has {expected.count}",
                "",
                "another board, a function that is off, or a capture that is not whole",
                f"profile {profile.name}: {expected.source}",
            )


def _count(case: Case, profile: Profile) -> Iterator[Judged]:
    seen, count = profile.pci.functions_seen, len(case.machine.functions)
    if seen is not None and seen.value != count:
        yield _machine(
            "function-count-differs",
            "note",
            f"{count} functions, {seen.value} were seen on another {profile.title}",
            "",
            "nothing, if cards differ: the VMM's table is counted on this machine",
            f"profile {profile.name}: {seen.source}",
        )


def _port(function: Function, nic: ExpectedNic) -> Iterator[Judged]:
    places = seen_at(nic)
    if places and function.bdf not in places:
        yield _about(
            function.bdf,
            "port-moved",
            "note",
            f"is {nic.name}, which was seen at {named(places)}: bus numbers move with cards and settings",
            f"matched by ids {nic.id.value} and function number",
            "take addresses from this capture; a pin measured elsewhere counts as inferred here",
        )
    if nic.bars is not None and function.observed("bars"):
        wanted = {bar.index: (bar.kind, bar.size_bytes) for bar in nic.bars.value}
        shown = {bar.index: (_kind(bar), bar.size) for bar in function.bars or ()}
        differing = sorted(
            index
            for index in {*wanted, *shown}
            if wanted.get(index) != shown.get(index) and shown.get(index, ("", 0))[1] is not None
        )
        if differing:
            yield _about(
                function.bdf,
                "profile-bars",
                "warning",
                f"BARs {', '.join(map(str, differing))} are not those of {nic.name} in the profile",
                "; ".join(f"BAR {i}: {shown.get(i)}, profile {wanted.get(i)}" for i in differing),
                "trust the capture; another card or firmware than the profile's source had",
            )
    pin = nic.intx_pin
    if pin is not None and function.observed("intx_pin") and function.intx_pin != pin.value:
        yield _about(
            function.bdf,
            "profile-intx-pin",
            "warning",
            f"its INTx pin is {function.intx_pin}, the profile has {pin.value}",
            f"profile, graded {pin.grade}: {pin.source}",
            "trust the capture; a pin measured elsewhere may not be this unit's",
        )


def _kind(bar: Bar) -> str:
    return "io" if bar.kind == "io" else "memory64" if bar.width == 64 else "memory"


def _about(bdf: Bdf, code: str, level: Severity, message: str, evidence: str, fix: str) -> Judged:
    return Judged(
        Finding(code, level, bdf, message, (evidence,), fix, "the board's profile against this machine")
    )


def _conflicts(case: Case) -> Iterator[Judged]:
    others = 0
    for conflict in case.machine.conflicts:
        if conflict.bdf not in case.subject_bdfs:
            others += 1
            continue
        yield Judged(
            Finding(
                "sources-disagree",
                "warning",
                conflict.bdf,
                f"two sources disagree about its {conflict.field}",
                (f"kept: {conflict.kept}", f"other: {conflict.other}"),
                "capture once more, all at one time; the better source's value is used",
                "an old log or dump beside a new one, or a machine that changed in between",
            )
        )
    if others:
        yield _machine(
            "sources-disagree",
            "note",
            f"two sources disagree {others} times about functions of the chipset",
            "",
            "nothing for passing ports; a new capture settles it",
            "the better source's value is used",
        )
