"""Shows a run of another process from its folder: how it goes on, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bringup.base.events import Emit
from bringup.boot.folders import RunFolder
from bringup.boot.follow import VERDICT, follow
from bringup.report.boot_view import BootView
from bringup.report.event_stream import EventStream, ending_in_verdict
from bringup.report.output import answer_folded, emit_json
from bringup.report.run import verdict_lines
from bringup.report.verify import answer_lines


def show_run(run: RunFolder) -> int:
    """Show a run as a boot shows itself and return its exit code; raises InterruptedRunError if killed."""
    with BootView(run.read_json("image.json"), usual_s=None) as view:
        verdict = _followed(run, view)
    checks = run.read_json("verify.json")
    answer_folded(*(verdict_lines(verdict) if checks is None else answer_lines(checks)))
    return int(verdict["exit_code"])


def show_verdict(run: RunFolder) -> int:
    """Write how a run ended as JSON, once it has, and return its exit code; raises as `show_run`."""
    verdict = _followed(run, lambda _event: None)
    emit_json(verdict)
    return int(verdict["exit_code"])


def show_events(run: RunFolder) -> int:
    """Write a run's events as `boot --events` does, and return its exit code."""
    return ending_in_verdict(lambda: int(_followed(run, EventStream())["exit_code"]))


def _followed(run: RunFolder, hear: Emit) -> Mapping[str, Any]:
    for event in follow(run):
        hear(event)
        if event.kind == VERDICT:
            return event.data
    raise AssertionError("followed to its verdict")
