"""Boards taken for a time, by real processes: raced for, killed, stopped, stolen."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bringup.base.errors import BmcBusyError
from bringup.boot.session import Session
from bringup.jobs.lease import release_lease, steal_lease, take_lease
from bringup.lab.held import leases_of
from bringup.lab.inventory import twin_board
from bringup.lab.who import AS_VARIABLE

pytestmark = pytest.mark.usefixtures("home")

BOARD = twin_board("e300")


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def name(who: str) -> None:
        monkeypatch.setenv(AS_VARIABLE, who)

    name("alice")
    return name


def wait_until(true: Callable[[], bool], seconds: float = 120.0) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_my_commands_come_through_and_others_are_refused(become: Callable[[str], None]) -> None:
    mine = take_lease(BOARD, "BIOS update", 3600)
    with Session(BOARD, "power on"):
        pass
    become("bob")
    with pytest.raises(BmcBusyError, match=r"held by alice \(BIOS update, until .*\d\d:\d\d\)"):
        Session(BOARD, "boot").__enter__()
    with pytest.raises(BmcBusyError, match="alice"):
        take_lease(BOARD, "me too", 60)
    with pytest.raises(BmcBusyError, match="alice"):
        release_lease(BOARD)
    become("alice")
    assert release_lease(BOARD) is not None and leases_of(BOARD) == []
    assert wait_until(lambda: gone(mine.pid))
    become("bob")
    with Session(BOARD, "boot"):
        pass


def test_a_killed_keepers_lease_is_free_at_once(become: Callable[[str], None]) -> None:
    mine = take_lease(BOARD, "x", 3600)
    os.kill(mine.pid, signal.SIGKILL)
    assert wait_until(lambda: gone(mine.pid))
    become("bob")
    theirs = take_lease(BOARD, "y", 60)
    assert [lease.holder for lease in leases_of(BOARD)] == [theirs]
    release_lease(BOARD)


def test_a_lease_ends_with_its_time_also_while_its_keeper_is_stopped(become: Callable[[str], None]) -> None:
    mine = take_lease(BOARD, "x", 2.0)
    os.kill(mine.pid, signal.SIGSTOP)
    try:
        assert wait_until(lambda: leases_of(BOARD) == [])
        become("bob")
        theirs = take_lease(BOARD, "y", 60)
    finally:
        os.kill(mine.pid, signal.SIGCONT)
    assert wait_until(lambda: gone(mine.pid))  # it finds another's and leaves
    assert [lease.holder for lease in leases_of(BOARD)] == [theirs]
    release_lease(BOARD)


def test_a_stopped_keeper_loses_the_board_after_a_few_beats(become: Callable[[str], None]) -> None:
    mine = take_lease(BOARD, "x", 3600, every_s=0.3)
    time.sleep(2.2)
    assert [lease.holder for lease in leases_of(BOARD)] == [mine]  # more beats than may be missed
    os.kill(mine.pid, signal.SIGSTOP)
    try:
        assert wait_until(lambda: leases_of(BOARD) == [])
        become("bob")
        theirs = take_lease(BOARD, "y", 60)
    finally:
        os.kill(mine.pid, signal.SIGCONT)
    assert wait_until(lambda: gone(mine.pid))
    assert [lease.holder for lease in leases_of(BOARD)] == [theirs]
    release_lease(BOARD)


def test_taken_again_it_begins_anew(become: Callable[[str], None]) -> None:
    first, second = take_lease(BOARD, "x", 60), take_lease(BOARD, "y", 3600)
    assert wait_until(lambda: gone(first.pid))
    assert [lease.holder for lease in leases_of(BOARD)] == [second]
    release_lease(BOARD)


def test_whose_command_works_on_a_board_keeps_it_until_it_ends(become: Callable[[str], None]) -> None:
    with Session(BOARD, "boot"):
        (at_work,) = leases_of(BOARD)
        assert at_work.holder is not None and at_work.holder.purpose == "boot"
        take_lease(BOARD, "mine anyway", 60)
        release_lease(BOARD)
        become("bob")
        with pytest.raises(BmcBusyError, match=r"alice \(process \d+, boot"):
            take_lease(BOARD, "x", 60)


def test_a_theft_is_told_to_the_run_that_goes_on(become: Callable[[str], None]) -> None:
    with Session(BOARD, "boot") as session:
        become("bob")
        mine, before = steal_lease(BOARD, "fan is on fire", 60)
        assert [each.who for each in before] == ["alice"]
        (told,) = session.notices()
        assert (told.who, told.purpose) == ("bob", "lease steal: fan is on fire")
        assert list(session.notices()) == []
    become("alice")
    with pytest.raises(BmcBusyError, match="bob"):
        Session(BOARD, "boot").__enter__()
    become("bob")
    assert release_lease(BOARD) == mine


def test_who_forces_past_a_lease_is_told_to_its_holder(become: Callable[[str], None]) -> None:
    take_lease(BOARD, "BIOS update", 60)
    become("bob")
    with Session(BOARD, "power off", force=True) as session:
        assert session.passed_over is not None and session.passed_over.who == "alice"
    become("alice")
    (lease,) = leases_of(BOARD)
    assert [(each.who, each.purpose) for each in lease.told] == [("bob", "power off")]
    release_lease(BOARD)


RACE = """
import json, os, sys, time
from bringup.base.errors import BmcBusyError
from bringup.jobs.lease import release_lease, take_lease
from bringup.lab.inventory import twin_board

board, count, rounds = twin_board("e300"), int(sys.argv[1]), int(sys.argv[2])
for _ in range(rounds):
    start, go = os.pipe()
    answers, tell = os.pipe()
    children = []
    for number in range(count):
        child = os.fork()
        if child == 0:
            os.close(go)
            os.environ["BRINGUP_AS"] = f"racer {number}"
            os.read(start, 1)  # all wait for its end
            try:
                take_lease(board, "race", 60)
                os.write(tell, json.dumps([number, "won"]).encode() + b"\\n")
            except BmcBusyError as error:
                os.write(tell, json.dumps([number, error.message]).encode() + b"\\n")
            os._exit(0)
        children.append(child)
    for end in (start, tell, go):
        os.close(end)
    with os.fdopen(answers, "rb") as lines:
        said = [json.loads(line) for line in lines]
    for child in children:
        os.waitpid(child, 0)
    winner = next(number for number, text in said if text == "won")
    os.environ["BRINGUP_AS"] = f"racer {winner}"
    release_lease(board)
    print(json.dumps(said), flush=True)
"""


@pytest.mark.slow
def test_of_32_processes_that_race_for_a_board_one_wins_each_time() -> None:
    words = [sys.executable, "-c", RACE, "32", "10"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    rounds = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rounds) == 10
    for said in rounds:
        winners = [number for number, text in said if text == "won"]
        assert len(said) == 32 and len(winners) == 1, said
        refused = {text for _, text in said if text != "won"}
        assert len(refused) == 1 and f"is held by racer {winners[0]} (race, until " in refused.pop()
