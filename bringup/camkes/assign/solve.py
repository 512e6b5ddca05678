"""From a machine's PCI truth and who shall get what, the values a CAmkES application needs. Pure.

    passthrough = assign(assessment, [parse_wanted("vm0=17:00.0")], application, profile=profile)
    for planned in passthrough.settings(): planned.instance, planned.attribute, planned.value

Whatever cannot work is refused here with one sentence, before any text is made. Names and guest IRQs that the
application has for a device stay, so that an update changes numbers only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from bringup.base.errors import ProfileError, UsageError
from bringup.base.finding import Finding
from bringup.base.near import did_you_mean
from bringup.camkes.assign.allocate import allot_domains, allot_guest_irqs, allot_names
from bringup.camkes.assign.in_use import Occupied, occupied, vms_of
from bringup.camkes.assign.model import Grant, Passthrough
from bringup.camkes.assign.request import Wanted, find_device
from bringup.camkes.assign.resources import frames_of, ports_of, reserved_of
from bringup.camkes.model import Application
from bringup.camkes.vms.model import Vm
from bringup.camkes.vms.vmm import GUEST_SLOTS, PAGE
from bringup.pci.assessment import Assessment, Passability
from bringup.pci.model import Bdf, Function
from bringup.profile.model import Profile

# fmt: off
ACCEPTABLE = frozenset((
    "bar-above-4g", "bar-below-page", "bar-not-aligned", "bar-not-power-of-two", "bar-unassigned",
    "bar-unreachable", "beyond-pci-table", "bridge-is-off",
    "device-all-ones", "firmware-bar-differs", "io-range-beyond", "io-range-emulated",
    "io-range-overlap", "ioapic-not-recorded", "iommu-dropped", "iommu-off", "needs-change", "no-intx-pin",
    "rmrr-in-window", "segment-not-zero", "sriov-enabled", "unknown", "vtx-off", "x2apic-on",
))
# fmt: on
"""Codes of what a device may need elsewhere (the errors of `probe-pci`), or of what is not known of it."""


def assign(
    assessment: Assessment,
    wanted: Sequence[Wanted],
    application: Application,
    *,
    profile: Profile | None = None,
    accept: Collection[str] = (),
) -> Passthrough:
    """Return the grants that `wanted` asks for, checked against the machine and the application.

    `accept` names findings that a person takes on knowingly. Raises UsageError for a VM that the application
    does not have, ProfileError for everything about devices that cannot work.
    """
    for code in accept:
        if code not in ACCEPTABLE:
            raise UsageError(
                f"--accept {code}: there is nothing of this name{did_you_mean(code, ACCEPTABLE)}",
                hint=f"there are {', '.join(sorted(ACCEPTABLE))}",
            )
    if not wanted:
        raise UsageError("no device is assigned", hint="--assign vm0=17:00.0, once per device")
    vms = vms_of(application)
    for each in wanted:
        _check_vm(each.vm, application.root, list(vms))
    given = [(each.vm, find_device(each.device, assessment.machine, profile)) for each in wanted]
    given.sort(key=lambda pair: (list(vms).index(pair[0]), pair[1].bdf))
    _refuse_doubles(given, vms)
    others = occupied(application, {vm for vm, _ in given})
    cautions: list[str] = []
    grants: list[Grant] = []
    for vm, function in given:
        grant = _grant(vm, function, assessment, accept, cautions)
        _refuse_clash(grant, others)
        grants.append(grant)
    _refuse_shared_pins(grants, cautions)
    _look_at_pairs(grants, cautions)
    grants = allot_guest_irqs(allot_names(grants, vms), vms, others)
    names = tuple(dict.fromkeys(grant.vm for grant in grants))
    return Passthrough(
        tuple(grants),
        allot_domains(names, vms, others, assessment.machine.acpi.dmar),
        level_trig=profile.interrupts.level_trig.value if profile else 0,
        active_low=profile.interrupts.active_low.value if profile else 1,
        cautions=tuple(dict.fromkeys(cautions)),
    )


def _check_vm(vm: str, root: str, names: Sequence[str]) -> None:
    if vm in names:
        return
    raise UsageError(
        f"{root} has no VM {vm}{did_you_mean(vm, names)}",
        hint=f"its VMs: {', '.join(names)}" if names else "it composes no VM at all; are -I and -D right?",
    )


def _refuse_doubles(given: Sequence[tuple[str, Function]], vms: Mapping[str, Vm]) -> None:
    owner: dict[Bdf, str] = {}
    for vm, function in given:
        first = owner.setdefault(function.bdf, vm)
        if first != vm:
            raise ProfileError(
                f"{function.bdf.short} is assigned to {first} and to {vm}: one VM only can have it (C12)",
                hint="leave one out",
            )
    if len({function.bdf for _, function in given}) != len(given):
        twice = next(f.bdf.short for i, (_, f) in enumerate(given) if f.bdf in {g.bdf for _, g in given[:i]})
        raise UsageError(f"{twice} is assigned twice to the same VM", hint="once is enough")
    for vm, count in Counter(owner.values()).items():
        if (taken := vms[vm].slots(count)) > GUEST_SLOTS:
            raise ProfileError(
                f"{vm} would have {taken} devices on its bus, and {GUEST_SLOTS} fit (C15)",
                hint=f"take {taken - GUEST_SLOTS} away",
            )


def _grant(
    vm: str, function: Function, assessment: Assessment, accept: Collection[str], cautions: list[str]
) -> Grant:
    bdf = function.bdf
    passability = assessment.passability.get(bdf, Passability("unknown", reasons=("it was not assessed",)))
    if passability.word == "not-passable":
        reasons = _with_rules(passability.reasons, _errors(bdf, assessment))
        raise ProfileError(
            f"{bdf.short} cannot be given to a VM: {reasons}",
            hint=f"bringup probe-pci explains it; {_passable(assessment)}",
        )
    ports, frames = ports_of(function), frames_of(function)
    pins = assessment.pins.get(bdf, ())
    if not pins:
        raise ProfileError(
            f"at which IOAPIC pin {bdf.short} interrupts is not known, and without it the VM gets none",
            hint="measure it: bringup probe-pci BOARD --firmware-probe; "
            f"or state it, if you know it: --pin {bdf.short}=IOAPIC/PIN",
        )
    other = [p for p in pins if p.grade != "stated" and (p.ioapic, p.pin) != (pins[0].ioapic, pins[0].pin)]
    if pins[0].grade == "stated" and other:
        evidence = ", ".join(dict.fromkeys(f"{p.ioapic}/{p.pin} ({p.words})" for p in other[:3]))
        cautions.append(
            f"{bdf.short}: pin {pins[0].ioapic}/{pins[0].pin} is stated, evidence says {evidence}"
        )
    accepted = _accepted(bdf, passability, assessment, accept)
    cautions += [f"{bdf.short}: {change}" for change in accepted]
    return Grant(
        vm=vm,
        function=function,
        name="",
        irq="",
        pin=pins[0],
        dest=-1,
        ports=ports,
        frames=frames,
        reserved=reserved_of(function, assessment.machine),
        accepted=accepted,
    )


def _accepted(
    bdf: Bdf, passability: Passability, assessment: Assessment, accept: Collection[str]
) -> tuple[str, ...]:
    """Return the changes that were accepted; raises ProfileError for what was not.

    `unknown` takes on what was not observed, beside each change that is needed.
    """
    if passability.word == "passable":
        return ()
    change = passability.word == "needs-change"
    errors = _errors(bdf, assessment)
    needed = list(dict.fromkeys(found.code for found in errors)) or (["needs-change"] if change else [])
    if not change or passability.unsettled:
        needed.append("unknown")
    texts = passability.changes if change else passability.reasons
    if missing := [code for code in needed if code not in accept]:
        what, when = ("needs a change", "once that is done") if change else ("may not work", "all the same")
        raise ProfileError(
            f"{bdf.short} {what}: {_with_rules(texts, errors)}",
            hint=f"{when}: " + " ".join(f"--accept {code}" for code in missing),
        )
    return texts


def _errors(bdf: Bdf, assessment: Assessment) -> tuple[Finding, ...]:
    """Return the errors of function and machine that somebody can take on, and what leaves them open.

    That the machine is not quite the profile's board asks for no change and stops no device.
    """
    found = (
        f
        for f in assessment.findings
        if f.bdf in (bdf, None) and (f.severity == "error" or f.effect == "unknown")
    )
    return tuple(f for f in found if f.code in ACCEPTABLE)


def _with_rules(texts: Sequence[str], errors: Sequence[Finding]) -> str:
    """Return what is wrong in one sentence, with the constraints it is from."""
    said = "; ".join(texts)
    rules = [rule for rule in dict.fromkeys(found.rule for found in errors) if f"({rule})" not in said]
    return f"{said} ({', '.join(rules)})" if rules else said


def _passable(assessment: Assessment) -> str:
    words = assessment.passability.items()
    free = [b.short for b, p in words if p.word == "passable" and _is_ethernet(assessment, b)]
    return f"passable here: {', '.join(free[:8])}" if free else "no Ethernet port of this machine is passable"


def _is_ethernet(assessment: Assessment, bdf: Bdf) -> bool:
    function = assessment.machine.find(bdf)
    return function is not None and function.is_ethernet


def _refuse_clash(grant: Grant, others: Occupied) -> None:
    bdf = grant.bdf.short
    if holder := others.devices.get(grant.bdf):
        raise ProfileError(f"{bdf} is given to {holder} already, and a function belongs to one VM (C12)")
    if holder := others.pins.get(grant.line):
        raise ProfileError(
            f"{bdf} interrupts at pin {grant.pin.ioapic}/{grant.pin.pin}, which {holder} has already; "
            "the kernel gives a pin to one of them only (C4)",
            hint="give both devices to one VM, or use a device on another pin",
        )
    for ports in grant.ports:
        for start, end, holder in others.ports:
            if ports.start < end and start < ports.end:
                raise ProfileError(f"ports {ports} of {bdf} overlap {start:#x}-{end:#x} of {holder} (C29)")
    for frames in grant.frames:
        for start, end, holder in others.frames:
            if frames.paddr < end + -end % PAGE and start < frames.end:
                raise ProfileError(f"memory {frames} of {bdf} overlaps {start:#x}-{end:#x} of {holder} (C24)")


def _refuse_shared_pins(grants: Sequence[Grant], cautions: list[str]) -> None:
    seen: dict[tuple[int, int], Grant] = {}
    for grant in grants:
        first = seen.setdefault(grant.line, grant)
        if first.vm != grant.vm:
            raise ProfileError(
                f"{first.bdf.short} for {first.vm} and {grant.bdf.short} for {grant.vm} share IOAPIC pin "
                f"{grant.line[0]}/{grant.line[1]}: only one of the two VMs would get interrupts (C4)",
                hint="give both to one VM, or use a port on another pin",
            )
        if first is not grant:
            cautions.append(
                f"{first.bdf.short} and {grant.bdf.short} share one interrupt in {grant.vm}; "
                "whether their drivers get on with that is untested"
            )


def _look_at_pairs(grants: Sequence[Grant], cautions: list[str]) -> None:
    for index, grant in enumerate(grants):
        for other in grants[:index]:
            _refuse_shared_page(other, grant)
            group = grant.function.iommu_group
            if grant.vm != other.vm and group is not None and group == other.function.iommu_group:
                cautions.append(
                    f"{other.bdf.short} and {grant.bdf.short} are in one IOMMU group and go to two VMs: "
                    "between them DMA is not kept apart"
                )


def _refuse_shared_page(first: Grant, second: Grant) -> None:
    for frames in second.frames:
        for theirs in first.frames:
            if frames.paddr < theirs.end and theirs.paddr < frames.end:
                page = max(frames.paddr, theirs.paddr)
                raise ProfileError(
                    f"{first.bdf.short} and {second.bdf.short} share the page {page:#x}, and a page can be "
                    "granted once (C23, C24)",
                    hint="use another port",
                )
