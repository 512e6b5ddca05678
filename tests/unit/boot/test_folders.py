"""Run folders: made in order, whole appends, readable after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bringup.base.errors import LabError, UsageError
from bringup.base.events import Event
from bringup.boot.folders import EventLog, RunFolder, find_run, last_test_of, list_runs, usual_duration_s


def test_folders_count_up_within_a_day(tmp_path: Path) -> None:
    first, second = RunFolder.create(tmp_path), RunFolder.create(tmp_path)
    assert first.run_id.endswith("-0001")
    assert second.run_id.endswith("-0002")
    assert [run.run_id for run in list_runs(tmp_path)] == [first.run_id, second.run_id]
    assert find_run(tmp_path, None).run_id == second.run_id
    assert find_run(tmp_path, first.run_id).path == first.path


def test_a_parent_that_is_a_file_is_the_labs_fault(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(LabError, match="run folder"):
        RunFolder.create(tmp_path / "runs" / "deeper")


def test_unknown_run_names_the_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no runs"):
        find_run(tmp_path, None)
    RunFolder.create(tmp_path)
    with pytest.raises(UsageError, match="2001-01-01-0001"):
        find_run(tmp_path, "2001-01-01-0001")


def test_events_survive_a_kill_at_any_moment(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path)
    writer = (
        "import sys, time, pathlib\n"
        "from bringup.boot.folders import EventLog, RunFolder\n"
        "from bringup.base.events import Event\n"
        "log = EventLog(RunFolder(pathlib.Path(sys.argv[1])), time.monotonic())\n"
        "number = 0\n"
        "while True:\n"
        "    log(Event('run', 'run.step', 'x' * 200, {'n': number})); number += 1\n"
        "    if number == 500: print('going', flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", writer, str(run.path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"going\n"
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    process.stdout.close()
    numbers = [event.data["n"] for event in run.events()]
    assert len(numbers) >= 500
    assert numbers == list(range(len(numbers)))


def test_a_torn_last_line_is_skipped(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path)
    log = EventLog(run, 0.0)
    log(Event("run", "run.step", "whole", at_s=1.0))
    log.close()
    with (run.path / "events.ndjson").open("a") as file:
        file.write('{"v": 1, "t": 2.0, "sour')
    assert [event.text for event in run.events()] == ["whole"]


def test_json_files_are_whole_or_absent(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path)
    assert run.read_json("verdict.json") is None
    run.write_json("verdict.json", {"verdict": "ok"})
    assert run.read_json("verdict.json") == {"verdict": "ok"}
    (run.path / "verdict.json").write_text('{"verdict":')
    assert run.read_json("verdict.json") is None


def test_usual_duration_is_the_median_of_good_runs_with_this_image(tmp_path: Path) -> None:
    def finished(at_s: float, key: str = "k", verdict: str = "ok", aim: str = "user-space") -> None:
        RunFolder.create(tmp_path).write_json(
            "verdict.json",
            {
                "verdict": verdict,
                "board": "e300",
                "image_key": key,
                "firmware": "bios",
                "aim": aim,
                "at_s": at_s + 10.0,
                "stages": [{"name": "user-space", "at_s": at_s}],
            },
        )

    def usual_s(aim: str = "user-space") -> float | None:
        return usual_duration_s(tmp_path, "e300", "user-space", "k", "bios", aim)

    assert usual_s() is None
    for at_s in (5.0, 7.0, 6.0):
        finished(at_s)
    finished(100.0, key="other")
    finished(100.0, verdict="image")
    assert usual_s() == 6.0
    # What ends later than its stage is compared with its like, by when all had come.
    assert usual_s("its tests have passed") is None
    finished(6.0, aim="its tests have passed")
    assert usual_s("its tests have passed") == 16.0


def test_the_last_test_is_that_of_the_last_run_whose_suite_came_to_its_end(tmp_path: Path) -> None:
    def ran(number: int, *, passed: bool, key: str = "k") -> None:
        suite = {"test": number, "passed": passed}
        RunFolder.create(tmp_path).write_json("verdict.json", {"image_key": key, "suite": suite})

    assert last_test_of(tmp_path, "k") is None
    ran(7, passed=False)
    assert last_test_of(tmp_path, "k") is None
    ran(123, passed=True)
    ran(9, passed=True, key="other")
    ran(8, passed=False)
    RunFolder.create(tmp_path).write_json("verdict.json", {"image_key": "k", "suite": None})
    assert last_test_of(tmp_path, "k") == 123


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "[]",
        '{"verdict": 5}',
        '{"verdict": "ok", "stages": 7}',
        '{"verdict": "ok", "stages": [1]}',
        '{"verdict": "ok", "at_s": "soon"}',
        '{"verdict": "ok", "board": []}',
        None,
    ],
)
def test_a_damaged_record_hinders_neither_lists_nor_boots(tmp_path: Path, text: str | None) -> None:
    run = RunFolder.create(tmp_path)
    if text is None:
        os.mkfifo(run.path / "verdict.json")
    else:
        (run.path / "verdict.json").write_text(text)
    assert run.read_json("verdict.json") is None
    assert usual_duration_s(tmp_path, "e300", "login", "key", "bios", "login") is None
    assert last_test_of(tmp_path, "key") is None


def test_events_of_wrong_kinds_are_passed_over(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path)
    deep, no_time = "[" * 100_000, '{"v": 1, "source": "x", "kind": "y", "text": "", "data": {}, "t": "soon"}'
    (run.path / "events.ndjson").write_text(f"{deep}\n{no_time}\n")
    assert list(run.events()) == []
    (run.path / "events.ndjson").unlink()
    os.mkfifo(run.path / "events.ndjson")
    assert list(run.events()) == [] and not run.goes_on


def test_of_many_runs_only_the_last_are_looked_at(tmp_path: Path) -> None:
    names = [f"2026-11-{day:02d}-0001" for day in (28, 3, 17, 9)]
    for name in (*names, "2026-11-29-0001.part", "notes"):
        (tmp_path / name).mkdir()
    (tmp_path / "2026-11-30-0001").write_text("a file")
    assert [run.run_id for run in list_runs(tmp_path)] == sorted(names)
    assert [run.run_id for run in list_runs(tmp_path, last=2)] == sorted(names)[-2:]
    assert list_runs(tmp_path / "nowhere", last=2) == []
