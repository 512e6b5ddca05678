"""What is wrong, or worth knowing: rules, findings, what was not checked, and all of it in one report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, Unpack

from bringup.base.place import Bdf, Place

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""Worst first. error: it cannot work as it is; warning: it often goes wrong and may be meant."""

Effect = Literal["none", "limit", "unknown", "change", "refuse"]
"""What a finding does to a function's word: nothing, a condition, a doubt to settle first, a change that is
needed, a refusal; the later the stronger."""


class Words(TypedDict, total=False):
    """What a function's verdict says of a finding, under its effect; without words it has none."""

    limit: str
    unknown: str
    change: str
    refuse: str


EFFECTS: tuple[Literal["limit", "unknown", "change", "refuse"], ...] = (
    "limit",
    "unknown",
    "change",
    "refuse",
)


Where = Bdf | tuple[str | None, Place | None] | None
"""What a finding is about: a function, a VM and the line of an application, or the machine as a whole."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or that a person should know.

    `rule` is the constraint ("C5"), `code` which way of breaking it ("irq-dest-range"); both are stable.
    `bdf` is the function it is about, `place` the line of an application, `vm` the VM; each None where there
    is none such. `evidence` are the bytes, numbers or lines it rests on, `fix` what to write or do, `source`
    where it can be read that it does not work. `words` say in the function's verdict what its `effect` is; of
    a finding without `bdf` it is one on every function.
    """

    rule: str
    code: str
    severity: Severity
    message: str
    evidence: tuple[str, ...]
    fix: str
    source: str
    bdf: Bdf | None = None
    place: Place | None = None
    vm: str | None = None
    effect: Effect = "none"
    words: str = ""

    @property
    def sentence(self) -> str:
        """What it says, with the function it is about."""
        return self.message if self.bdf is None else f"{self.bdf.short}: {self.message}"


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that was not checked: `what`, and what it `needs` ("--capture", "--build-dir", …)."""

    rule: str
    what: str
    needs: str


Found = Iterator[Finding | Gap]
"""What a rule says."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A constraint with its stable id, a title that is true when it is kept, and where it can be read."""

    id: str
    title: str
    source: str

    def error(
        self, code: str, where: Where, message: str, fix: str, *evidence: str, **words: Unpack[Words]
    ) -> Finding:
        """Return a finding that must be put right: it cannot work as it is."""
        return self._finding("error", code, where, message, fix, evidence, words)

    def warning(
        self, code: str, where: Where, message: str, fix: str, *evidence: str, **words: Unpack[Words]
    ) -> Finding:
        """Return a finding that often goes wrong and may be meant."""
        return self._finding("warning", code, where, message, fix, evidence, words)

    def note(self, code: str, where: Where, message: str, fix: str, *evidence: str) -> Finding:
        """Return a finding that is only worth knowing."""
        return self._finding("note", code, where, message, fix, evidence, {})

    def _finding(
        self,
        severity: Severity,
        code: str,
        where: Where,
        message: str,
        fix: str,
        evidence: tuple[str, ...],
        words: Words,
    ) -> Finding:
        bdf = where if isinstance(where, Bdf) else None
        vm, place = where if isinstance(where, tuple) else (None, None)
        told: list[tuple[Effect, str]] = [(effect, words[effect]) for effect in EFFECTS if words.get(effect)]
        effect, said = told[-1] if told else ("none", "")
        return Finding(
            self.id, code, severity, message, evidence, fix, self.source, bdf, place, vm, effect, said
        )

    def gap(self, what: str, needs: str) -> Gap:
        """Return that this rule, or a part of it, was not checked."""
        return Gap(self.id, what, needs)


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found about one application; `rules` are those that were asked for, kept or not.

    `judged` are the constraints that had something to judge (None: not known). `empty`: the application has
    no VM and passes nothing through, so that there is nothing to check. `foreign` is what shows that it is
    for another architecture: nothing of x86 was judged.
    """

    root: str
    findings: tuple[Finding, ...]
    gaps: tuple[Gap, ...]
    rules: tuple[Rule, ...]
    judged: tuple[str, ...] | None = None
    empty: bool = False
    foreign: str | None = None

    @classmethod
    def of(cls, root: str, found: Sequence[Finding | Gap], rules: Sequence[Rule]) -> Report:
        """Sort what the rules yielded: errors first, each severity in the order of the rules; no doubles."""
        position = {rule.id: number for number, rule in enumerate(rules)}
        findings = sorted(
            dict.fromkeys(item for item in found if isinstance(item, Finding)),
            key=lambda finding: (SEVERITIES.index(finding.severity), position[finding.rule]),
        )
        gaps = sorted(
            dict.fromkeys(item for item in found if isinstance(item, Gap)),
            key=lambda gap: position[gap.rule],
        )
        return cls(root, tuple(findings), tuple(gaps), tuple(rules))

    def count(self, severity: Severity) -> int:
        """Return how many findings have this severity."""
        return sum(finding.severity == severity for finding in self.findings)

    @property
    def clean(self) -> bool:
        """Whether nothing speaks against the application; warnings and gaps do not count."""
        return not self.count("error")

    @property
    def constraints(self) -> tuple[str, ...]:
        """The ids of the constraints of the software below (C1 …); other rules come from the field."""
        return tuple(rule.id for rule in self.rules if rule.id.startswith("C"))

    @property
    def unchecked(self) -> tuple[str, ...]:
        """The constraints that were not, or not wholly, checked, in order and each once."""
        gaps = {gap.rule for gap in self.gaps}
        return tuple(rule for rule in self.constraints if rule in gaps)


def finding_json(finding: Finding) -> dict[str, Any]:
    """Return a finding as plain JSON values, for whoever asked: null is what it is not about."""
    place = finding.place
    return {
        "rule": finding.rule,
        "code": finding.code,
        "severity": finding.severity,
        "bdf": None if finding.bdf is None else str(finding.bdf),
        "vm": finding.vm,
        "file": place.file if place else None,
        "line": place.line if place else None,
        "column": place.column if place else None,
        "message": finding.message,
        "evidence": list(finding.evidence),
        "fix": finding.fix,
        "source": finding.source,
    }
