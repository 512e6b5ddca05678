"""What a console is, whatever carries it."""

from __future__ import annotations

from typing import Protocol


class Console(Protocol):
    """A byte stream to and from a board's serial port."""

    def open(self, timeout_s: float) -> None:
        """Attach; returns only when bytes of the board would arrive. Raises LabError."""

    def read(self, timeout_s: float) -> bytes:
        """Return what came, b"" when nothing did for `timeout_s`; raises ConsoleLostError when it is gone."""

    def write(self, data: bytes) -> None:
        """Send to the board; returns at once. Raises ConsoleLostError when it is known to be gone."""

    def send_break(self) -> None:
        """Send a serial break."""

    def close(self) -> None:
        """Detach and free the line for others; harmless when not attached."""

    def describe(self) -> str:
        """Return in a few words what this is, for people."""
