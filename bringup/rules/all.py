"""All rules in one place: from a machine to its findings and what each does to a function's word; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bringup.rules.bars import bar_rules
from bringup.rules.case import Case, Judged
from bringup.rules.functions import function_rules
from bringup.rules.iommu import iommu_rules
from bringup.rules.machine import machine_rules
from bringup.rules.pins import pin_rules
from bringup.rules.ports import port_rules

RULES: tuple[Callable[[Case], Iterator[Judged]], ...] = (
    function_rules,
    bar_rules,
    port_rules,
    pin_rules,
    iommu_rules,
    machine_rules,
)


def judge(case: Case) -> tuple[Judged, ...]:
    """Return what every rule says about a machine."""
    return tuple(judged for rule in RULES for judged in rule(case))
