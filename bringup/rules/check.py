"""Checks a whole CAmkES configuration against what the VMM, capDL and the kernel really accept. Pure.

    report = check(application, assessment=assessment, build=build, profile=profile)
    report.clean, report.findings, report.gaps

camkes-tool itself validates none of this. A rule whose input is missing says so (`gaps`) and never passes
silently.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from bringup.base.finding import Finding, Gap, Report, Rule
from bringup.camkes.vms.arm import arm_sign
from bringup.camkes.vms.attributes import old_instance
from bringup.camkes.vms.model import read_pools
from bringup.camkes.vms.read import SHAPE, read_vms
from bringup.rules.absence import assembled
from bringup.rules.inputs import Inputs
from bringup.rules.judge import checks_of_applications, judge, order
from bringup.rules.subjects import judged
from bringup.rules.text import in_an_assembly, set_once

if TYPE_CHECKING:
    from bringup.camkes.app.build import Build
    from bringup.camkes.claims.facts import Claims
    from bringup.camkes.model import Application
    from bringup.pci.assessment import Assessment
    from bringup.pci.model import Bdf, Machine
    from bringup.pci.pins.beliefs import Line
    from bringup.profile.model import Profile

RULES: tuple[Rule, ...] = tuple(sorted({rule for rule, _ in checks_of_applications()} | {SHAPE}, key=order))
"""Every rule that a configuration can be judged by, once: C1 to C48, F1 on."""

OF_A_BUILD = frozenset(("C2", "C14", "C47"))
"""Rules that a build keeps or breaks: one that is known has the last word."""

# Findings that something is absent, and the attributes that would hold it.
_ABSENT = {
    "bar-cut": "pci_devices",
    "bar-unlisted": "pci_devices",
    "io-bar-cut": "vm_ioports",
    "io-bar-uncovered": "vm_ioports",
    "irq-name-unknown": "vm_irqs",
    "irq-no-ioapic": "vm_irqs",
    "pools-small": "simple_untyped",
}


def _doubted(found: Finding | Gap, inputs: Inputs) -> Finding | Gap:
    """Return a gap in place of a finding that something is absent, where a macro may hold it."""
    if isinstance(found, Gap) or found.code not in _ABSENT:
        return found
    for vm in inputs.vms:
        for attribute in vm.unread:
            if vm.name == found.vm and attribute.startswith(_ABSENT[found.code]):
                what = f"{vm.name}: what {attribute} holds, since a part of it is not written out"
                return Gap(found.rule, what, "the header that defines it (-I)")
    return found


def check(
    application: Application,
    *,
    assessment: Assessment | None = None,
    build: Build | None = None,
    profile: Profile | None = None,
    practice: bool = False,
    claims: Claims | None = None,
    accepted: Collection[str] = (),
) -> Report:
    """Return everything there is to say about an application, with what else is known of board and build.

    `practice`: the profile is a twin's, on which the image need not run. `claims`: what a generated file says
    it was made for. `accepted` are codes of what a person takes on knowingly; with those in `claims` they
    only warn, unless the build shows that it is not done.
    """
    sign = arm_sign(application, build)
    if sign is not None:
        # What camkes-tool itself refuses holds for every architecture.
        inputs = Inputs(application=application)
        found = [each for rule in (assembled, set_once, in_an_assembly) for each in rule(inputs)]
        return replace(_report(application.root, found, inputs), judged=("C43",), foreign=sign)
    vms, malformed = read_vms(application)
    inputs = Inputs(
        assessment.machine if assessment else None,
        assessment.pins if assessment else {},
        profile,
        application,
        vms,
        read_pools(application),
        build,
        claims,
        practice,
    )
    findings = [*malformed, *(_doubted(each, inputs) for each in judge(inputs))]
    report = _report(application.root, findings, inputs, accepted)
    old = any(old_instance(*setting.key) for setting in application.settings)
    return replace(report, judged=judged(inputs), empty=not (vms or old or inputs.pools))


def recheck(
    claims: Claims, machine: Machine, profile: Profile | None = None, stated: Mapping[Bdf, Line] | None = None
) -> Report:
    """Return what speaks against what a file was made for, on the machine as it is now.

    Pins that the file's maker stated count, and those `stated` now.
    """
    inputs = Inputs.of_machine(machine, profile, claims, {**claims.stated, **(stated or {})})
    return _report(claims.file, judge(inputs), inputs)


def _report(
    root: str, found: Iterable[Finding | Gap], inputs: Inputs, accepted: Collection[str] = ()
) -> Report:
    codes = {*accepted, *(inputs.claims.accepted if inputs.claims else ())}
    return Report.of(root, [_accepted(each, codes, inputs.build) for each in found], RULES)


def _accepted(found: Finding | Gap, codes: Collection[str], build: Build | None) -> Finding | Gap:
    """Return an error that was accepted as a warning; what a build shows not to be done stays one."""
    if isinstance(found, Gap) or found.code not in codes or found.severity != "error":
        return found
    return found if build is not None and found.rule in OF_A_BUILD else replace(found, severity="warning")
