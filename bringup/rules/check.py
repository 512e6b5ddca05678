"""Checks a whole CAmkES configuration against what the VMM, capDL and the kernel really accept. Pure.

    report = check(application, assessment=assessment, build=build, profile=profile)
    report.clean, report.findings, report.gaps

camkes-tool itself validates none of this. Rules C1 to C48 are constraints of the software below, F1 on are
mistakes met in the field. A rule whose input is missing says so (`gaps`) and never passes silently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from bringup.base.finding import Finding, Gap, Report, Rule
from bringup.camkes.app.build import Build
from bringup.camkes.app.model import Application
from bringup.camkes.vms.model import read_pools
from bringup.camkes.vms.read import SHAPE, read_vms
from bringup.pci.assessment import Assessment
from bringup.rules import bar_layout, dests, identity, interrupts, memory, sizing, text
from bringup.rules import bars_of_config as bars
from bringup.rules import build as build_checks
from bringup.rules import iommu_of_config as iommu
from bringup.rules import pins_of_config as pins
from bringup.rules import ports_of_config as ports
from bringup.rules.context import Context

if TYPE_CHECKING:
    from bringup.profile.model import Profile

__all__ = ["CHECKS", "RULES", "check"]

Check = Callable[[Context], Iterator[Finding | Gap]]

_MODULES = (
    interrupts,
    dests,
    identity,
    bars,
    memory,
    bar_layout,
    ports,
    iommu,
    sizing,
    text,
    build_checks,
    pins,
)


def _order(rule: Rule) -> tuple[str, int]:
    return rule.code[0], int(rule.code[1:])


CHECKS: tuple[tuple[Rule, Check], ...] = tuple(
    sorted((pair for module in _MODULES for pair in module.CHECKS), key=lambda pair: _order(pair[0]))
)
"""Every check with its rule; a rule may have several checks."""

RULES: tuple[Rule, ...] = tuple(sorted({rule for rule, _ in CHECKS} | {SHAPE}, key=_order))
"""Every rule once: C1 to C48, then F1 on."""


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


def _doubted(found: Finding | Gap, context: Context) -> Finding | Gap:
    """Return a gap in place of a finding that something is absent, where a macro may hold it."""
    if isinstance(found, Gap) or found.slug not in _ABSENT:
        return found
    for vm in context.vms:
        for attribute in vm.unread:
            if vm.name == found.vm and attribute.startswith(_ABSENT[found.slug]):
                what = f"{vm.name}: what {attribute} holds, since a part of it is not written out"
                return Gap(found.code, what, "the header that defines it (-I)")
    return found


def check(
    application: Application,
    *,
    assessment: Assessment | None = None,
    build: Build | None = None,
    profile: Profile | None = None,
) -> Report:
    """Return everything there is to say about an application, with what else is known of board and build."""
    vms, malformed = read_vms(application)
    context = Context(application, vms, read_pools(application), assessment, build, profile)
    found: list[Finding | Gap] = list(malformed)
    for _, run in CHECKS:
        found += run(context)
    found = [_doubted(each, context) for each in found]
    return Report.of(application.root, found, RULES)
