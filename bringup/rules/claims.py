"""The facts in a generated file as part of a check: is the machine still that one (F8)? Pure."""

from __future__ import annotations

from bringup.base.finding import Finding, Report, Rule
from bringup.camkes.claims.compare import compare
from bringup.camkes.claims.facts import Claims
from bringup.pci.assessment import Assessment

MADE_FOR = Rule(
    "F8",
    "the machine is the one that the file was generated for",
    "the facts in the file's own header (bringup camkes overlay)",
)
_FIX = "generate it again from this capture: bringup camkes overlay"


def with_made_for(report: Report, claims: Claims, assessment: Assessment) -> Report:
    """Return a report with what moved since a generated file was made."""
    drift = compare(claims, assessment)
    places = {(claim.vm, claim.bdf): claim.place for claim in claims.devices}
    found: list[Finding] = [
        MADE_FOR.error(
            f"drift-{each.kind}",
            places.get((each.vm, each.bdf)),
            each.vm,
            each.message,
            _FIX,
            _origin(claims),
        )
        for each in drift.differences
    ]
    found += [MADE_FOR.note("drift-unknown", None, None, note, "", _origin(claims)) for note in drift.notes]
    return Report.of(report.root, [*found, *report.findings, *report.gaps], (*report.rules, MADE_FOR))


def _origin(claims: Claims) -> str:
    return f"made from {claims.capture or 'an unnamed capture'} of {claims.board or 'an unnamed board'}"
