"""Every rule, and what they all say of what is known. Pure.

C1 to C48 are constraints of the software below: kernel, capDL, VMM, camkes-tool. F1 on are mistakes met in
the field, M1 on the state that a machine is in. Whoever asks, asks these: `assess.py` about a machine,
`check.py` about a configuration that is written or drafted, and what an image about to boot was made for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from bringup.base.finding import Finding, Gap, Rule
from bringup.camkes.vms.read import SHAPE
from bringup.rules import (
    absence,
    bars,
    build,
    console,
    drift,
    frames,
    functions,
    interrupts,
    iommu,
    machine,
    needs,
    pins,
    ports,
    reach,
    sizing,
    text,
)
from bringup.rules.inputs import Inputs

Check = Callable[[Inputs], Iterable[Finding | Gap]]

_TOPICS = (
    functions,
    pins,
    interrupts,
    bars,
    frames,
    ports,
    reach,
    iommu,
    sizing,
    text,
    console,
    build,
    needs,
    drift,
    absence,
)


def _order(rule: Rule) -> tuple[str, int]:
    return rule.id[0], int(rule.id[1:])


CHECKS: tuple[tuple[Rule, Check], ...] = tuple(
    sorted((pair for topic in _TOPICS for pair in topic.CHECKS), key=lambda pair: _order(pair[0]))
)
"""Every check of a constraint with its rule; a rule may have several checks."""

RULES: tuple[Rule, ...] = tuple(sorted({rule for rule, _ in CHECKS} | {SHAPE}, key=_order))
"""Every rule that a configuration can be judged by, once: C1 to C48, F1 on, M1 on."""


def judge(inputs: Inputs) -> tuple[Finding | Gap, ...]:
    """Return what the rules say; of a function that is passed through, at the line that does it."""
    checks = CHECKS if inputs.configured else (*CHECKS, *machine.CHECKS)
    return tuple(_placed(each, inputs) for _, check in checks for each in check(inputs))


def _placed(found: Finding | Gap, inputs: Inputs) -> Finding | Gap:
    if isinstance(found, Gap) or found.bdf is None or found.bdf not in inputs.holders:
        return found
    vm, place = inputs.holders[found.bdf]
    return replace(found, vm=vm, place=place)
