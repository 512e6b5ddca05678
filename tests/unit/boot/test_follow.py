"""A run is followed by its folder: while it goes on, when it has ended, and when it was killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bringup.base.errors import InterruptedRunError
from bringup.base.events import Event
from bringup.boot.folders import EVENTS, EventLog, RunFolder
from bringup.boot.follow import follow, leads_on, next_run

BEGIN = Event("run", "run.begin", "r on e300", {"run": "r"}, 100.0)
VERDICT = Event("run", "run.verdict", "ok", {"exit_code": 0}, 107.0)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path)


def test_a_run_that_ended_is_told_from_its_beginning_to_its_verdict(run: RunFolder) -> None:
    log = EventLog(run, 100.0)
    for event in (BEGIN, Event("power", "power.state", "on", at_s=101.5), VERDICT):
        log(event)
    log.close()
    seen = list(follow(run))
    assert [(event.kind, event.at_s) for event in seen] == [
        ("run.begin", 0.0),
        ("power.state", 1.5),
        ("run.verdict", 7.0),
    ]


def test_events_come_as_they_are_written_whole_lines_only(run: RunFolder) -> None:
    log = EventLog(run, 100.0)
    came: list[str] = []
    first = threading.Event()

    def read() -> None:
        for event in follow(run):
            came.append(event.kind)
            first.set()

    reader = threading.Thread(target=read)
    reader.start()
    log(BEGIN)
    assert first.wait(30) and run.goes_on
    record = VERDICT.to_json(origin_s=100.0).encode() + b"\n"
    with (run.path / EVENTS).open("ab", buffering=0) as file:
        file.write(record[:20])
        time.sleep(0.5)
        assert came == ["run.begin"]
        file.write(record[20:])
    reader.join(timeout=30)
    assert came == ["run.begin", "run.verdict"]
    log.close()
    assert not run.goes_on


def test_a_killed_run_says_so_and_a_torn_last_line_is_no_event(run: RunFolder) -> None:
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from bringup.base.events import Event\n"
        "from bringup.boot.folders import EventLog, RunFolder\n"
        f"log = EventLog(RunFolder(Path({str(run.path)!r})), 0.0)\n"
        "log(Event('run', 'run.begin', at_s=0.0))\n"
        "print('ready', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        assert run.goes_on
        process.send_signal(signal.SIGKILL)
    assert not run.goes_on
    with (run.path / EVENTS).open("ab") as file:
        file.write(json.dumps({"v": 1}).encode() + b"\n" + b'{"v": 1, "t"')
    events = follow(run)
    assert next(events).kind == "run.begin"
    with pytest.raises(InterruptedRunError, match=f"{run.run_id} ended without a verdict"):
        next(events)


def test_a_run_that_never_began_is_not_waited_for_for_ever(run: RunFolder) -> None:
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    with pytest.raises(InterruptedRunError):
        list(follow(run, now=lambda: clock[0], sleep=sleep))
    assert 1 < clock[0] < 60


def test_two_who_follow_do_not_take_each_other_for_the_run(run: RunFolder) -> None:
    EventLog(run, 0.0).close()
    descriptor = os.open(run.path / EVENTS, os.O_RDONLY)
    try:
        assert [run.goes_on for _ in range(3)] == [False] * 3
    finally:
        os.close(descriptor)


def job(parent: Path, *runs: tuple[str, int, list[Event]]) -> list[RunFolder]:
    """Record runs that ended: the board of each, its process and what it saw."""
    folders = []
    for board, pid, events in runs:
        folders.append(RunFolder.create(parent))
        log = EventLog(folders[-1], 100.0)
        begin = Event("run", "run.begin", "", {"board": board, "pid": pid}, 100.0)
        for event in (begin, *events, VERDICT):
            log(event)
        log.close()
    return folders


def first(run: RunFolder) -> Event:
    return next(follow(run))


def test_the_next_run_is_that_of_the_same_process_on_the_same_board(tmp_path: Path) -> None:
    mine = os.getpid()
    write, *_, disk = job(
        tmp_path, ("e300", mine, []), ("e300", 1, []), ("e301", mine, []), ("e300", mine, [])
    )
    assert next_run(write, first(write)) == disk


def test_a_next_run_is_waited_for_as_long_as_its_process_lives(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        (write,) = job(tmp_path, ("e300", process.pid, []))
        looked: list[float] = []

        def wait(seconds: float) -> None:
            looked.append(seconds)
            if len(looked) == 3:
                job(tmp_path, ("e300", process.pid, []))

        assert next_run(write, first(write), sleep=wait).run_id > write.run_id
        process.kill()
    (last,) = job(tmp_path, ("e300", process.pid, []))
    with pytest.raises(InterruptedRunError, match="was to be followed by another") as told:
        next_run(last, first(last))
    assert "bringup slots e300" in str(told.value.hint)


@pytest.mark.parametrize(
    ("event", "leads"),
    [
        (Event("disk", "disk.written", "", {}), True),
        (Event("disk", "disk.next", "", {"kept_then": True}), True),
        (Event("disk", "disk.next", "", {"kept_then": False}), False),
        (Event("disk", "disk.slots", "", {}), False),
    ],
)
def test_a_re_image_is_several_runs(event: Event, leads: bool) -> None:
    assert leads_on(event) is leads
