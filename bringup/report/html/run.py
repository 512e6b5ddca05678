"""A boot or a capture as a page: stages as the ladder, what to do, the end of the console."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from bringup.base.errors import LabError
from bringup.base.size import counted
from bringup.boot.folders import RunFolder
from bringup.console.log import CONSOLE, PORT_LOGS, read_log
from bringup.report.html.page import Excerpt, Page, Row, render
from bringup.report.html.verify import verify_html
from bringup.report.run import advice_lines, disk_lines, fault_words, image_line

_LINES = 60
_EVENTS = 40


def run_html(run: RunFolder) -> str:
    """Return a run as HTML, whatever kind it is; raises LabError for a damaged one."""
    try:
        checks = run.read_json("verify.json")
        return _boot_html(run) if checks is None else verify_html(checks)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
        raise LabError(
            f"the records of run {run.run_id} are damaged: {run.path}",
            hint="runs show --json prints what is there",
        ) from None


def _boot_html(run: RunFolder) -> str:
    plan, verdict = run.read_json("plan.json") or {}, run.read_json("verdict.json")
    excerpts = [Excerpt(title, lines) for title, lines in _texts(run) if lines]
    page = Page(
        title=f"{plan.get('board') or 'a board'}, run {run.run_id}",
        ok=verdict is not None and verdict["verdict"] == "ok",
        answer=_answer(run, verdict),
        subtitle=f"until {plan.get('aim') or plan.get('until') or '?'}",
        facts=_facts(plan, run),
        rows=_rows(verdict),
        advice=[line.removeprefix("do").strip() for line in advice_lines(verdict)] if verdict else [],
        excerpts=excerpts,
    )
    return render(page)


_WITHOUT = {
    "damaged": "verdict.json is damaged: how this run ended is not known",
    "goes on": "this run goes on",
    "killed": "no verdict: this run was killed",
}


def _answer(run: RunFolder, verdict: Mapping[str, Any] | None) -> str:
    if verdict is None:
        return _WITHOUT[run.without_verdict()]
    whose = fault_words(verdict["verdict"])
    return f"{verdict['cause']}" + (f" ({whose})" if whose else "")


def _facts(plan: Mapping[str, Any], run: RunFolder) -> list[tuple[str, str]]:
    facts = [("folder", str(run.path))]
    if plan.get("profile"):
        firmware = f"{str(plan['firmware']).upper()}, loader {plan['loader']}"
        facts += [("board", f"{plan['board']} ({plan['profile']}), {firmware}")]
    if plan.get("work"):
        facts.append(("work", str(plan["work"])))
    if plan.get("image"):
        facts.append(("image", image_line(plan["image"])))
    return facts


def _rows(verdict: Mapping[str, Any] | None) -> list[Row]:
    """Return the stages that were reached, each lasting since the one before, and the one missing."""
    if verdict is None:
        return []
    rows, before_s = [], 0.0
    for stage in verdict.get("stages") or ():
        at_s = stage["at_s"]
        lasted = None if at_s is None else max(0.0, at_s - before_s)
        rows.append(
            Row(
                stage["name"],
                "pass",
                [stage["evidence"] or "seen"],
                at_s=None if at_s is None else before_s,
                seconds=lasted,
            )
        )
        before_s = before_s if at_s is None else at_s
    if verdict.get("missing"):
        lines = [str(line).strip() for line in verdict.get("lines") or ()]
        seen = verdict.get("seen") or verdict["cause"]
        end_s = verdict.get("at_s")
        lasted = None if end_s is None else max(0.0, end_s - before_s)
        rows.append(
            Row(str(verdict["missing"]), "fail", [str(seen)], lines=lines, at_s=before_s, seconds=lasted)
        )
    return rows


def _texts(run: RunFolder) -> list[tuple[str, list[str]]]:
    """Return what became of the disk that the run was about, and the end of each console and of what
    happened.
    """
    texts = [("Disk", list(disk_lines(run)))]
    for name in (CONSOLE, *PORT_LOGS):
        lines = [
            f"{'-' if at_s is None else f'{at_s:.3f}':>9}  {line}"
            for at_s, line in deque(read_log(run.path, name), _LINES)
        ]
        texts.append(
            (
                f"Console{'' if name == CONSOLE else f', {PORT_LOGS[name]}'}: "
                f"its last {counted(len(lines), 'line')}",
                lines,
            )
        )
    events = deque(run.events(), _EVENTS)
    told = [f"{event.at_s:9.3f}  {event.kind:<18} {event.text}" for event in events]
    return [*texts, (f"Events: the last {len(told)}", told)]
