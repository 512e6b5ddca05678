"""Many boards: turns, failures that stop nobody, the record, and what is repeated."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from bringup.base.errors import ImageError, InterruptedRunError, LabError, UsageError
from bringup.base.events import Emit, Event
from bringup.boot.folders import RunFolder, find_boot, list_runs
from bringup.boot.signals import Signals
from bringup.boot.stop import Stop
from bringup.jobs.batch import Batch, Outcome, Turns, last_failed, of_verdict, run_batch, worst
from bringup.lab.inventory import Board, Lab, twin_board
from bringup.report.batch import batch_lines, told
from bringup.report.run import run_report
from bringup.report.runs import run_json, run_row


class Seen:
    """Notes what a batch tells."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.done: list[Outcome] = []

    def began(self, board: str) -> None:
        self.begun.append(board)

    def heard(self, board: str, event: Event) -> None:
        self.texts.append((board, event.text))

    def ended(self, outcome: Outcome) -> None:
        self.done.append(outcome)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    boards = {name: twin_board(name) for name in ("a", "b", "c", "d")}
    return replace(Lab(boards), runs_folder=tmp_path / "runs")


def boards(lab: Lab) -> list[Board]:
    return list(lab.boards.values())


def work(board: Board, hear: Emit, _stop: Stop) -> Outcome:
    hear(Event("run", "run.step", f"{board.name} works"))
    if board.name == "b":
        raise LabError("no answer from its BMC", hint="is it plugged in?")
    if board.name == "c":
        raise ZeroDivisionError("oops")
    if board.name == "d":
        return Outcome("d", "image", 11, "kernel", "the kernel stopped")
    return Outcome("a", "ok", 0, "user-space")


def test_one_failure_stops_nobody_and_the_worst_is_the_exit_code(lab: Lab) -> None:
    seen = Seen()
    batch = run_batch(lab, "boot", boards(lab), work, seen, pause_s=0)
    assert [(o.board, o.verdict, o.exit_code) for o in batch.outcomes] == [
        ("a", "ok", 0),
        ("b", "lab", 10),
        ("c", "tool", 1),
        ("d", "image", 11),
    ]
    assert batch.exit_code == 1
    assert sorted(seen.begun) == ["a", "b", "c", "d"]
    assert sorted(seen.texts) == [(name, f"{name} works") for name in "abcd"]
    assert {outcome.board for outcome in seen.done} == set("abcd")


def test_the_record_is_a_run_and_tells_it_all_again(lab: Lab) -> None:
    batch = run_batch(lab, "boot", boards(lab), work, Seen(), pause_s=0)
    assert lab.runs_folder is not None
    (run,) = list_runs(lab.runs_folder)
    row = run_row(run)
    assert (row["board"], row["verdict"], row["cause"]) == ("4 boards", "failed", "boot: 1 ok, 3 failed")
    report = run_report(run)
    assert report.splitlines()[-2].startswith("boot: 1 ok, 3 failed in ")
    assert "no answer from its BMC" in report and "is it plugged in?" in report
    assert run_json(run, with_events=False)["batch"] == batch.to_dict()
    assert Batch.from_dict(batch.to_dict()).outcomes == batch.outcomes


def test_who_was_interrupted_did_not_fail(lab: Lab) -> None:
    def told_to_stop(board: Board, hear: Emit, stop: Stop) -> Outcome:
        if board.name in "bc":
            raise InterruptedRunError(f"interrupted; {board.name} is off")
        return work(board, hear, stop)

    batch = run_batch(lab, "boot", boards(lab), told_to_stop, Seen(), pause_s=0)
    assert batch.failed == ("d",) and batch.counts == {"ok": 1, "failed": 1, "interrupted": 2}
    assert (batch.to_dict()["failed"], batch.to_dict()["interrupted"], batch.exit_code) == (1, 2, 130)
    assert any(line.startswith("boot: 1 ok, 1 failed, 2 interrupted in ") for line in batch_lines(batch))
    assert last_failed(lab, "boot") == ("b", "c", "d")  # what did not end well is what is repeated


def test_what_cannot_be_recorded_is_told_all_the_same(lab: Lab) -> None:
    runs = lab.runs_folder
    assert runs is not None

    def fills_the_disk(board: Board, hear: Emit, stop: Stop) -> Outcome:
        (run,) = list_runs(runs)
        (run.path / "verdict.json").mkdir(exist_ok=True)
        return work(board, hear, stop)

    batch = run_batch(lab, "boot", boards(lab), fills_the_disk, Seen(), pause_s=0)
    assert (batch.failed, batch.exit_code) == (("b", "c", "d"), 1)
    assert "cannot write into the run folder" in str(batch.to_dict()["unrecorded"])
    assert any(line.startswith("careful   the record of this batch") for line in batch_lines(batch))


def test_a_summary_fits_the_screen_and_tells_a_cause_once(lab: Lab) -> None:
    cause = "no answer from its BMC within 60 s, however often it was asked for the state of its power supply"

    def silent(board: Board, hear: Emit, stop: Stop) -> Outcome:
        raise LabError(cause, hint="check the BMC's power, its LAN cable, and `address` in the lab file " * 2)

    lines = batch_lines(run_batch(lab, "boot", boards(lab), silent, Seen(), pause_s=0), 80)
    assert max(len(line) for text in lines for line in text.splitlines()) <= 80
    assert " ".join("\n".join(lines).split()).count(f"a, b, c, d: {cause}") == 1


