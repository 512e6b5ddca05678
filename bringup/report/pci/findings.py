"""Findings as text: worst first, those that say the same of several functions once, each with its way on."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from bringup.pci.assessment import Assessment, Finding
from bringup.pci.export.machine import sorted_findings
from bringup.pci.model import Bdf
from bringup.report.pci.words import bdf_list, clean
from bringup.report.style import Tint, paint

_HEADINGS: dict[str, tuple[str, Tint]] = {
    "error": ("needs a change", "bad"),
    "warning": ("warnings", "warn"),
    "note": ("notes", "faint"),
}
_WHERE = 12


def finding_lines(
    assessment: Assessment, shown: frozenset[Bdf], width: int, *, verbose: bool = False
) -> Iterator[str]:
    """Yield the findings about the machine and the functions that are shown, and how many others are."""
    findings = sorted_findings(assessment.findings)
    wanted = [f for f in findings if f.bdf is None or f.bdf in shown]
    severity = ""
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
            yield from _labelled("", f"why: {clean(finding.source, 500)} [{finding.code}]", width, faint=True)
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
