"""What a console is to everybody who reads one, whether SOL or a serial line."""

from __future__ import annotations

from typing import Protocol


class Console(Protocol):
    """A board's console. `read` and `write` may be called from different threads, one each."""

    @property
    def alive_s(self) -> float:
        """When the console last showed a sign of life (CLOCK_MONOTONIC, seconds)."""
        ...

    def describe(self) -> str:
        """Return which console this is, for people."""
        ...

    def open(self, timeout_s: float) -> None:
        """Attach; returns only when the console is really operational, raises LabError when it will not be.

        A console that was lost or closed can be opened again.
        """
        ...

    def read(self, timeout_s: float) -> bytes:
        """Return what came in, b"" when nothing did within `timeout_s`; raises ConsoleLostError."""
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
