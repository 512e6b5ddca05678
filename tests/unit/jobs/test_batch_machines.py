"""Boards that this host emulates whole wait for a processor; the others do not wait for them."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from bringup.base.errors import InterruptedRunError
from bringup.base.events import Emit
from bringup.boot.stop import Stop
from bringup.jobs.batch import Outcome, run_batch
from bringup.jobs.batch_machines import Machines, emulated, processors
from bringup.lab.inventory import Board, Lab, twin_board
from tests.unit.jobs.test_batch import Seen


def test_a_twin_that_is_not_up_is_a_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRINGUP_HOME", str(tmp_path))
    boards = [twin_board("one"), replace(twin_board("real"), twin=False)]
    assert emulated(boards) == {"one"}


def test_no_more_at_a_time_than_there_is_room_for() -> None:
    machines, lock = Machines("abcdef", 2, Stop()), threading.Lock()
    gate = threading.Barrier(2)
    working, most = 0, 0

    def work(name: str) -> None:
        nonlocal working, most
        with machines.turn(name):
            with lock:
                working += 1
                most = max(most, working)
            gate.wait(120)  # two at a time are needed, and suffice
            with lock:
                working -= 1

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcdef"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 2


def test_who_waits_for_a_processor_is_told_to_stop_and_untouched() -> None:
    stop = Stop()
    machines = Machines("ab", 1, stop)
    with machines.turn("a"), machines.turn("scripted"):
        stop.tell()
        with pytest.raises(InterruptedRunError, match="it was not touched"), machines.turn("b"):
            pytest.fail("it began")
    with machines.turn("b"):
        pass  # a place that was given back is free


def test_a_batch_has_as_many_machines_at_work_as_processors(tmp_path: Path) -> None:
    boards = [twin_board(f"board-{number}") for number in range(processors() * 2 + 4)]
    machines = {board.name for board in boards[: processors() * 2]}
    lock, at_work, most = threading.Lock(), set[str](), 0
    gate = threading.Barrier(processors())

    def work(board: Board, _hear: Emit, _stop: Stop) -> Outcome:
        nonlocal most
        with lock:
            at_work.add(board.name)
            most = max(most, len(at_work & machines))
        if board.name in machines:
            gate.wait(120)
        with lock:
            at_work.discard(board.name)
        return Outcome(board.name, "ok", 0)

    lab = replace(Lab({board.name: board for board in boards}), runs_folder=tmp_path / "runs")
    batch = run_batch(lab, "boot", boards, work, Seen(), at_once=len(boards), pause_s=0, machines=machines)
    assert (batch.exit_code, len(batch.outcomes)) == (0, len(boards))
    assert most == processors()
