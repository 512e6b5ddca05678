"""Which constraints an application gives something to judge; the others are kept by nobody. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bringup.rules.inputs import Inputs


def _irqs(inputs: Inputs) -> bool:
    return any(vm.irqs for vm in inputs.vms)


def _memory(inputs: Inputs) -> bool:
    return any(device.memory for _, device in inputs.devices())


def _devices(inputs: Inputs) -> bool:
    return inputs.passes_devices


def _ports(inputs: Inputs) -> bool:
    return any(vm.ports for vm in inputs.vms)


def _vms(inputs: Inputs) -> bool:
    return bool(inputs.vms)


def _pools(inputs: Inputs) -> bool:
    return bool(inputs.pools)


def _domains(inputs: Inputs) -> bool:
    return _devices(inputs) or any("iospace_domain" in vm.settings for vm in inputs.vms)


def _holes(inputs: Inputs) -> bool:
    return _devices(inputs) or any(vm.excluded for vm in inputs.vms)


def _settings(inputs: Inputs) -> bool:
    return any(setting.applied for setting in inputs.written.settings)


_ABOUT: Mapping[Callable[[Inputs], bool], str] = {
    _irqs: "C1 C2 C3 C4 C5 C6 C7 C8 C11",
    _devices: "C9 C10 C12 C13 C14 C15 C16 C17 C20 C21 C23 C26 C27 C28 C32 C34 C35 C44",
    _memory: "C18 C19 C22 C24",
    _ports: "C29 C30 C31",
    _domains: "C33",
    _holes: "C36",
    _vms: "C25 C37 C39 C41 C45 C46 C47 C48",
    _pools: "C38 C40",
    _settings: "C42 C43",
}
SUBJECTS: Mapping[str, Callable[[Inputs], bool]] = {
    rule: subject for subject, rules in _ABOUT.items() for rule in rules.split()
}
"""What each constraint is about: whether an application has any such thing."""


def judged(inputs: Inputs) -> tuple[str, ...]:
    """Return the constraints that found something to judge, in order."""
    found = [rule for rule, subject in SUBJECTS.items() if subject(inputs)]
    return tuple(sorted(found, key=lambda rule: int(rule[1:])))
