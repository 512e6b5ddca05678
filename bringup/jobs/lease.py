"""Boards that a person takes for a time: taken, listed, released, stolen."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import replace

from bringup.base import locks
from bringup.base.errors import LabError
from bringup.base.paths import open_lock
from bringup.base.privilege import clean_environment
from bringup.lab.held import reserved
from bringup.lab.holder import Holder, myself
from bringup.lab.inventory import Board
from bringup.lab.lease import held, known_as, lease_file, leave_word, reservation, worker
from bringup.lab.reservation import BEAT_S, Reservation, ReservationFile

_START_S = 15.0


def take_lease(board: Board, purpose: str, seconds: float, *, every_s: float = BEAT_S) -> Holder:
    """Take a board for `seconds`, or take it anew for that long; return who has it now.

    Raises BmcBusyError naming the holder where somebody else has it or works on it.
    """
    with _file(board) as file, file.guarded():
        for other in (reserved(file), worker(board.name, known_as(board))):
            if other is not None and not other.is_me:
                raise held(board.name, other)
        return _keep(board, file, purpose, seconds, every_s)


def steal_lease(board: Board, purpose: str, seconds: float) -> tuple[Holder, tuple[Holder, ...]]:
    """Take a board whoever has it; return who has it now, and who had it.

    A command of theirs that is at work goes on, and their run records that the board was taken.
    """
    with _file(board) as file, file.guarded():
        at_work = worker(board.name, known_as(board))
        before = [each for each in (reserved(file), at_work) if each is not None and not each.is_me]
        mine = _keep(board, file, purpose, seconds, BEAT_S)
    if at_work in before:
        _leave_word(board, replace(mine, purpose=f"lease steal: {mine.purpose}"))
    return mine, tuple(before)


def release_lease(board: Board) -> Holder | None:
    """End this person's lease of a board; return it, None where there was none.

    Raises BmcBusyError where the lease is another's.
    """
    with _file(board) as file, file.guarded():
        mine = reserved(file)
        if mine is not None and not mine.is_me:
            raise held(board.name, mine)
        file.clear()
    return mine


def _file(board: Board) -> AbstractContextManager[ReservationFile]:
    return reservation(board.name, known_as(board))


def _keep(board: Board, file: ReservationFile, purpose: str, seconds: float, every_s: float) -> Holder:
    """Start the process that keeps a new lease, and write it; only for who has the file alone."""
    mark = file.mark()
    words = [str(file.descriptor), str(mark), str(every_s)]
    keeper = subprocess.Popen(
        [sys.executable, "-P", "-m", "bringup.lab.keeper", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=(file.descriptor,),
        env=clean_environment(),
    )
    holder = replace(myself(purpose), pid=keeper.pid, until=time.time() + seconds)
    try:
        file.write(Reservation(holder, mark, time.monotonic(), every_s))
        _wait_for(keeper)
    except OSError as error:
        keeper.kill()
        keeper.wait()
        raise LabError(
            f"cannot write the lease of {board.name}: {error.strerror}",
            hint="is its disk full? `df -h` tells",
        ) from None
    return holder


def _wait_for(keeper: subprocess.Popen[bytes]) -> None:
    """Wait until the keeper is at work; raises LabError, and then there is none."""
    assert keeper.stdout is not None  # noqa: S101
    ready, _, _ = select.select([keeper.stdout], [], [], _START_S)
    started = ready and keeper.stdout.read(1)
    keeper.stdout.close()
    if not started:
        keeper.kill()
        keeper.wait()
        raise LabError("the process that keeps the lease did not start", hint="try again: this host is busy")
    keeper.returncode = 0  # it goes on without us, and is not waited for


def _leave_word(board: Board, holder: Holder) -> None:
    """Tell the command that works on a board; where it ended meanwhile, nobody has to know."""
    try:
        descriptor = open_lock(lease_file(board.name, known_as(board)), 0o666)
    except OSError:
        return
    try:
        if locks.is_taken(descriptor):
            leave_word(descriptor, holder)
    finally:
        os.close(descriptor)
