"""A run waits for no reader: one who stops, one who leaves, one whose display is broken."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import cast

import pytest

from bringup.base.errors import LabError, OutputError
from bringup.base.events import Emit, Event
from bringup.boot.plan import Plan
from bringup.report.event_stream import EventStream, RunsStream, ending_in_verdict
from bringup.report.viewer import Viewer
from tests.doubles.screen import Screen

PLAN = cast("Plan", None)


class Reader:
    """A display that shows an event when it may."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.may = threading.Event()
        self.may.set()
        self.seen: list[str] = []
        self._fault = fault

    @contextmanager
    def __call__(self, plan: Plan, usual_s: float | None) -> Iterator[Emit]:
        self.seen.append("begin")
        yield self._hear
        self.seen.append("end")

    def _hear(self, event: Event) -> None:
        self.may.wait(30)
        if self._fault is not None:
            raise self._fault
        self.seen.append(event.kind)


def event(kind: str, **data: object) -> Event:
    return Event("run", kind, data=data, at_s=5.0)


def test_everything_is_shown_in_order_and_leaving_waits_for_it() -> None:
    reader = Reader()
    with Viewer(reader) as viewer:
        for _ in range(2):
            with viewer(PLAN, None) as hear:
                hear(event("a"))
                hear(event("b"))
    assert reader.seen == ["begin", "a", "b", "end"] * 2


def test_a_reader_who_stopped_holds_up_neither_the_events_nor_the_end_of_a_run() -> None:
    reader = Reader()
    reader.may.clear()
    began_s = time.monotonic()
    with Viewer(reader, patience_s=0.2) as viewer:
        with viewer(PLAN, None) as hear:
            for number in range(1000):
                hear(event(f"e{number}"))
        assert time.monotonic() - began_s < 20
        assert reader.seen == ["begin"]
        reader.may.set()
    assert reader.seen == ["begin", *(f"e{number}" for number in range(1000)), "end"]


def test_what_waits_is_bounded_and_the_verdict_comes_all_the_same() -> None:
    reader = Reader()
    reader.may.clear()
    with Viewer(reader, patience_s=0.01, most_waiting=10) as viewer:
        with viewer(PLAN, None) as hear:
            for _ in range(1000):
                hear(event("e"))
            hear(event("run.verdict"))
        reader.may.set()
    assert len(reader.seen) < 20
    assert reader.seen[-2:] == ["run.verdict", "end"]


def test_a_terminal_that_went_away_is_nobodys_fault_and_a_broken_display_is_told_after_the_run() -> None:
    with Viewer(Reader(OSError(5, "EIO"))) as viewer, viewer(PLAN, None) as hear:
        hear(event("a"))
    done = False
    with pytest.raises(OutputError, match="disk"), Viewer(Reader(OutputError("disk full"))) as viewer:
        with viewer(PLAN, None) as hear:
            hear(event("a"))
        done = True
    assert done


def test_what_kept_the_run_from_ending_has_the_last_word() -> None:
    with pytest.raises(LabError), Viewer(Reader(OutputError("disk full"))) as viewer:
        with viewer(PLAN, None) as hear:
            hear(event("a"))
        raise LabError("lost")


def test_what_is_told_to_a_person_comes_after_the_events_before_it() -> None:
    reader = Reader()
    with redirect_stderr(Screen(terminal=False)) as screen:
        with Viewer(reader) as viewer, viewer(PLAN, None) as hear:
            hear(event("a"))
            viewer.tell("Switch it on")
            hear(event("b"))
        assert screen.shown == "Switch it on\n"
    assert reader.seen == ["begin", "a", "b", "end"]


def test_a_stream_counts_from_the_beginning_and_ends_with_the_verdict() -> None:
    with redirect_stdout(Screen(terminal=False)) as screen:
        stream = EventStream()
        stream(Event("run", "run.begin", at_s=100.0))
        stream(Event("power", "power.state", "on", {"state": "on"}, 101.25))
        stream(Event("run", "run.verdict", "ok", {"exit_code": 0}, 102.0))
        stream(Event("console", "console.activity", at_s=103.0))
        lines = [json.loads(line) for line in screen.shown.splitlines()]
    assert [(line["t"], line["kind"]) for line in lines] == [
        (0.0, "run.begin"),
        (1.25, "power.state"),
        (2.0, "run.verdict"),
    ]
    assert lines[-1]["data"] == {"exit_code": 0}


def test_several_runs_are_one_stream_with_one_verdict() -> None:
    with redirect_stdout(Screen(terminal=False)) as screen:
        stream = RunsStream()
        for began_s in (100.0, 110.0):
            with stream.display(PLAN, None) as hear:
                hear(Event("run", "run.begin", at_s=began_s))
                hear(Event("run", "run.verdict", f"ok {began_s}", {"run": began_s}, began_s + 5.0))
        stream.end({"runs": [100.0, 110.0]})
        lines = [json.loads(line) for line in screen.shown.splitlines()]
    assert [line["kind"] for line in lines] == ["run.begin", "run.ended"] * 2 + ["run.verdict"]
    assert [line["t"] for line in lines[:-1]] == [0.0, 5.0, 10.0, 15.0]
    assert (lines[-1]["text"], lines[-1]["data"]) == ("ok 110.0", {"runs": [100.0, 110.0]})


@pytest.mark.parametrize(
    ("raised", "code", "verdict"),
    [(LabError("held", hint="wait"), 10, "lab"), (KeyboardInterrupt(), 130, "interrupted")],
)
def test_what_did_not_begin_is_a_verdict_too(raised: BaseException, code: int, verdict: str) -> None:
    def work() -> int:
        raise raised

    with redirect_stdout(Screen(terminal=False)) as screen:
        assert ending_in_verdict(work) == code
        (line,) = screen.shown.splitlines()
    body = json.loads(line)
    assert (body["kind"], body["data"]["verdict"], body["data"]["exit_code"]) == (
        "run.verdict",
        verdict,
        code,
    )
