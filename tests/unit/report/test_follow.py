"""Following a job of several runs from any of them: to the verdict of its last."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bringup.base.events import Event
from bringup.boot.folders import EventLog, RunFolder
from bringup.report.follow import show_run, show_verdict

OK: dict[str, Any] = {
    "verdict": "ok",
    "exit_code": 0,
    "cause": "reached user-space",
    "until": "user-space",
    "stage": "user-space",
    "at_s": 5.0,
    "board": "e300",
}
WRITTEN = Event("disk", "disk.written", "6.3 MiB written", {})


def run(parent: Path, *events: Event, pid: int | None = None, **verdict: Any) -> RunFolder:
    folder = RunFolder.create(parent)
    log = EventLog(folder, 0.0)
    log(Event("run", "run.begin", "", {"board": "e300", "pid": pid or os.getpid()}))
    for event in (*events, Event("run", "run.verdict", "", {**OK, "run": folder.run_id, **verdict})):
        log(event)
    log.close()
    return folder


def test_a_re_image_is_followed_to_its_last_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write = run(tmp_path, WRITTEN)
    run(tmp_path, Event("disk", "disk.next", "slot B on trial", {"kept_then": True}))
    kept = run(tmp_path, Event("disk", "disk.next", "once more", {"kept_then": False}))
    assert show_run(write) == 0
    out, seen = capsys.readouterr()
    assert out.count("ok  e300") == 1
    assert kept.run_id in out
    assert [word in seen for word in ("6.3 MiB written", "slot B on trial", "once more")] == [True] * 3
    assert show_verdict(write) == 0
    assert json.loads(capsys.readouterr().out)["run"] == kept.run_id


def test_the_end_of_a_re_image_is_told_as_its_own_screen_told_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    last = run(tmp_path)
    told = {
        **OK,
        "run": last.run_id,
        "runs": [last.run_id],
        "disk": {"model": "QEMU HARDDISK", "name": "sda", "serial": "TWIN0"},
        "action": "install",
        "slot": "A",
        "image_id": "1c06b491",
        "before_id": None,
        "kept": True,
        "begun": True,
        "written": True,
        "bytes_sent": 1 << 20,
        "bytes_there": 0,
        "careful": None,
    }
    last.write_json("plan.json", {"work": "reimage: start"})
    last.write_json("reimage.json", told)
    assert show_run(last) == 0
    assert "good      1c06b491 in slot A starts from now on" in capsys.readouterr().out
    assert show_verdict(last) == 0
    assert json.loads(capsys.readouterr().out) == told


def test_a_start_that_was_not_seen_to_keep_the_image_is_followed_to_the_ramdisk_that_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    once_more = Event("disk", "disk.next", "once more", {"looked_then": True})
    unheard = run(
        tmp_path, once_more, verdict="lab", exit_code=10, cause="the board started slot A", missing=None
    )
    run(tmp_path, Event("disk", "disk.next", "the ramdisk does", {"kept_then": True}))
    last = run(tmp_path)
    assert show_verdict(unheard) == 0
    assert json.loads(capsys.readouterr().out)["run"] == last.run_id


def test_where_nothing_follows_it_that_start_is_the_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    once_more = Event("disk", "disk.next", "once more", {"looked_then": True})
    failed = {"verdict": "image", "exit_code": 11, "cause": "seL4 failed", "missing": None}
    unheard = run(tmp_path, once_more, pid=gone.pid, **failed)
    assert show_verdict(unheard) == 11
    assert json.loads(capsys.readouterr().out)["run"] == unheard.run_id


@pytest.mark.parametrize("work", ["slots", "slots --confirm", "rollback"])
def test_what_was_found_in_the_slots_is_what_following_ends_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], work: str
) -> None:
    last = run(tmp_path)
    told = {**OK, "run": last.run_id, "chosen": "A"}
    last.write_json("plan.json", {"work": work})
    last.write_json("slots.json", told)
    assert show_verdict(last) == 0
    assert json.loads(capsys.readouterr().out) == told


def test_one_that_failed_is_the_last(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write = run(tmp_path, WRITTEN, verdict="lab", exit_code=10, cause="the power went", missing=None)
    run(tmp_path)
    assert show_run(write) == 10
    assert write.run_id in capsys.readouterr().out
