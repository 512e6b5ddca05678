"""Shows a run of another process from its folder: how it goes on, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from bringup.base.errors import InterruptedRunError
from bringup.base.events import Emit, Event
from bringup.boot.folders import RunFolder
from bringup.boot.follow import VERDICT, disk_record, follow, leads_on, may_lead_on, next_run
from bringup.report.boot_view import BootView
from bringup.report.event_stream import EventStream, ending_in_verdict
from bringup.report.output import answer_folded, emit_json
from bringup.report.run import disk_lines, verdict_lines
from bringup.report.verify import answer_lines


def show_run(run: RunFolder) -> int:
    """Show a run as a boot shows itself and return its exit code; raises InterruptedRunError if killed.

    One of several runs of a re-image is followed by those after it, and the last one's verdict is told.
    """
    while True:
        with BootView(run.read_json("image.json"), usual_s=None) as view:
            ended = _followed(run, view)
        later = _later(run, ended)
        if later is None:
            break
        run = later
    checks = run.read_json("verify.json")
    if checks is None:
        disk_record(run, ended.begun)  # waits for what is shown next
        answer_folded(*verdict_lines(ended.verdict), *disk_lines(run))
    else:
        answer_folded(*answer_lines(checks))
    return int(ended.verdict["exit_code"])


def show_verdict(run: RunFolder) -> int:
    """Write how a run ended as JSON, once it has, and return its exit code; goes on and raises as
    `show_run`.
    """
    while later := _later(run, ended := _followed(run, lambda _event: None)):
        run = later
    emit_json(disk_record(run, ended.begun) or ended.verdict)
    return int(ended.verdict["exit_code"])


def show_events(run: RunFolder) -> int:
    """Write a run's events as `boot --events` does, and return its exit code."""
    return ending_in_verdict(lambda: int(_followed(run, EventStream()).verdict["exit_code"]))


def _followed(run: RunFolder, hear: Emit) -> _Ended:
    begun, more, perhaps = None, False, False
    for event in follow(run):
        hear(event)
        begun, more, perhaps = begun or event, more or leads_on(event), perhaps or may_lead_on(event)
        if event.kind == VERDICT:
            ok = event.data.get("verdict") == "ok"
            return _Ended(begun, event.data, leads_on=more and ok, may_lead_on=perhaps and not ok)
    raise AssertionError("followed to its verdict")


@dataclass(frozen=True, slots=True)
class _Ended:
    begun: Event
    verdict: Mapping[str, Any]
    leads_on: bool
    may_lead_on: bool


def _later(run: RunFolder, ended: _Ended) -> RunFolder | None:
    """Return the run of the same job that follows one that ended, None after the last."""
    if ended.leads_on:
        return next_run(run, ended.begun)
    if ended.may_lead_on:
        with suppress(InterruptedRunError):
            return next_run(run, ended.begun)
    return None