def test_the_failed_ones_of_the_last_batch_of_that_command(lab: Lab) -> None:
    with pytest.raises(UsageError, match="no batch of boot yet"):
        last_failed(lab, "boot")
    run_batch(lab, "boot", boards(lab), work, Seen(), pause_s=0)
    run_batch(lab, "power on", boards(lab)[:2], work, Seen(), pause_s=0)
    assert last_failed(lab, "boot") == ("b", "c", "d")
    assert last_failed(lab, "power on") == ("b",)


def test_a_batch_that_is_killed_can_be_repeated(lab: Lab) -> None:
    """What a kill leaves is what its folder holds in the middle of it."""
    assert lab.runs_folder is not None
    left: list[tuple[str, ...]] = []

    def killed(board: Board, hear: Emit, stop: Stop) -> Outcome:
        if board.name == "c":
            (run,) = list_runs(runs)
            left.append(last_failed(lab, "boot"))
            left.append((str(run_row(run)["board"]), str(run_row(run)["verdict"])))
            assert "not ended" in run_report(run)
        return Outcome(board.name, "ok", 0)

    runs = lab.runs_folder
    assert run_batch(lab, "boot", boards(lab), killed, Seen(), at_once=1, pause_s=0).exit_code == 0
    assert left == [("c", "d"), ("4 boards", "unfinished")]


def test_a_batch_is_no_boot(lab: Lab) -> None:
    assert lab.runs_folder is not None
    boot = RunFolder.create(lab.runs_folder)
    batch = run_batch(lab, "boot", boards(lab)[:1], work, Seen(), pause_s=0)
    assert find_boot(lab.runs_folder, None) == boot == find_boot(lab.runs_folder, boot.run_id)
    with pytest.raises(UsageError, match="is a batch"):
        find_boot(lab.runs_folder, batch.run)
    assert run_row(list_runs(lab.runs_folder)[-1])["board"] == "1 board"


def test_no_more_at_a_time_than_was_said(lab: Lab) -> None:
    lock, now, most = threading.Lock(), 0, 0
    gate = threading.Barrier(2)

    def busy(board: Board, _hear: Emit, _stop: Stop) -> Outcome:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        gate.wait(120)  # two at a time are needed, and suffice
        with lock:
            now -= 1
        return Outcome(board.name, "ok", 0)

    assert run_batch(lab, "boot", boards(lab), busy, Seen(), at_once=2, pause_s=0).exit_code == 0
    assert most == 2


def test_starts_lie_apart() -> None:
    clock = [100.0]
    turns = Turns(5.0, Stop(), now=lambda: clock[0], sleep=lambda s: clock.__setitem__(0, clock[0] + s))
    begun = []
    for _ in range(3):
        turns.wait()
        begun.append(round(clock[0], 1))
    assert begun == [100.0, 105.0, 110.0]


def test_an_interrupt_reaches_every_board_and_each_says_how_it_was_left(lab: Lab) -> None:
    working = threading.Barrier(3, action=lambda: os.kill(os.getpid(), signal.SIGINT))

    def long(board: Board, _hear: Emit, stop: Stop) -> Outcome:
        working.wait(120)
        while not stop.told:
            threading.Event().wait(0.01)
        return Outcome(board.name, "interrupted", 130, cause=f"{board.name} is off")

    with Signals():
        batch = run_batch(lab, "boot", boards(lab), long, Seen(), at_once=3, pause_s=0)
    assert batch.exit_code == 130
    assert [o.cause for o in batch.outcomes[:3]] == ["a is off", "b is off", "c is off"]
    assert batch.outcomes[3].cause == "interrupted before its turn; it was not touched"


@pytest.mark.parametrize(
    ("codes", "code"), [([0, 0], 0), ([0, 3], 3), ([3, 11], 11), ([11, 10], 10), ([10, 130], 130), ([], 0)]
)
def test_the_worst(codes: list[int], code: int) -> None:
    assert worst(codes) == code


def test_a_verdict_is_an_outcome() -> None:
    error = ImageError("the kernel stopped")
    told = {
        "board": "a", "verdict": "image", "exit_code": error.exit_code, "stage": "kernel",
        "run": "2026-11-23-0007", "cause": error.message, "causes": [{"why": "w", "fix": "build it again"}],
    }  # fmt: skip
    outcome = of_verdict(told)
    assert (outcome.reached, outcome.cause, outcome.hint, outcome.run) == (
        "kernel",
        "the kernel stopped",
        "build it again",
        "2026-11-23-0007",
    )


def test_an_interrupted_board_says_so_once() -> None:
    stopped = Outcome("shelf-01", "interrupted", 130, cause="interrupted; shelf-01 is on")
    assert told(stopped) == "interrupted; shelf-01 is on"
    assert told(Outcome("shelf-02", "lab", 10, cause="no DHCP request")) == "lab: no DHCP request"
