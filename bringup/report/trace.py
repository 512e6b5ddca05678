"""A boot on one clock as text, ending in what was reached, what is missing, and the causes that are left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from bringup.jobs.trace import Ending, Moment
from bringup.report.style import faint, harmless

_TEXT_MAX = 160


def moment_line(moment: Moment) -> str:
    """Return one thing that was seen, as a line."""
    at = f"{'-':>8}  " if moment.at_s is None else f"{moment.at_s:8.3f} s"
    text = harmless(moment.text).replace("\n", " ")
    text = text if len(text) <= _TEXT_MAX else text[: _TEXT_MAX - 1] + "…"
    return f"{at}  {faint(f'{moment.track:<7}')}  {text}"


def ending_lines(ending: Ending) -> Iterator[str]:
    """Yield how far a boot came: reached, the first that is missing, the causes that are left."""
    at = "" if ending.reached_s is None else f" at {ending.reached_s:.3f} s"
    yield f"reached   {ending.reached or 'nothing'}{at}{', and goes on' if ending.goes_on else ''}"
    yield f"missing   {ending.missing or 'nothing'}"
    if ending.cause and ending.verdict != "ok":
        yield f"verdict   {harmless(ending.cause)}     ({ending.verdict})"
    label = "left"
    for number, (cause, fix) in enumerate(ending.causes, start=1):
        told = ": ".join(part for part in (cause, fix) if part)
        yield f"{label:<8}  {number}. {harmless(told)}"
        label = ""


def trace_json(what: str, moments: Iterable[Moment], ending: Ending) -> dict[str, Any]:
    """Return a trace as plain JSON data; `what` is the run or the file."""
    return {"trace": what, "moments": [each.to_dict() for each in moments], **ending.to_dict()}
