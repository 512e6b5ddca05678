"""Who holds a board: a locked file, so that a lease ends with the process that took it, however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from bringup.base.errors import BmcBusyError, LabError
from bringup.base.paths import open_lock, runtime_dir

# World-writable with the sticky bit (FHS 5.9): whoever comes first makes the file, everybody may lock it.
_HOST_LOCKS = Path("/run/lock")


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has the board and why; `since` is seconds since the epoch."""

    who: str
    pid: int
    purpose: str
    since: float

    def __str__(self) -> str:
        minutes = max(0.0, time.time() - self.since) / 60
        return f"{self.who} (process {self.pid}, {self.purpose}, for {minutes:.0f} min)"


class Lease:
    """Holds one board while open; entering raises BmcBusyError naming the holder when somebody else does."""

    def __init__(self, board: str, purpose: str, *, bmc: str | None = None) -> None:
        self._board = board
        self._purpose = purpose
        self._path = lease_file(board, bmc)
        self._descriptor: int | None = None

    def __enter__(self) -> Lease:
        descriptor = self._open()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            holder = read_holder(self._path)
            raise BmcBusyError(
                f"the board {self._board} is held by {holder or 'another process'}",
                hint="wait for it to end; a lease ends with its process",
            ) from None
        self._descriptor = descriptor
        with contextlib.suppress(PermissionError):  # made by another user, and open to us already
            os.fchmod(descriptor, 0o666 if self._path.parent == _HOST_LOCKS else 0o600)
        body = {"who": _user(), "pid": os.getpid(), "purpose": self._purpose, "since": time.time()}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(body).encode(), 0)
        return self

    def _open(self) -> int:
        try:
            return open_lock(self._path, 0o666)
        except OSError as error:
            raise LabError(
                f"cannot open the lease of {self._board}, {self._path}: {error.strerror}",
                hint="another user made it unreadable, or it is a link: remove it",
            ) from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def lease_file(board: str, bmc: str | None) -> Path:
    """Return the file whose lock is the lease of `board`.

    A board with a BMC is the same board for every user of this host, whatever they call it; a twin is its
    user's own.
    """
    if bmc is None or not os.access(_HOST_LOCKS, os.W_OK):
        return runtime_dir() / f"lease-{board}.json"
    digest = hashlib.sha256(bmc.encode()).hexdigest()[:16]
    return _HOST_LOCKS / f"bringup-{digest}.json"


def read_holder(path: Path) -> Holder | None:
    """Return who wrote the lease file, None when nobody did or it cannot be read."""
    try:
        return Holder(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
