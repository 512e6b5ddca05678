"""What a check of a CAmkES configuration says: findings, what could not be checked, and both together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bringup.camkes.app.model import Place
from bringup.pci.assessment import Severity


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or that a person should know.

    `code` is the rule ("C5"), `slug` which way of breaking it ("irq-dest-range"); both are stable. `place`
    None: the fault is in no line of the application (a build option, say). `evidence` are the values it rests
    on, `fix` what to write or do, `source` where it can be read that it does not work.
    """

    code: str
    slug: str
    severity: Severity
    place: Place | None
    vm: str | None
    message: str
    evidence: tuple[str, ...]
    fix: str
    source: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that was not checked: `what`, and what it `needs` ("--capture", "--build-dir", …)."""

    code: str
    what: str
    needs: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule with its stable code, a title that is true when it is kept, and where the rule can be read."""

    code: str
    title: str
    source: str

    def error(
        self, slug: str, place: Place | None, vm: str | None, message: str, fix: str, *evidence: str
    ) -> Finding:
        """Return a finding that must be put right: it cannot work as it is."""
        return Finding(self.code, slug, "error", place, vm, message, evidence, fix, self.source)

    def warning(
        self, slug: str, place: Place | None, vm: str | None, message: str, fix: str, *evidence: str
    ) -> Finding:
        """Return a finding that often goes wrong and may be meant."""
        return Finding(self.code, slug, "warning", place, vm, message, evidence, fix, self.source)

    def note(
        self, slug: str, place: Place | None, vm: str | None, message: str, fix: str, *evidence: str
    ) -> Finding:
        """Return a finding that is only worth knowing."""
        return Finding(self.code, slug, "note", place, vm, message, evidence, fix, self.source)

    def gap(self, what: str, needs: str) -> Gap:
        """Return that this rule, or a part of it, was not checked."""
        return Gap(self.code, what, needs)


_ORDER: dict[Severity, int] = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found about one application; `rules` are those that were asked for, kept or not."""

    root: str
    findings: tuple[Finding, ...]
    gaps: tuple[Gap, ...]
    rules: tuple[Rule, ...]

    @classmethod
    def of(cls, root: str, found: Sequence[Finding | Gap], rules: Sequence[Rule]) -> Report:
        """Sort what the rules yielded: errors first, each severity in the order of the rules; no doubles."""
        position = {rule.code: number for number, rule in enumerate(rules)}
        findings = sorted(
            dict.fromkeys(item for item in found if isinstance(item, Finding)),
            key=lambda finding: (_ORDER[finding.severity], position[finding.code]),
        )
        gaps = sorted(
            dict.fromkeys(item for item in found if isinstance(item, Gap)),
            key=lambda gap: position[gap.code],
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
        """The codes of the rules of the software below (C1 …); the others are mistakes met in the field."""
        return tuple(rule.code for rule in self.rules if rule.code.startswith("C"))

    @property
    def unchecked(self) -> tuple[str, ...]:
        """The constraints that were not, or not wholly, checked, in order and each once."""
        gaps = {gap.code for gap in self.gaps}
        return tuple(code for code in self.constraints if code in gaps)
