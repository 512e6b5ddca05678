"""Findings as text, whoever asked for them: the answer first, evidence next, the way on last."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bringup.base.finding import Finding, Report, Severity, finding_json
from bringup.base.place import Bdf
from bringup.pci.assessment import Assessment
from bringup.pci.export.machine import sorted_findings
from bringup.report.style import Tint, paint
from bringup.report.words import bdf_list, clean

_HEADINGS: dict[Severity, tuple[str, Tint]] = {
    "error": ("needs a change", "bad"),
    "warning": ("warnings", "warn"),
    "note": ("notes", "faint"),
}
_WHERE = 12


# Of a machine: those that say the same of several functions once, under headings.


def machine_lines(
    assessment: Assessment, shown: frozenset[Bdf], width: int, *, verbose: bool = False
) -> Iterator[str]:
    """Yield the findings about the machine and the functions that are shown, and how many others are."""
    findings = sorted_findings(assessment.findings)
    wanted = [f for f in findings if f.bdf is None or f.bdf in shown]
    severity: Severity | None = None
    for members in _alike(wanted):
        finding = members[0]
        if finding.severity != severity:
            severity = finding.severity
            heading, tint = _HEADINGS[severity]
            yield ""
            yield paint(heading, tint)
        where = bdf_list(f.bdf for f in members if f.bdf is not None) or "machine"
        yield from _labelled(where, clean(finding.message, 1000), width)
        if finding.fix:
            yield from _labelled("", f"do: {clean(finding.fix, 1000)}", width)
        if verbose:
            for evidence in dict.fromkeys(text for member in members for text in member.evidence):
                yield from _labelled("", f"seen: {clean(evidence, 500)}", width, faint=True)
            yield from _labelled(
                "", f"why: {clean(finding.source, 500)} [{name_of(finding)}]", width, faint=True
            )
    others = len(findings) - len(wanted)
    if others:
        yield ""
        what = "1 finding" if others == 1 else f"{others} findings"
        yield paint(f"{what} about other functions: --all", "faint")


def _alike(findings: Iterable[Finding]) -> list[list[Finding]]:
    """Return findings that read the same as one group, at the place of the first."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in findings:
        key = (finding.severity, finding.code, finding.message, finding.fix)
        groups.setdefault(key, []).append(finding)
    return list(groups.values())


def _labelled(label: str, text: str, width: int, *, faint: bool = False) -> Iterator[str]:
    """Yield `text` in a column right of `label`; a label too long for its column stands on a line alone."""
    if len(label) > _WHERE:
        yield f"  {label}"
        label = ""
    indent = " " * (_WHERE + 4)
    lines = textwrap.wrap(text, width - len(indent), break_on_hyphens=False) or [""]
    for number, line in enumerate(lines):
        lead = f"  {label:<{_WHERE}}  " if number == 0 else indent
        yield lead + paint(line, "faint" if faint else None)


def name_of(finding: Finding) -> str:
    """Return what a finding is looked up by: `C30 io-range-emulated`."""
    return f"{finding.rule} {finding.code}".strip()


# Of a configuration: each at its line.


def count_line(report: Report) -> str:
    """Return the answer in one line, as in `checks clean: 48 constraints, 0 errors, 1 warning`."""
    parts = [
        "no VM in this application" if report.empty else f"{len(report.constraints)} constraints",
        _count(report, "error"),
        _count(report, "warning"),
    ]
    if report.count("note"):
        parts.append(_count(report, "note"))
    if report.unchecked:
        parts.append(f"{len(report.unchecked)} not or not wholly checked")
    if report.foreign is not None:
        parts[0] = f"an application for ARM ({report.foreign}), nothing of x86 is judged"
        return f"{'nothing to check' if report.clean else 'checks failed'}: {', '.join(parts)}"
    said = "checks clean" if report.clean else "checks failed"
    return f"{'nothing to check' if report.empty else said}: {', '.join(parts)}"


def _count(report: Report, severity: Severity) -> str:
    count = report.count(severity)
    return f"{count} {severity}{'' if count == 1 else 's'}"


def configuration_lines(report: Report, *, verbose: bool = False) -> Iterator[str]:
    """Yield the findings, then what was not checked; `verbose` adds sources and each unchecked point."""
    for finding in report.findings:
        yield ""
        yield from _finding_lines(finding, verbose=verbose)
    if report.gaps:
        yield ""
        yield from _gap_lines(report, verbose=verbose)
    if verbose and report.judged is not None and len(report.judged) < len(report.constraints):
        idle = [rule for rule in report.constraints if rule not in report.judged]
        yield ""
        yield f"nothing to judge: {', '.join(idle)}"


def _finding_lines(finding: Finding, *, verbose: bool) -> Iterator[str]:
    where = f"{finding.place.file}:{finding.place.line}" if finding.place else ""
    yield f"{finding.severity:<8}{finding.rule:<4} {finding.code:<20} {where}".rstrip()
    yield f"        {finding.sentence}"
    if finding.evidence:
        yield f"  seen  {'; '.join(finding.evidence)}"
    yield f"  do    {finding.fix}"
    if verbose:
        yield f"  from  {finding.source}"


def _gap_lines(report: Report, *, verbose: bool) -> Iterator[str]:
    needs: dict[str, dict[str, list[str]]] = {}
    for gap in report.gaps:
        needs.setdefault(gap.needs, {}).setdefault(gap.rule, []).append(gap.what)
    for need, codes in needs.items():
        yield f"not checked: needs {need}: {', '.join(codes)}"
        if verbose:
            for code, points in codes.items():
                for point in points:
                    yield f"  {code:<4} {point}"


def short_lines(report: Report) -> Iterator[str]:
    """Yield errors with their fix, and warnings, for what is told beside something else."""
    for finding in report.findings:
        if finding.severity == "note":
            continue
        at = f"{finding.place}: " if finding.place else ""
        yield f"  {finding.severity} {finding.rule}  {at}{finding.sentence}"
        if finding.severity == "error" and finding.fix:
            yield f"    do {finding.fix}"


def report_json(report: Report, *, exit_code: int, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report as plain JSON data (docs/camkes-check.md)."""
    return {
        "schema": 2,
        "file": report.root,
        "verdict": "ok" if exit_code == 0 else "profile",
        "exit_code": exit_code,
        "inputs": dict(inputs),
        "constraints": len(report.constraints),
        "judged": None if report.judged is None else list(report.judged),
        "errors": report.count("error"),
        "warnings": report.count("warning"),
        "notes": report.count("note"),
        "findings": [finding_json(finding) for finding in report.findings],
        "not_checked": [{"rule": gap.rule, "what": gap.what, "needs": gap.needs} for gap in report.gaps],
    }
