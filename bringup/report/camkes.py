"""What a check or a memory plan says, as text: the answer first, evidence next, the way on last."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bringup.base.finding import Finding, Report
from bringup.pci.assessment import Severity

if TYPE_CHECKING:
    from bringup.camkes.vms.memory import MemoryPlan

_MIB = 1 << 20


def count_line(report: Report) -> str:
    """Return the answer in one line, as in `checks clean: 48 constraints, 0 errors, 1 warning`."""
    parts = [
        f"{len(report.constraints)} constraints",
        _count(report, "error"),
        _count(report, "warning"),
    ]
    if report.count("note"):
        parts.append(_count(report, "note"))
    if report.unchecked:
        parts.append(f"{len(report.unchecked)} not or not wholly checked")
    return f"{'checks clean' if report.clean else 'checks failed'}: {', '.join(parts)}"


def _count(report: Report, severity: Severity) -> str:
    count = report.count(severity)
    return f"{count} {severity}{'' if count == 1 else 's'}"


def report_lines(report: Report, *, verbose: bool = False) -> Iterator[str]:
    """Yield the findings, then what was not checked; `verbose` adds sources and each unchecked point."""
    for finding in report.findings:
        yield ""
        yield from _finding_lines(finding, verbose=verbose)
    if report.gaps:
        yield ""
        yield from _gap_lines(report, verbose=verbose)


def _finding_lines(finding: Finding, *, verbose: bool) -> Iterator[str]:
    where = f"{finding.place.file}:{finding.place.line}" if finding.place else ""
    yield f"{finding.severity:<8}{finding.code:<4} {finding.slug:<20} {where}".rstrip()
    yield f"        {finding.message}"
    if finding.evidence:
        yield f"  seen  {'; '.join(finding.evidence)}"
    yield f"  do    {finding.fix}"
    if verbose:
        yield f"  from  {finding.source}"


def _gap_lines(report: Report, *, verbose: bool) -> Iterator[str]:
    needs: dict[str, dict[str, list[str]]] = {}
    for gap in report.gaps:
        needs.setdefault(gap.needs, {}).setdefault(gap.code, []).append(gap.what)
    for need, codes in needs.items():
        yield f"not checked: needs {need}: {', '.join(codes)}"
        if verbose:
            for code, points in codes.items():
                for point in points:
                    yield f"  {code:<4} {point}"


def report_json(report: Report, *, exit_code: int, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report as plain JSON data (docs/camkes-check.md)."""
    return {
        "schema": 1,
        "file": report.root,
        "verdict": "ok" if exit_code == 0 else "profile",
        "exit_code": exit_code,
        "inputs": dict(inputs),
        "constraints": len(report.constraints),
        "errors": report.count("error"),
        "warnings": report.count("warning"),
        "notes": report.count("note"),
        "findings": [_finding_json(finding) for finding in report.findings],
        "not_checked": [{"code": gap.code, "what": gap.what, "needs": gap.needs} for gap in report.gaps],
    }


def _finding_json(finding: Finding) -> dict[str, Any]:
    place = finding.place
    return {
        "code": finding.code,
        "slug": finding.slug,
        "severity": finding.severity,
        "file": place.file if place else None,
        "line": place.line if place else None,
        "column": place.column if place else None,
        "vm": finding.vm,
        "message": finding.message,
        "evidence": list(finding.evidence),
        "fix": finding.fix,
        "source": finding.source,
    }


def plan_lines(plan: MemoryPlan, vm: str = "vm0") -> Iterator[str]:
    """Yield a memory plan: whether it fits, the settings to copy, and the sums line by line."""
    yield _plan_answer(plan)
    yield ""
    for attribute, value in plan.settings:
        shown = f"{value:#x}" if attribute == "heap_size" else str(value)
        yield f"  {vm}.{attribute} = {shown};"
    if plan.vms > 1:
        yield f"  and the same for {'the other VM' if plan.vms == 2 else f'the other {plan.vms - 1} VMs'}"
    yield ""
    for bits, count in plan.pools:
        yield f"  {count:>4} x {_size(1 << bits):>9} {_size(count << bits):>10}   simple_untyped{bits}_pool"
    yield f"  {'':>16} {_size(plan.pool_bytes):>10}   {plan.ratio:.2f} times the guest's RAM (C37: 1.25)"
    yield ""
    for line in plan.lines:
        yield f"  {line.what:<16} {_size(line.bytes):>10}   {line.how}"
    if plan.board_ram is None:
        yield f"  {'sum':<16} {_size(plan.total):>10}   the board's RAM is not known (--board-ram)"
    else:
        yield f"  {'sum':<16} {_size(plan.total):>10}   of {_size(plan.board_ram)} on the board (C40)"
    slots = plan.pages * (1 + plan.iospaces)
    spaces = f", for the guest and {_many(plan.iospaces)}" if plan.iospaces else ""
    yield f"  {plan.pages} pages{spaces}: {slots} slots of 2^{plan.cnode_size_bits} (C39)"
    yield f"  {_size(plan.window_used)} of 2303 MiB for RAM and BARs in the VMM's window (C25)"


def _many(spaces: int) -> str:
    return "one IOMMU space" if spaces == 1 else f"{spaces} IOMMU spaces"


def _plan_answer(plan: MemoryPlan) -> str:
    what = f"{plan.vms} VM{'s' if plan.vms > 1 else ''} of {plan.guest_ram_mib} MiB"
    if plan.free is None:
        return f"{what}: {_size(plan.total)} of RAM"
    tight = ", with no headroom in the pools" if plan.tight else ""
    return f"{what}: fits, {_size(plan.free)} of {_size(plan.board_ram or 0)} left{tight}"


def plan_json(plan: MemoryPlan) -> dict[str, Any]:
    """Return a plan as plain JSON data (docs/camkes-check.md); sizes in bytes."""
    return {
        "schema": 1,
        "vms": plan.vms,
        "settings": dict(plan.settings),
        "ratio": round(plan.ratio, 4),
        "pool_bytes": plan.pool_bytes,
        "pages": plan.pages,
        "slots": plan.pages * (1 + plan.iospaces),
        "window_bytes": plan.window_used,
        "sums": [{"what": line.what, "how": line.how, "bytes": line.bytes} for line in plan.lines],
        "total_bytes": plan.total,
        "board_ram_bytes": plan.board_ram,
        "free_bytes": plan.free,
        "tight": plan.tight,
    }


def _size(count: int) -> str:
    return f"{count // _MIB} MiB" if count % _MIB == 0 else f"{count / _MIB:.1f} MiB"


def folded(lines: Iterable[str], width: int | None, indent: int = 8) -> Iterator[str]:
    """Yield lines broken at words to `width` columns, the rest below `indent`; None: as they are."""
    for line in lines:
        if width is None or len(line) <= width:
            yield line
        else:
            yield from textwrap.wrap(
                line,
                width,
                subsequent_indent=" " * indent,
                break_on_hyphens=False,
                break_long_words=False,
            )
