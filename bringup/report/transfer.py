"""How far a transfer came: how much, how fast, how long it will take; one line that is drawn again."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self, TextIO

from bringup.base.events import Event
from bringup.base.size import rough_size
from bringup.report.output import say
from bringup.report.screen import fitted, is_terminal

TRANSFERS = frozenset({"http.progress", "tftp.progress", "console.upload_progress", "disk.progress"})
"""The kinds of events that say how far a transfer is, as `transfer_text` reads them."""
_REDRAW_S = 0.2
# Where nothing can be redrawn: a line for each quarter.
_PARTS = 4


def progress_text(stage: str, done: int, total: int, seconds: float) -> str:
    """Return how far it came: `writing 45 %  230 MiB of 512 MiB  38 MiB/s  7 s left`; sizes in bytes."""
    percent = 100 * done // total if total else 100
    text = f"{stage} {percent:3} %  {rough_size(done)} of {rough_size(total)}"
    if seconds < 0.5 or not done:
        return text
    rate = done / seconds
    left = (total - done) / rate
    return f"{text}  {rough_size(int(rate))}/s" + (f"  {duration_text(left)} left" if done < total else "")


def transfer_text(event: Event) -> str:
    """Return how far a transfer came: of which file, how much of how much."""
    sent, total = event.data["sent"], event.data.get("size")
    what = event.data.get("role") or "file"
    if event.data.get("unit") == "frames":
        return f"{what} {sent} frames" if not total else f"{what} {sent} of {total} frames"
    if not total:
        return f"{what} {rough_size(sent)}"
    rate, left_s = event.data.get("rate"), event.data.get("left_s")
    speed = f", {rough_size(rate)}/s" if rate else ""
    left = f", {duration_text(left_s)} left" if left_s is not None else ""
    return f"{what} {rough_size(sent)} of {rough_size(total)}, {100 * sent // total} %{speed}{left}"


def duration_text(seconds: float) -> str:
    """Return a time as a person waits it: `7 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class TransferLine:
    """Shows progress on stderr: one line drawn again on a terminal, a line for each quarter elsewhere."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._redraws = is_terminal(self._stream)
        self._drawn_s = 0.0
        self._told: tuple[str, int] | None = None

    def show(self, stage: str, done: int, total: int, seconds: float) -> None:
        """Show how far it came, unless that was shown just now."""
        if self._redraws:
            if time.monotonic() - self._drawn_s >= _REDRAW_S or done == total:
                self._drawn_s = time.monotonic()
                text = fitted(progress_text(stage, done, total, seconds), self._stream)
                self._stream.write(f"\r{text}\x1b[K" + ("\n" if done == total else ""))
                self._stream.flush()
            return
        part = (stage, done * _PARTS // total if total else _PARTS)
        if part != self._told:
            self._told = part
            say(progress_text(stage, done, total, seconds))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if kind is not None and self._redraws:
            self._stream.write("\n")
