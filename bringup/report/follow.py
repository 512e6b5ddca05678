"""Shows a run of another process from its folder: how it goes on, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bringup.base.events import Emit, Event
from bringup.boot.folders import RunFolder
from bringup.boot.follow import VERDICT, disk_record, follow, leads_on, next_run
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
        if not ended.leads_on:
            break
        run = next_run(run, ended.begun)
    checks = run.read_json("verify.json")
    if checks is None:
        disk_record(run, ended.begun)
        answer_folded(*verdict_lines(ended.verdict), *disk_lines(run))
    else:
        answer_folded(*answer_lines(checks))
    return int(ended.verdict["exit_code"])


def show_verdict(run: RunFolder) -> int:
    """Write how a run ended as JSON, once it has, and return its exit code; goes on and raises as
    `show_run`.
    """
    while (ended := _followed(run, lambda _event: None)).leads_on:
        run = next_run(run, ended.begun)
    emit_json(disk_record(run, ended.begun) or ended.verdict)
    return int(ended.verdict["exit_code"])


def show_events(run: RunFolder) -> int:
    """Write a run's events as `boot --events` does, and return its exit code."""
    return ending_in_verdict(lambda: int(_followed(run, EventStream()).verdict["exit_code"]))


def _followed(run: RunFolder, hear: Emit) -> _Ended:
    begun, more = None, False
    for event in follow(run):
        hear(event)
        begun, more = begun or event, more or leads_on(event)
        if event.kind == VERDICT:
            return _Ended(begun, event.data, leads_on=more and event.data.get("verdict") == "ok")
    raise AssertionError("followed to its verdict")


@dataclass(frozen=True, slots=True)
class _Ended:
    begun: Event
    verdict: Mapping[str, Any]
    leads_on: bool
