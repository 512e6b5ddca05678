"""Who has a board, as others are told of it."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeGuard

from bringup.base.duration import rough_duration
from bringup.lab.who import person

RECORD_MAX = 1024
_WORD_MAX, _PURPOSE_MAX = 40, 80
_PID_MAX = 1 << 22  # proc(5), pid_max


@dataclass(frozen=True, slots=True)
class Holder:
    """Who acts on a board and why; times are seconds since the epoch.

    `until` is when a lease that was taken for a time ends, None for that of a command, which ends with it.
    """

    who: str
    pid: int
    purpose: str
    since: float
    until: float | None = None

    def __str__(self) -> str:
        if self.until is not None:
            return f"{self.who} ({self.purpose}, until {clock_time(self.until)})"
        held = rough_duration(time.time() - self.since)
        return f"{self.who} (process {self.pid}, {self.purpose}, for {held})"

    @property
    def is_me(self) -> bool:
        """Whether that is who works here, by any of their processes."""
        return self.who == word(person())

    def to_line(self) -> bytes:
        """Return the record of a holder, one line."""
        # As it is in UTF-8: with names escaped for ASCII it could be longer than what is read of it.
        return json.dumps(asdict(self), ensure_ascii=False).encode() + b"\n"


def clock_time(at_s: float, now_s: float | None = None) -> str:
    """Return a moment as people say it: the time of day here, with the date where that is another day."""
    moment, today = time.localtime(at_s), time.localtime(now_s)
    form = "%H:%M" if moment[:3] == today[:3] else "%Y-%m-%d %H:%M"
    return time.strftime(form, moment)


def myself(purpose: str) -> Holder:
    """Return this process as others are told of it."""
    return Holder(word(person()), os.getpid(), word(purpose, _PURPOSE_MAX), time.time())


def holder_in(line: bytes) -> Holder | None:
    """Return who wrote a line; anybody can write one, so that nothing of it is taken on trust."""
    try:
        return read_record(json.loads(line))
    except (ValueError, RecursionError):
        return None


def read_record(body: object) -> Holder | None:
    """Return the holder that a record names, None for what is none."""
    if not isinstance(body, dict):
        return None
    who, pid, purpose = body.get("who"), body.get("pid"), body.get("purpose")
    since, until = body.get("since"), body.get("until")
    if not (isinstance(who, str) and isinstance(purpose, str) and is_pid(pid) and is_moment(since)):
        return None
    if until is not None and not is_moment(until):
        return None
    return Holder(word(who), pid, word(purpose, _PURPOSE_MAX), float(since), until and float(until))


def is_pid(value: object) -> TypeGuard[int]:
    """Return whether a value of a record can be a process."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _PID_MAX


def is_moment(value: object) -> TypeGuard[float]:
    """Return whether a value of a record can be a time that a calendar has."""
    # No float is made of it: an integer of hundreds of digits would not fit. No comparison holds for NaN.
    return isinstance(value, int | float) and 0 <= value < 1 << 36


def word(text: str, limit: int = _WORD_MAX) -> str:
    """Return a name or a purpose as one short run of printable characters."""
    return "".join(char if char.isprintable() else "?" for char in text)[:limit] or "?"


def is_stopped(pid: int) -> bool:
    """Return whether a process was stopped (Ctrl-Z, SIGSTOP), so that it holds and does nothing."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[:1] == ["T"]
