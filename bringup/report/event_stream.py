"""The events of a run as lines of JSON on stdout (docs/events.md), the verdict as the last one."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from bringup.base.errors import BringupError, InterruptedRunError, OutputError
from bringup.base.events import Emit, Event
from bringup.boot.follow import VERDICT
from bringup.report.output import emit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from bringup.boot.plan import Plan
    from bringup.jobs.boot import Display
    from bringup.power.base import Person

_Ended = TypeVar("_Ended")

ENDED = "run.ended"
"""The end of one run of several."""


class EventStream:
    """Writes each event it is given, its time counted from the run's first; nothing after the verdict."""

    def __init__(self) -> None:
        self._origin_s: float | None = None
        self._over = False

    def __call__(self, event: Event) -> None:
        """Write one event; raises OutputError when it cannot be written."""
        if self._over:
            return
        if self._origin_s is None:
            self._origin_s = event.at_s
        self._over = event.kind == VERDICT
        emit(event.to_json(origin_s=self._origin_s) + "\n")


class RunsStream:
    """Writes the events of a job of several runs as one stream, its time counted from the first of them.

    What a run came to is `run.ended` there; the verdict is the job's, and `end` writes it.
    """

    def __init__(self) -> None:
        self._stream = EventStream()
        self._text = ""

    def __call__(self, event: Event) -> None:
        """Write one event; raises OutputError when it cannot be written."""
        if event.kind == VERDICT:
            self._text = event.text
            event = replace(event, kind=ENDED)
        self._stream(event)

    def display(self, plan: Plan, usual_s: float | None) -> AbstractContextManager[Emit]:
        """Return what writes the events of one of the runs."""
        del plan, usual_s
        return nullcontext(self)

    def end(self, told: Mapping[str, Any]) -> None:
        """Write the verdict: what `--json` prints."""
        self._stream(Event("run", VERDICT, self._text, told))


def stream_job(
    run: Callable[[Display, Person], _Ended], told: Callable[[_Ended], Mapping[str, Any]]
) -> _Ended:
    """Do a job of several runs, write its events as they come, and return how it ended.

    `told` is its verdict as JSON data.
    """
    from bringup.report.person import TerminalPerson
    from bringup.report.viewer import Viewer

    stream = RunsStream()
    with Viewer(stream.display) as viewer:
        ended = run(viewer, TerminalPerson(viewer.tell))
    stream.end(told(ended))
    return ended


def stream_display(plan: Plan, usual_s: float | None) -> AbstractContextManager[Emit]:
    """Return what writes the events of a plan's run."""
    del plan, usual_s  # the events say it
    return nullcontext(EventStream())


def ending_in_verdict(work: Callable[[], int]) -> int:
    """Do `work`, return its exit code; where it raises before a run begins, a verdict is the only line."""
    try:
        return work()
    except OutputError:
        raise
    except KeyboardInterrupt:
        error: BringupError = InterruptedRunError("interrupted")
    except BringupError as refusal:
        error = refusal
    _emit_refusal(error)
    return error.exit_code


def _emit_refusal(error: BringupError) -> None:
    data = {
        "verdict": error.fault,
        "exit_code": error.exit_code,
        "cause": error.message,
        "hint": error.hint,
    }
    EventStream()(Event("run", VERDICT, error.message, data))
