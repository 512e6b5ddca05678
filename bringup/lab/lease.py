"""Who works on a board: a locked file, so that a lease ends with the process that took it, however it ends.

The file's first line says who holds it. Whoever acts on the board in spite of that (`--force`) appends a
line, and the holder reads it: nobody acts behind another's back. A person may have taken the board for longer
(`bringup.lab.reservation`): then theirs are the only commands that come through.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from bringup.base import locks
from bringup.base.errors import BmcBusyError, LabError
from bringup.base.paths import home_runtime_dir, open_lock, runtime_dir
from bringup.base.regular_file import open_regular
from bringup.lab.holder import RECORD_MAX, Holder, holder_in, is_stopped, myself
from bringup.lab.reservation import ReservationFile, opened

if TYPE_CHECKING:
    from bringup.lab.inventory import Board

HOST_LOCKS = Path("/run/lock")
"""World-writable with the sticky bit (FHS 5.9): whoever comes first makes the file, everybody may lock it."""

_NOTICES_MAX = 64
_UNTOLD_TRIES, _UNTOLD_PAUSE_S = 20, 0.05


class Lease:
    """Holds one board while open; entering raises BmcBusyError naming the holder when somebody else does.

    With `force` entering goes on without the lease, and tells the holder so; None: nobody may do that.
    """

    def __init__(
        self,
        board: str,
        purpose: str,
        *,
        known_as: str | None = None,
        force: bool | None = None,
        host_locks: Path = HOST_LOCKS,
    ) -> None:
        self._board = board
        self._known_as, self._host_locks = known_as, host_locks
        self._purpose = purpose
        self._force = force
        self._path = lease_file(board, known_as, host_locks)
        self._shared = self._path.parent == host_locks
        self._descriptor: int | None = None
        self._read_to = 0
        self.passed_over: Holder | None = None
        """Who held the board when `force` passed over it."""

    def __enter__(self) -> Lease:
        descriptor = self._open()
        try:
            has_it = self._come_in(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        if not has_it:
            os.close(descriptor)
            return self
        self._descriptor = descriptor
        with contextlib.suppress(PermissionError):  # made by another user, and open to us already
            os.fchmod(descriptor, 0o666 if self._shared else 0o600)
        record = myself(self._purpose).to_line()
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, record, 0)
        except OSError as error:
            self._descriptor = None
            os.close(descriptor)
            raise LabError(
                f"cannot write the lease of {self._board}, {self._path}: {error.strerror}",
                hint="is its disk full? `df -h` tells",
            ) from None
        self._read_to = len(record)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def notices(self) -> Iterator[Holder]:
        """Yield who acted on the board in spite of this lease since the last call; a torn line waits."""
        if self._descriptor is None:
            return
        data = os.pread(self._descriptor, RECORD_MAX * _NOTICES_MAX, self._read_to)
        whole, newline, _ = data.rpartition(b"\n")
        self._read_to += len(whole) + len(newline)
        for line in whole.splitlines():
            holder = holder_in(line)
            if holder is not None:
                yield holder

    def _open(self) -> int:
        try:
            return open_lock(self._path, 0o666)
        except OSError as error:
            raise LabError(
                f"cannot open the lease of {self._board}, {self._path}: {error.strerror}",
                hint="another user made it unreadable, or it is a link: remove it",
            ) from None

    def _come_in(self, descriptor: int) -> bool:
        """Lock the lease, or return False where `force` goes on without it; raises BmcBusyError otherwise.

        Looking for another's reservation and locking are one act: somebody else may be taking the board now.
        """
        with reservation(self._board, self._known_as, self._host_locks) as file, file.guarded():
            current = file.current()
            reserved = None if current is None or current.holder.is_me else current.holder
            if reserved is not None:
                self._pass_over(reserved)
                file.tell(myself(self._purpose))
            if locks.take(descriptor):
                return True
        holder = self._holder()
        self._pass_over(holder)
        leave_word(descriptor, myself(self._purpose))
        return False

    def _pass_over(self, holder: Holder | None) -> None:
        """Go on in spite of a holder where `force` says so; raises BmcBusyError naming them otherwise."""
        if not self._force:
            raise held(self._board, holder, past=self._force is not None)
        self.passed_over = holder

    def _holder(self) -> Holder | None:
        """Return who holds the board; whoever took it in this moment gets a moment to say so."""
        for _ in range(_UNTOLD_TRIES):
            holder = read_holder(self._path)
            if holder is not None:
                return holder
            time.sleep(_UNTOLD_PAUSE_S)
        return None


def leave_word(descriptor: int, holder: Holder) -> None:
    """Tell whoever has the lease that is open here that somebody acts on the board all the same."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_APPEND)
    os.write(descriptor, holder.to_line())


