"""Who holds a board: a locked file, so that a lease ends with the process that took it, however it ends.

The file's first line says who holds it. Whoever acts on the board in spite of that (`--force`) appends a
line, and the holder reads it: nobody acts behind another's back.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import math
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from bringup.base.errors import BmcBusyError, LabError
from bringup.base.paths import home_runtime_dir, open_lock, runtime_dir
from bringup.lab.who import person

if TYPE_CHECKING:
    from bringup.lab.inventory import Board

HOST_LOCKS = Path("/run/lock")
"""World-writable with the sticky bit (FHS 5.9): whoever comes first makes the file, everybody may lock it."""

_RECORD_MAX = 1024
_WORD_MAX = 40
_NOTICES_MAX = 64
_UNTOLD_TRIES, _UNTOLD_PAUSE_S = 20, 0.05


@dataclass(frozen=True, slots=True)
class Holder:
    """Who acts on a board and why; `since` is seconds since the epoch."""

    who: str
    pid: int
    purpose: str
    since: float

    def __str__(self) -> str:
        seconds = max(0.0, time.time() - self.since)
        held = f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"
        return f"{self.who} (process {self.pid}, {self.purpose}, for {held})"


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
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            try:
                self._pass_over(descriptor)
            finally:
                os.close(descriptor)
            return self
        self._descriptor = descriptor
        with contextlib.suppress(PermissionError):  # made by another user, and open to us already
            os.fchmod(descriptor, 0o666 if self._shared else 0o600)
        record = self._record()
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
        data = os.pread(self._descriptor, _RECORD_MAX * _NOTICES_MAX, self._read_to)
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

    def _pass_over(self, descriptor: int) -> None:
        holder = self._holder()
        if not self._force:
            raise BmcBusyError(
                f"the board {self._board} is held by {holder or 'another process'}",
                hint=f"wait for it to end; a lease ends with its process{self._way_past}",
            ) from None
        self.passed_over = holder
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_APPEND)
        os.write(descriptor, self._record())

    @property
    def _way_past(self) -> str:
        return "" if self._force is None else "; --force goes on all the same, and they are told"

    def _holder(self) -> Holder | None:
        """Return who holds the board; whoever took it in this moment gets a moment to say so."""
        for _ in range(_UNTOLD_TRIES):
            holder = read_holder(self._path)
            if holder is not None:
                return holder
            time.sleep(_UNTOLD_PAUSE_S)
        return None

    def _record(self) -> bytes:
        return json.dumps(asdict(myself(self._purpose))).encode()[: _RECORD_MAX - 1] + b"\n"


def myself(purpose: str) -> Holder:
    """Return this process as others are told of it."""
    return Holder(_word(person()), os.getpid(), purpose, time.time())


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


def read_holder(path: Path) -> Holder | None:
    """Return who wrote the lease file, None when nobody did or it cannot be read."""
    try:
        with path.open("rb") as file:
            return holder_in(file.readline(_RECORD_MAX))
    except OSError:
        return None


def holder_in(line: bytes) -> Holder | None:
    """Return who wrote a line; anybody can write one, so that nothing of it is taken on trust."""
    try:
        body = json.loads(line)
        who, pid, purpose, since = (body[key] for key in ("who", "pid", "purpose", "since"))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not (isinstance(who, str) and isinstance(pid, int) and isinstance(purpose, str)):
        return None
    if not isinstance(since, int | float) or not math.isfinite(since):
        return None
    return Holder(_word(who), pid, _word(purpose), float(since))


def _word(text: str) -> str:
    """Return a name or a purpose as one short run of printable characters."""
    return "".join(char if char.isprintable() else "?" for char in text)[:_WORD_MAX] or "?"
