"""Every rule, and what they all say of what is known. Pure.

C1 to C48 are constraints of the software below: kernel, capDL, VMM, camkes-tool. F1 on are mistakes met in
the field, M1 on the state that a machine is in. Whoever asks, asks these: `assess.py` about a machine,
`check.py` about a configuration that is written or drafted, and what an image about to boot was made for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from bringup.base.finding import Finding, Gap, Rule
from bringup.rules import (
    bars,
    build,
    console,
    frames,
    functions,
    interrupts,
    ioapics,
    iommu,
    machine,
    pin_evidence,
    pin_source,
    pins,
    ports,
    reach,
    sizing,
)
from bringup.rules.inputs import Inputs

Check = Callable[[Inputs], Iterable[Finding | Gap]]
Checks = tuple[tuple[Rule, Check], ...]

_OF_MACHINES = (
    *(functions, ioapics, pins, pin_source, pin_evidence, interrupts),
    *(bars, frames, ports, reach, iommu, sizing, console, build),
)


def order(rule: Rule) -> tuple[str, int]:
    """Return what rules are sorted by: kind, then number."""
    return rule.id[0], int(rule.id[1:])


def _sorted(checks: Iterable[tuple[Rule, Check]]) -> Checks:
    return tuple(sorted(checks, key=lambda pair: order(pair[0])))


CHECKS_OF_MACHINES: Checks = _sorted(pair for topic in _OF_MACHINES for pair in topic.CHECKS)
"""The checks that have something to say of a machine; a rule may have several checks."""


def checks_of_applications() -> Checks:
    """Return every check of a configuration: what only speaks of its text is loaded when there is one."""
    from bringup.rules import absence, drift, needs, text

    topics = (absence, drift, needs, text)
    return _sorted((*CHECKS_OF_MACHINES, *(pair for topic in topics for pair in topic.CHECKS)))


def judge(inputs: Inputs) -> tuple[Finding | Gap, ...]:
    """Return what the rules say; of a function that is passed through, at the line that does it."""
    checks = checks_of_applications() if inputs.configured else (*CHECKS_OF_MACHINES, *machine.CHECKS)
    return tuple(_placed(each, inputs) for _, check in checks for each in check(inputs))


def _placed(found: Finding | Gap, inputs: Inputs) -> Finding | Gap:
    if isinstance(found, Gap) or found.bdf is None or found.bdf not in inputs.holders:
        return found
    vm, place = inputs.holders[found.bdf]
    return replace(found, vm=vm, place=place)
