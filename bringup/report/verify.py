"""A run of verify as text: each check as it ends, and the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bringup.base.events import Event
from bringup.report.output import say
from bringup.report.style import Mark, faint, glyph, paint

_MARKS: dict[str, Mark] = {"pass": "ok", "fail": "bad", "skip": "idle"}
_WIDTH = 14


def show_progress(event: Event) -> None:
    """Say how a check ended, when it does."""
    data = event.data
    if event.kind != "run.step" or data.get("status") is None:
        return
    say(check_line({**data, "id": data["step"]}))


def check_line(check: Mapping[str, Any]) -> str:
    """Return a check as a line: its mark, its name, its seconds, its evidence."""
    seconds = faint(f"{check['seconds']:5.1f} s")
    text = check["evidence"]
    if check["status"] == "pass":
        # All places said the like; the whole is in the report and in --json.
        first, *others = text.split(" | ")
        text = f"{first} (and {len(others)} more)" if others else first
    return f"{seconds}  {glyph(_MARKS[check['status']])} {check['id']:<{_WIDTH}}{text}"


def holds(body: Mapping[str, Any]) -> bool:
    """Return whether the plan holds: nothing failed, and not because nothing was checked."""
    return bool(body["pass"]) and not body["fail"] and not body.get("broke_off")


def headline(body: Mapping[str, Any]) -> str:
    """Return whether the plan holds, in one sentence."""
    counts = f"{body['pass']} passed, {body['fail']} failed, {body['skip']} not made"
    told = f"{counts} in {body['seconds']:.1f} s"
    if body["fail"]:
        return f"{body['plan']} does not hold: {told}"
    if body.get("broke_off"):
        return f"{body['plan']} was not finished: {told}"
    if holds(body):
        return f"{body['plan']} holds: {told}"
    return f"nothing of {body['plan']} was checked: {told}"


def answer_lines(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield the answer: what holds, what does not and why it matters, where the evidence lies."""
    if body["fail"]:
        yield paint(headline(body), "bad")
        for check in body["checks"]:
            if check["status"] == "fail":
                yield from _failed(check)
    else:
        mark = f"{paint('ok', 'good')}  " if holds(body) else ""
        yield f"{mark}{headline(body)}"
    if body.get("broke_off"):
        yield f"broke off {body['broke_off']}"
    for check in body["checks"]:
        if check["status"] == "skip" and not body["fail"]:
            yield f"skipped   {check['id']}: {check['evidence']}"
    if body.get("unproven"):
        yield f"unproven  {body['unproven']}"
    if "unit_file" in body:
        why = f" (not in the lab: {body['not_kept']})" if "not_kept" in body else ""
        yield f"measured  {body['unit_file']}{why}"
        yield f"upstream  {body['page']}"
    yield f"run       {body['run']}   {body['folder']}"


def verify_report(body: Mapping[str, Any]) -> str:
    """Return a recorded run as text: every check, then the answer."""
    return "\n".join([*map(check_line, body["checks"]), *answer_lines(body)])


def _failed(check: Mapping[str, Any]) -> Iterator[str]:
    yield f"{glyph('bad')} {check['id']}: {check['purpose']}"
    yield f"  seen      {check['evidence']}"
    # What is to be pasted is shown whole, else it is none.
    for line in check["values"].get("vm_irqs") or check["excerpt"][:4]:
        yield f"            {line}"
