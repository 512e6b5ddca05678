"""Two runs side by side, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from bringup.base.size import counted
from bringup.jobs.compare import Comparison, StageTimes
from bringup.report.style import harmless, table

# From here on a stage's time is worth a mark: shorter ones differ from boot to boot.
_SLOWER_BY, _SLOWER_S = 1.5, 0.5


def comparison_lines(compared: Comparison) -> Iterator[str]:
    """Yield what differs: what was booted, the stages' times, the first line of the console."""
    if compared.what:
        yield table(["", compared.good, compared.bad], [list(row) for row in compared.what])
        yield ""
    if compared.stages:
        headers = ["stage", compared.good, "took", compared.bad, "took", ""]
        yield table(headers, [_row(times) for times in compared.stages])
        yield ""
    yield from _console(compared)


def _row(times: StageTimes) -> list[str]:
    mark = ""
    if times.bad_at_s is None and times.good_at_s is not None:
        mark = "not reached, or not seen"
    elif times.good_took_s is not None and times.bad_took_s is not None:
        more = times.bad_took_s - times.good_took_s
        if more > _SLOWER_S and times.bad_took_s > _SLOWER_BY * times.good_took_s:
            mark = f"{more:.1f} s longer"
    at = [_seconds(value) for value in (times.good_at_s, times.good_took_s, times.bad_at_s, times.bad_took_s)]
    return [times.stage, *at, mark]


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"


def _console(compared: Comparison) -> Iterator[str]:
    if compared.console is None:
        same = f"{counted(compared.same_lines, 'line')}, the same but for times and addresses"
        yield f"console   {same if compared.same_lines else 'neither run has one'}"
        return
    part = compared.console
    yield "console   the first line that differs, times and addresses apart"
    yield from (f"            {harmless(line)}" for line in part.before)
    for run, number, line in (
        (compared.good, part.good_number, part.good_line),
        (compared.bad, part.bad_number, part.bad_line),
    ):
        where = "ends" if line is None else f"{number}"
        yield f"  {run} {where:>6}  {'' if line is None else harmless(line)}".rstrip()


def comparison_json(compared: Comparison) -> dict[str, Any]:
    """Return a comparison as plain JSON data."""
    return {
        "good": compared.good,
        "bad": compared.bad,
        "what": [{"name": name, "good": good, "bad": bad} for name, good, bad in compared.what],
        "stages": [asdict(times) for times in compared.stages],
        "console": compared.console and asdict(compared.console),
        "same_lines": compared.same_lines,
    }
