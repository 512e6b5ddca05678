"""What a console is to everybody who reads one, whether SOL or a serial line."""

from __future__ import annotations

from typing import Protocol


class ConsoleGapError(Exception):
    """Raised by `read`, in order with the bytes, where text is or may be missing; the console goes on.

    `seconds` is at least as long as the hole, `certain` whether something is known to be missing.
    """

    def __init__(self, seconds: float, reason: str, *, certain: bool) -> None:
        super().__init__(reason)
        self.seconds = seconds
        self.reason = reason
        self.certain = certain


class Console(Protocol):
    """A board's console. `read` and `write` may be called from different threads, one each."""

    @property
    def alive_s(self) -> float:
        """When the console last showed a sign of life (CLOCK_MONOTONIC, seconds)."""
        ...

    def describe(self) -> str:
        """Return which console this is, for people."""
        ...

    def open(self, timeout_s: float) -> bool | None:
        """Attach; returns only when the console is really operational, raises LabError when it will not be.

        A console that was lost or closed can be opened again. True: it goes on where it was when it was lost,
        and `read` tells by itself what may be missing.
        """
        ...

    def read(self, timeout_s: float) -> bytes:
        """Return what came in, b"" when nothing did within `timeout_s`.

        Raises ConsoleLostError, and ConsoleGapError for a hole between what was read and what is read next.
        """
        ...

    def write(self, data: bytes) -> None:
        """Send `data`; returns once it has been taken, raises ConsoleLostError when it was not."""
        ...

    def send_break(self) -> None:
        """Send a break."""
        ...

    def close(self) -> None:
        """Detach; safe to call twice."""
        ...
