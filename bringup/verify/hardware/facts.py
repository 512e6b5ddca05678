"""Which facts of a profile first contact looks at, and what becomes of each; pure.

A plan's checks are patterns of fact names. Each fact is taken by the first pattern that fits: by that check's
probe it is measured, or by its `not_here` it is not; then a fact graded HIGH is left out: it is known, and
nothing here could show it. A check without a pattern is one of its own, about
the unit alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from bringup.profile.unit import OF_THE_UNIT, named_facts
from bringup.verify.hardware.seen import Finding, NotSeen
from bringup.verify.plan import Check, VerifyPlan
from bringup.verify.result import Result, skipped

if TYPE_CHECKING:
    from bringup.profile.model import Profile, Sourced

# Where a profile may be silent and the unit can speak all the same.
_PORT_KEYS = ("intx_pin", "ioapic_pin", "acpi_gsi", "smbios_name")
_BMC_KEYS = ("boot_override",)


@dataclass(frozen=True, slots=True)
class Asked:
    """A fact to look at: its name, and what the profile says; `grade` "" where it says nothing."""

    name: str
    profile: Profile
    said: Any = None
    grade: str = ""

    @property
    def key(self) -> str:
        """The last word of its name."""
        return self.name.rpartition(".")[2]

    @property
    def port(self) -> str:
        """The name of the port that it is about, "" for others."""
        return self.name.removeprefix("nics.").rpartition(".")[0] if self.name.startswith("nics.") else ""


def asked_facts(profile: Profile) -> dict[str, Asked]:
    """Return the facts of a profile, and those that it could have and leaves open, by name."""
    found = {
        name: Asked(name, profile, said(fact), fact.grade) for name, fact in named_facts(profile).items()
    }
    open_names = [f"nics.{nic.name}.{key}" for nic in profile.nics for key in _PORT_KEYS]
    for name in [*open_names, *(f"bmc.{key}" for key in _BMC_KEYS)]:
        found.setdefault(name, Asked(name, profile))
    return dict(sorted(found.items(), key=lambda item: _rank(item[0], profile)))


def said(fact: Sourced) -> Any:
    """Return what a fact says, as plain data."""
    body = fact.model_dump(mode="json", exclude={"grade", "source"})
    return body["value"] if set(body) == {"value"} else body


def _rank(name: str, profile: Profile) -> tuple[int, int]:
    sections = list(type(profile).model_fields)
    ports = [nic.name for nic in profile.nics]
    port = name.removeprefix("nics.").rpartition(".")[0]
    return sections.index(name.partition(".")[0]), ports.index(port) if port in ports else 0


def expanded(plan: VerifyPlan, profile: Profile) -> tuple[VerifyPlan, dict[str, Asked]]:
    """Return the plan with a check for each fact, and the facts by their checks' ids."""
    facts = asked_facts(profile)
    checks: list[Check] = []
    taken: dict[str, Asked] = {}
    for pattern in plan.check:
        if pattern.id.startswith(OF_THE_UNIT):
            taken[pattern.id] = Asked(pattern.id, profile)
            checks.append(pattern)
            continue
        for name, fact in facts.items():
            if name in taken or not fnmatchcase(name, pattern.id):
                continue
            taken[name] = fact
            if not (pattern.not_here and fact.grade in ("HIGH", "")):
                checks.append(pattern.model_copy(update={"id": name}))
    return plan.model_copy(update={"check": tuple(checks)}), taken


def judge(asked: Asked, finding: Finding) -> Result:
    """Return confirmed (pass), corrected (fail) or not testable here (skip) with its evidence."""
    if isinstance(finding, NotSeen):
        return skipped(f"not testable here: {finding.reason}")
    value = finding.value
    values = {"measured": value, "profile": asked.said, "grade": asked.grade or None, "by": finding.evidence}
    if not asked.grade:
        return Result("pass", f"measured: {shown(value)}, by {finding.evidence}", values)
    agrees = finding.agrees
    if agrees is None:
        agrees = _plain(value) == _plain(asked.said)
    by = f"by {finding.evidence}; the profile says {shown(asked.said)} ({asked.grade})"
    if agrees:
        return Result("pass", f"confirmed: {by}", values)
    what = "does not hold" if value is None else f"{shown(value)}"
    return Result("fail", f"corrected: {what}, {by}", values)


def _plain(value: Any) -> Any:
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def shown(value: Any) -> str:
    """Return a fact's value for people."""
    return ", ".join(_words(value))


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield " ".join(f"{key} {each}" for key, each in value.items())
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _words(each)
    else:
        yield str(value)
