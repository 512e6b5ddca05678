"""What the doctor found, as text: what is wrong, and how to mend it, first; a line for each check."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from bringup.jobs.doctor.check import Checked, Status
from bringup.report.style import Mark, emphasis, faint, glyph, harmless

_MARKS: dict[Status, Mark] = {"pass": "ok", "fail": "bad", "skip": "idle"}
_TITLE = 15


def doctor_lines(found: Sequence[Checked], board: str) -> Iterator[str]:
    """Yield the answer, then each group's checks; a failing line ends with the command that mends it."""
    wrong = [each for each in found if each.result.status == "fail"]
    looked = sum(each.result.status != "skip" for each in found)
    if wrong:
        things = "1 thing" if len(wrong) == 1 else f"{len(wrong)} things"
        yield f"{glyph('bad')} {things} in the way of {board}, of {looked} that were looked at"
    else:
        yield f"{glyph('ok')} nothing in the way of {board}: {looked} things are as they should be"
    for title, checks in groupby(found, lambda each: each.group):
        yield ""
        yield emphasis(title)
        yield from map(_line, checks)


def _line(checked: Checked) -> str:
    result = checked.result
    way_on = f"     {faint('do')}  {harmless(result.fix)}" if result.fix else ""
    return f"{glyph(_MARKS[result.status])} {checked.title:<{_TITLE}} {harmless(result.message)}{way_on}"


def doctor_json(found: Sequence[Checked]) -> dict[str, Any]:
    """Return the same as plain JSON data."""
    return {"checks": [each.to_dict() for each in found]}
