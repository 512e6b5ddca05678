"""What is true of the unit and its capture: M8 to M11. No configuration keeps or breaks these.

`probe-pci` asks them; whoever asks about a configuration does not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bringup.base.finding import Finding, Rule
from bringup.base.size import counted
from bringup.pci.match.board import why_partial
from bringup.pci.match.ports import ids_of, seen_at
from bringup.rules.inputs import Inputs, named
from bringup.rules.iommu import dmar_is_absent

if TYPE_CHECKING:
    from bringup.pci.model import Bar, Function, Machine
    from bringup.profile.model import ExpectedNic, Profile

M8 = Rule("M8", "VT-x is on", "seL4: vt-x: not supported, or vt-x: feature locked")
M9 = Rule(
    "M9",
    "what decides was observed",
    "seL4 needs VT-x and VT-d on, and x2APIC off; Linux drivers/pci/pci-sysfs.c, pci_read_config",
)
M10 = Rule("M10", "the machine is the profile's board", "the board's profile against this machine")
M11 = Rule(
    "M11",
    "sources of a capture agree",
    "an old log or dump beside a new one, or a machine that changed in between; the better source's is used",
)


def vtx_on(inputs: Inputs) -> Iterator[Finding]:
    """M8."""
    if inputs.machine is None:
        return
    platform = inputs.machine.platform
    if platform.is_amd:
        yield M8.error(
            "vtx-off",
            None,
            "an AMD processor has SVM and IVRS, and seL4's VMs need VT-x and VT-d: no VM can run",
            "take a machine with an Intel processor for VMs; native components run here",
            f"processor: {platform.cpu_model}",
        )
    elif platform.vtx_locked_off or platform.vtx is False:
        yield M8.error(
            "vtx-off",
            None,
            "VT-x is locked off: no VM can run" if platform.vtx_locked_off else "no VT-x: no VM can run",
            f"{inputs.words.advice('vt-x')}; an emulated CPU has none",
            "the firmware locked it off" if platform.vtx_locked_off else "the CPU shows no vmx",
        )


def observed(inputs: Inputs) -> Iterator[Finding]:
    """M9."""
    machine = inputs.machine
    if machine is None:
        return
    amd = machine.platform.is_amd
    unknown = [
        name
        for name, value in (
            ("VT-x", True if amd or machine.platform.vtx_locked_off else machine.platform.vtx),
            ("x2APIC", machine.platform.x2apic),
            (
                "the IOMMU (IVRS)" if amd else "the IOMMU",
                machine.acpi.dmar or machine.platform.iommu or dmar_is_absent(inputs) or None,
            ),
        )
        if value is None
    ]
    if unknown and inputs.subjects:
        yield M9.note(
            "platform-not-observed",
            None,
            f"not observed: the state of {', '.join(unknown)}",
            "capture with `bringup probe-pci BOARD`, or as root with the boot log",
        )
    blind = tuple(f.bdf for f in inputs.ethernet if not f.observed("capabilities"))
    if blind:
        yield M9.note(
            "capabilities-not-observed",
            None,
            f"capabilities of {named(blind, 12)} were not observed: SR-IOV, reset, power state",
            "capture as root: others read 64 bytes of config space, which have none",
        )


def of_the_profile(inputs: Inputs) -> Iterator[Finding]:
    """M10."""
    if inputs.machine is None or inputs.profile is None:
        return
    yield from _board(inputs.machine, inputs.profile)
    for function in inputs.subjects:
        nic = inputs.nics.get(function.bdf)
        if nic is not None:
            yield from _port(function, nic)


def _board(machine: Machine, profile: Profile) -> Iterator[Finding]:
    identity, known = machine.identity, profile.identity.baseboard_product
    wanted = None if known is None else known.value
    if wanted and identity is not None and identity.baseboard is not None and identity.baseboard != wanted:
        yield M10.error(
            "profile-board",
            None,
            f"this is a {identity.baseboard}, and profile {profile.name} is of a {wanted}",
            "name the right profile: bringup boards lists them",
            f"SMBIOS baseboard: {identity.baseboard}",
        )
    if part := why_partial(machine):
        yield M10.note(
            "profile-part",
            None,
            f"this is a part of a machine: {part}; whether it is a whole {profile.title} is not known",
            "give a whole listing, or a boot log, to have it compared with the profile",
        )
        return
    counts = Counter(ids_of(function) for function in machine.functions)
    for expected in profile.pci.expected:
        if counts[expected.id] < expected.count:
            yield M10.error(
                "profile-functions-missing",
                None,
                f"{counted(counts[expected.id], 'function')} {expected.id} ({expected.what}), "
                f"every {profile.title} has {expected.count}",
                "another board, a function that is off, or a capture that is not whole",
                f"profile {profile.name}: {expected.source}",
            )
    seen, count = profile.pci.functions_seen, len(machine.functions)
    if seen is not None and seen.value != count:
        yield M10.note(
            "function-count-differs",
            None,
            f"{counted(count, 'function')}, {seen.value} were seen on another {profile.title}",
            "nothing, if cards differ: the VMM's table is counted on this machine",
            f"profile {profile.name}: {seen.source}",
        )


def _port(function: Function, nic: ExpectedNic) -> Iterator[Finding]:
    places = seen_at(nic)
    if places and function.bdf not in places:
        yield M10.note(
            "port-moved",
            function.bdf,
            f"is {nic.name}, which was seen at {named(places)}: bus numbers move with cards and settings",
            "take addresses from this capture; a pin measured elsewhere counts as inferred here",
            f"matched by ids {nic.id.value} and function number",
        )
    if nic.bars is not None and function.observed("bars") and all(b.numbered for b in function.bars or ()):
        wanted = {bar.index: (bar.kind, bar.size_bytes) for bar in nic.bars.value}
        shown = {bar.index: (_kind(bar), bar.size) for bar in function.bars or ()}
        differing = sorted(
            index
            for index in {*wanted, *shown}
            if wanted.get(index) != shown.get(index) and shown.get(index, ("", 0))[1] is not None
        )
        if differing:
            yield M10.warning(
                "profile-bars",
                function.bdf,
                f"BARs {', '.join(map(str, differing))} are not those of {nic.name} in the profile",
                "trust the capture; another card or firmware than the profile's source had",
                "; ".join(f"BAR {i}: {shown.get(i)}, profile {wanted.get(i)}" for i in differing),
            )
    pin = nic.intx_pin
    if pin is not None and function.observed("intx_pin") and function.intx_pin != pin.value:
        yield M10.warning(
            "profile-intx-pin",
            function.bdf,
            f"its INTx pin is {function.intx_pin}, the profile has {pin.value}",
            "trust the capture; a pin measured elsewhere may not be this unit's",
            f"profile, graded {pin.grade}: {pin.source}",
        )


def _kind(bar: Bar) -> str:
    return "io" if bar.kind == "io" else "memory64" if bar.width == 64 else "memory"


def agree(inputs: Inputs) -> Iterator[Finding]:
    """M11."""
    conflicts = inputs.machine.conflicts if inputs.machine else ()
    for conflict in conflicts:
        if conflict.bdf in inputs.subject_bdfs:
            yield M11.warning(
                "sources-disagree",
                conflict.bdf,
                f"two sources disagree about its {conflict.field}",
                "capture once more, all at one time; the better source's value is used",
                f"kept: {conflict.kept}",
                f"other: {conflict.other}",
            )
    others = sum(conflict.bdf not in inputs.subject_bdfs for conflict in conflicts)
    if others:
        yield M11.note(
            "sources-disagree",
            None,
            f"two sources disagree {others} times about functions of the chipset",
            "nothing for passing ports; a new capture settles it",
        )


CHECKS = (
    (M8, vtx_on),
    (M9, observed),
    (M10, of_the_profile),
    (M11, agree),
)
