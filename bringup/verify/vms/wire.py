"""A board's console as the wire that its VMs are talked to over."""

from __future__ import annotations

from pathlib import Path

from bringup.base.clock import Clock
from bringup.console.base import Console, ConsoleGapError


class ConsoleWire:
    """An open console and the clock that waits go by; what comes is kept in `path`, where one is given."""

    def __init__(self, console: Console, clock: Clock, path: Path | None = None) -> None:
        self._console = console
        self._clock = clock
        self._file = path.open("ab") if path is not None else None

    def now_s(self) -> float:
        """Return the clock's seconds."""
        return self._clock.now_s()

    def read(self, timeout_s: float) -> bytes:
        """Return what came; a hole in it breaks the answer that it is in, and no other."""
        try:
            data = self._console.read(timeout_s)
        except ConsoleGapError:
            return b""
        if self._file is not None:
            self._file.write(data)
        return data

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._console.write(data)

    def rest(self, seconds: float) -> None:
        """Let time pass."""
        self._clock.sleep(seconds)

    def close(self) -> None:
        """Keep no more of what comes."""
        if self._file is not None:
            self._file.close()
