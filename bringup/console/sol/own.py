"""Which SOL sessions are ours: a process that is killed leaves them active, and whoever comes next may know.

The file is locked by the process whose sessions it names. One that can be locked and names some is from a
process that ended without leaving its console.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from dataclasses import asdict
from pathlib import Path

from bringup.base.paths import is_at, open_lock
from bringup.lab.holder import Holder, holder_in

_MAX = 4096
_SESSIONS_MAX = 64
_TRIES = 3


class OwnSessions:
    """The sessions of one console. `path` None keeps nothing; nor does a file that cannot be written.

    `left_by` is the process that left `left` behind, as far as its file told.
    """

    def __init__(self, path: Path | None = None, who: Holder | None = None) -> None:
        self.left: frozenset[int] = frozenset()
        self.left_by: Holder | None = None
        self._who = who
        self._ids: list[int] = []
        self._path = path
        self._descriptor = None if path is None or who is None else _locked(path)
        if self._descriptor is not None:
            self.left, self.left_by = _read(self._descriptor)

    def __contains__(self, session: object) -> bool:
        """Whether this process made the session."""
        return session in self._ids

    def add(self, session: int) -> None:
        """Note a session before it asks for the console: the answer may be lost, or this process killed."""
        self._ids = [*self._ids[-_SESSIONS_MAX:], session]
        if self._who is not None:
            self._write({**asdict(self._who), "sessions": self._ids})

    def close(self) -> None:
        """Leave nothing behind."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None and self._path is not None:
            with contextlib.suppress(OSError):  # while it is locked: nobody else can have begun to use it
                self._path.unlink()
            os.close(descriptor)

    def _write(self, body: dict[str, object]) -> None:
        if self._descriptor is None:
            return
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, json.dumps(body).encode(), 0)


def _locked(path: Path) -> int | None:
    """Return the file, locked; None where a living process has it, or none can be had."""
    for _ in range(_TRIES):
        try:
            descriptor = open_lock(path)
        except OSError:
            return None
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if is_at(path, descriptor):
                return descriptor
            os.close(descriptor)  # who had it took it away in this moment
            continue
        os.close(descriptor)
        return None
    return None


def _read(descriptor: int) -> tuple[frozenset[int], Holder | None]:
    try:
        data = os.pread(descriptor, _MAX, 0)
        sessions = json.loads(data)["sessions"]
        return frozenset(each for each in sessions if isinstance(each, int)), holder_in(data)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return frozenset(), None
