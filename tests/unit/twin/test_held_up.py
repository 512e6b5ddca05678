"""How long the children of a process waited for a processor, as Linux tells it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bringup.twin.held_up import HeldUp

# Four that compute on one processor, children of a child: each has it for a quarter of the time.
CROWD = """
import os, sys
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
for _ in range(4):
    if not os.fork():
        while True: pass
print("up", flush=True)
sys.stdin.read()
os.killpg(0, 9)
"""
STARTER = "import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', sys.argv[1]]).returncode)"


@contextmanager
def crowd() -> Iterator[int]:
    """Let them compute; gives the process whose grandchildren they are."""
    command = [sys.executable, "-c", STARTER, CROWD]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        try:
            yield process.pid
        finally:
            os.killpg(process.pid, 9)


class Hand:
    """A clock that is set by hand."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_who_shares_a_processor_waits_most_of_the_time() -> None:
    hand = Hand()
    with crowd() as pid:
        held_up = HeldUp(pid, now=hand)
        assert held_up.seconds() == 0.0  # what was before nobody asks for
        waited_s, until_s = 0.0, time.monotonic() + 60
        while waited_s < 0.5 and time.monotonic() < until_s:
            time.sleep(0.1)
            hand.now_s += 2
            waited_s += held_up.seconds()
        assert waited_s >= 0.5
        assert held_up.seconds() == 0.0  # not so soon again


def test_who_has_ended_waits_no_more() -> None:
    hand = Hand()
    with crowd() as pid:
        held_up = HeldUp(pid, now=hand)
        held_up.seconds()
    hand.now_s = 10.0
    assert held_up.seconds() == 0.0


def test_a_process_without_children_waits_for_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as alone:
        hand = Hand()
        held_up = HeldUp(alone.pid, now=hand)
        held_up.seconds()
        hand.now_s = 10.0
        assert held_up.seconds() == 0.0