def held(board: str, holder: Holder | None, *, past: bool = False) -> BmcBusyError:
    """Return the refusal for a board that somebody else has; `past`: the command can be forced."""
    force = "; --force goes on all the same, and they are told" if past else ""
    if holder is not None and holder.until is not None:
        hint = f"ask {holder.who}, or take it, and they are told: bringup lease steal {board}"
    elif holder is not None and is_stopped(holder.pid):
        pid = holder.pid
        hint = f"their process is stopped: `kill -CONT {pid}` lets it go on, `kill -KILL {pid}` ends it"
    else:
        hint = "wait for it to end; a lease ends with its process"
    return BmcBusyError(f"the board {board} is held by {holder or 'another process'}", hint=hint + force)


def known_as(board: Board) -> str | None:
    """Return what stands for a board among all users of this host, whatever they call it; None for a twin.

    That is its BMC, or the serial line of one that has none.
    """
    if board.bmc is not None:
        return f"{board.bmc.address}:{board.bmc.port}"
    if board.twin or board.serial == "sol":
        return None
    return os.path.realpath(board.serial) if board.serial.startswith("/") else board.serial


def lease_file(board: str, known_as: str | None, host_locks: Path = HOST_LOCKS) -> Path:
    """Return the file whose lock is the lease of `board`.

    What is `known_as` something of this host (its BMC, its serial line) is the same board for every user,
    whatever they call it; a twin, known as nothing, belongs to one home.
    """
    if known_as is None:
        return home_runtime_dir() / f"lease-{board}.json"
    if not os.access(host_locks, os.W_OK):
        return runtime_dir() / f"lease-{board}.json"
    digest = hashlib.sha256(known_as.encode()).hexdigest()[:16]
    return host_locks / f"bringup-{digest}.json"


def reservation(
    board: str, known_as: str | None, host_locks: Path = HOST_LOCKS
) -> AbstractContextManager[ReservationFile]:
    """Open the file of who has taken `board` for a time; raises LabError where it cannot be one."""
    path = reservation_file(board, known_as, host_locks)
    return opened(board, path, shared=path.parent == host_locks)


def reservation_file(board: str, known_as: str | None, host_locks: Path = HOST_LOCKS) -> Path:
    """Return the file of who has taken `board` for a time."""
    return lease_file(board, known_as, host_locks).with_suffix(".taken")


def worker(board: str, known_as: str | None, host_locks: Path = HOST_LOCKS) -> Holder | None:
    """Return whose command works on a board now, if one does; raises LabError for what is no lease."""
    path = lease_file(board, known_as, host_locks)
    try:
        with open_regular(path) as file:
            return holder_in(file.readline(RECORD_MAX)) if locks.is_taken(file.fileno()) else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise LabError(f"the lease of {board}, {path}, cannot be read", hint=f"rm {path}") from None


def read_holder(path: Path) -> Holder | None:
    """Return who wrote the lease file, None when nobody did or it cannot be read."""
    try:
        with open_regular(path) as file:
            return holder_in(file.readline(RECORD_MAX))
    except (OSError, ValueError):
        return None
