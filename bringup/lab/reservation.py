"""Leases that a person takes for a time: one record in a file, kept alive by a process of its own.

    {"who", "pid", "purpose", "since", "until", "mark", "beat", "every"}, padded to one block; then notices

The keeper (`bringup.lab.keeper`) holds a lock on the byte that `mark` names and writes a new `beat` every so
many seconds. A lease holds while all three say so: its time has not run out, its keeper lives (the lock), and
that shows signs of life (the beat). So one that was killed is free at once, one that was stopped after a few
beats, and neither takes it back: what it finds then is another's record.

Whoever reads and then writes has the file's guard meanwhile; of any number who want a board one gets it.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bringup.base import locks
from bringup.base.errors import BmcBusyError, LabError
from bringup.base.paths import open_lock
from bringup.lab.holder import Holder, holder_in, is_moment, read_record

BEAT_S = 5.0
_BEATS_MISSED = 6
_BLOCK = 1024
_NOTICES_MAX = 16 << 10
_GUARD_S = 3.0
# Bytes far behind any content stand for what is locked (fcntl(2): a file need not reach so far).
_GUARD_BYTE = 1 << 60
_MARKS = range(1 << 61, 1 << 62)


@dataclass(frozen=True, slots=True)
class Reservation:
    """A record; `beat` is CLOCK_MONOTONIC seconds, `every` the seconds between two."""

    holder: Holder
    mark: int
    beat: float
    every: float

    def to_block(self) -> bytes:
        """Return the record as it is written."""
        more = {"mark": self.mark, "beat": round(self.beat, 3), "every": self.every}
        text = json.dumps({**asdict(self.holder), **more}, ensure_ascii=False)
        return text.encode().ljust(_BLOCK - 1) + b"\n"


def reservation_in(block: bytes) -> Reservation | None:
    """Return the record in a file's first block, None for anything else (pure)."""
    try:
        body = json.loads(block[:_BLOCK])
    except (ValueError, RecursionError):
        return None
    holder = read_record(body)
    if holder is None or holder.until is None:
        return None
    mark, beat, every = body.get("mark"), body.get("beat"), body.get("every")
    if not (isinstance(mark, int) and mark in _MARKS and is_moment(beat) and is_moment(every)):
        return None
    return Reservation(holder, mark, float(beat), float(every))


class ReservationFile:
    """The file of one board's reservation, open."""

    def __init__(
        self,
        descriptor: int,
        *,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.descriptor = descriptor
        self._now = now
        self._monotonic = monotonic

    def current(self) -> Reservation | None:
        """Return the reservation that holds now."""
        found = reservation_in(os.pread(self.descriptor, _BLOCK, 0))
        return found if found is not None and self._holds(found) else None

    def _holds(self, found: Reservation) -> bool:
        assert found.holder.until is not None, "a reservation has an end"  # noqa: S101
        silent_s = self._monotonic() - found.beat
        return (
            self._now() < found.holder.until
            and -found.every <= silent_s <= found.every * _BEATS_MISSED
            and locks.is_taken(self.descriptor, found.mark, 1)
        )

    def mark(self) -> int:
        """Lock a byte that stands for a new reservation, and return which."""
        while True:
            mark = _MARKS.start + int.from_bytes(os.urandom(7), "little")
            if locks.take(self.descriptor, mark, 1):
                return mark

    def write(self, reservation: Reservation) -> None:
        """Make a reservation the one that holds; what others were told is forgotten. Raises OSError."""
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, reservation.to_block(), 0)

    def beat(self, mark: int) -> bool:
        """Write that the reservation of this mark is kept; return whether it still is the one."""
        found = reservation_in(os.pread(self.descriptor, _BLOCK, 0))
        if found is None or self.current_mark() != mark:
            return False
        os.pwrite(self.descriptor, replace(found, beat=self._monotonic()).to_block(), 0)
        return True

    def current_mark(self) -> int | None:
        """Return which reservation is written, as far as its time has not run out."""
        found = reservation_in(os.pread(self.descriptor, _BLOCK, 0))
        if found is None or found.holder.until is None or self._now() >= found.holder.until:
            return None
        return found.mark

    def clear(self) -> None:
        """End whatever reservation there is."""
        os.ftruncate(self.descriptor, 0)

    def tell(self, holder: Holder) -> None:
        """Leave word to whoever has the board that somebody acted on it all the same."""
        end = max(_BLOCK, os.fstat(self.descriptor).st_size)
        if end < _NOTICES_MAX:
            os.pwrite(self.descriptor, holder.to_line(), end)

    def notices(self) -> Iterator[Holder]:
        """Yield who acted on the board in spite of the reservation."""
        for line in os.pread(self.descriptor, _NOTICES_MAX, _BLOCK).splitlines():
            holder = holder_in(line)
            if holder is not None:
                yield holder

    @contextlib.contextmanager
    def guarded(self, within_s: float = _GUARD_S) -> Iterator[None]:
        """Have the file alone; raises BmcBusyError where another does not let go of it."""
        if not locks.take_within(self.descriptor, within_s, _GUARD_BYTE, 1):
            raise BmcBusyError(
                "somebody is taking this board's lease and does not come to an end",
                hint="is a process of theirs stopped? `ps -eo pid,stat,args | grep bringup` shows it as T",
            )
        try:
            yield
        finally:
            locks.drop(self.descriptor, _GUARD_BYTE, 1)


@contextlib.contextmanager
def opened(board: str, path: Path, *, shared: bool) -> Iterator[ReservationFile]:
    """Open the reservation of a board; raises LabError where its file cannot be one."""
    try:
        descriptor = open_lock(path, 0o666)
    except OSError as error:
        raise LabError(
            f"cannot open the lease of {board}, {path}: {error.strerror}",
            hint="another user made it unreadable, or it is no file: remove it",
        ) from None
    try:
        with contextlib.suppress(PermissionError):  # made by another user, and open to us already
            os.fchmod(descriptor, 0o666 if shared else 0o600)
        yield ReservationFile(descriptor)
    finally:
        os.close(descriptor)
