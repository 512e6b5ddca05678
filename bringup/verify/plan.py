"""Plans: which checks, why, how, within which limits, beside which control; TOML that people can write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from bringup.base.errors import ProfileError, UsageError
from bringup.base.near import nearest
from bringup.profile.check import validate
from bringup.profile.toml_lines import TomlDocument, read_toml
from bringup.verify.params import TAKES, VM_NUMBERS, Params, Takes
from bringup.verify.vms.expected import ExpectedVm

_FOLDER = Path(__file__).with_name("plans")

Words = Annotated[tuple[str, ...], BeforeValidator(tuple)]


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Check(_Model):
    """One check: `probe` is what gathers its evidence, `needs` are checks without which it says nothing.

    `not_here` is why it cannot be made on this target, `not_on_guests` why not where the VMs of a virtual lab
    are emulated; `opt_in` checks are made where they are named.
    """

    id: Annotated[str, Field(min_length=1)]
    purpose: str
    how: str
    limit: str = ""
    control: str = ""
    probe: str = ""
    needs: Words = ()
    params: Params = Field(default_factory=Params)
    opt_in: bool = False
    not_here: str = ""
    not_on_guests: str = ""

    def on_guests(self) -> Check:
        """Return the check as it is made where the VMs are emulated guests."""
        return self.model_copy(update={"not_here": self.not_here or self.not_on_guests})


class VerifyPlan(_Model):
    """A plan: its name is that of its file; `scene` is what probes work with, `vm` what VMs shall have."""

    name: str
    title: str
    targets: Words
    scene: Literal["vlab", "guests", "hardware", "vms"] = "vlab"
    vm: Annotated[tuple[ExpectedVm, ...], BeforeValidator(tuple)] = ()
    check: Annotated[tuple[Check, ...], BeforeValidator(tuple), Field(min_length=1)]

    @property
    def ids(self) -> tuple[str, ...]:
        """The checks' names, in order."""
        return tuple(check.id for check in self.check)


def plan_names() -> list[str]:
    """Return the plans that this tool brings along."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load_plan(name_or_file: str, probes: Sequence[str]) -> VerifyPlan:
    """Read a plan by name, or from a file; raises UsageError and ProfileError with FILE:LINE.

    `probes` are the names that checks may use.
    """
    path = Path(name_or_file)
    if not name_or_file.endswith(".toml"):
        path = _FOLDER / f"{name_or_file}.toml"
    try:
        document = read_toml(path)
    except FileNotFoundError:
        raise UsageError(
            f"there is no plan {name_or_file}",
            hint=f"there are {', '.join(plan_names())}, or a file of your own ending in .toml",
        ) from None
    plan = validate(VerifyPlan, {**document.data, "name": path.stem}, [document])
    numbers = [vm.number for vm in plan.vm]
    for index, number in enumerate(numbers):
        if number in numbers[:index]:
            raise ProfileError(f"{document.place(('vm', index, 'number'))}: VM {number} is there twice")
    _check_names(plan, probes, document)
    return plan


def _check_names(plan: VerifyPlan, probes: Sequence[str], document: TomlDocument) -> None:
    earlier: list[str] = []
    for index, check in enumerate(plan.check):
        place = document.place(("check", index, "id"))
        if check.id in earlier:
            raise ProfileError(f"{place}: the check {check.id} is there twice")
        for need in check.needs:
            if need not in earlier:
                raise ProfileError(f"{place}: {check.id} needs {need}, which is no check before it")
        if not check.not_here and check.probe not in probes:
            near = nearest(check.probe, probes)
            hint = f"did you mean {near}?" if near else f"there are {', '.join(sorted(probes))}"
            raise ProfileError(f"{place}: there is no probe {check.probe!r}", hint=hint)
        _check_params(check, place, document.place(("check", index, "params")))
        _check_vms(plan, check, place)
        earlier.append(check.id)


def _check_params(check: Check, place: str, params: str) -> None:
    takes = TAKES.get(check.probe, Takes())
    for name in takes.needs:
        if name not in check.params:
            raise ProfileError(f"{place}: {check.id} has no `params.{name}`, which {check.probe} needs")
    for name in check.params:
        if name not in takes.all:
            hint = f"it takes {', '.join(takes.all)}" if takes.all else "it takes none"
            raise ProfileError(f"{params}: {check.probe} does not take `params.{name}`", hint=hint)


def _check_vms(plan: VerifyPlan, check: Check, place: str) -> None:
    if plan.scene != "vms":
        return
    there = sorted({vm.number for vm in plan.vm})
    asked = (check.params.get(name) for name in VM_NUMBERS)
    for number in (each for each in asked if isinstance(each, int) and each not in there):
        known = f"there are {', '.join(map(str, there))}" if there else "there is no [[vm]] at all"
        raise ProfileError(f"{place}: {check.id} asks VM {number}, which the plan does not have", hint=known)


def chosen(plan: VerifyPlan, only: Sequence[str]) -> tuple[Check, ...]:
    """Return the checks named and what they need, in the plan's order; all of them where none is named."""
    if not only:
        return plan.check
    by_id = {check.id: check for check in plan.check}
    wanted: set[str] = set()
    left = list(only)
    while left:
        name = left.pop()
        if name not in by_id:
            near = nearest(name, list(by_id))
            hint = f"did you mean {near}?" if near else f"there are {', '.join(by_id)}"
            raise UsageError(f"{plan.name} has no check {name}", hint=hint)
        if name not in wanted:
            wanted.add(name)
            left += by_id[name].needs
    return tuple(check for check in plan.check if check.id in wanted)
