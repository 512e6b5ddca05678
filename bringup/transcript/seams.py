"""Texts that run over a change of writer, where a client's colour came in the middle of a line. Pure."""

from __future__ import annotations

from bringup.transcript.matching import SPACE, Pattern, find_new, reach
from bringup.transcript.streams import KERNEL, Writer


class Seam:
    """Finds texts that run over a change of writer: colours in the middle of what one writer wrote."""

    def __init__(self) -> None:
        self._reach = reach()
        self._writer: Writer | None = None
        self._raw = b""
        self._tail = b""
        self._edge = 0

    def feed(self, writer: Writer, text: bytes) -> list[tuple[Pattern, int]]:
        """Return the texts that began before the last change of writer and end in `text`."""
        if writer is not self._writer:
            before, self._writer = self._writer, writer
            # Who ends a line has ended what was said in it: only a cut in a line can be one inside a text.
            # The kernel's own lines are not of anybody's text.
            ended = not self._raw or self._raw[-1] in b"\r\n" or KERNEL in (writer, before)
            self._tail = b"" if ended else self._raw.translate(None, SPACE)[-self._reach :]
            self._edge = len(self._tail)
        self._raw = (self._raw + text if len(text) < 2 * self._reach else text)[-2 * self._reach :]
        return self._over_the_edge(text.translate(None, SPACE)) if self._edge else []

    def _over_the_edge(self, squeezed: bytes) -> list[tuple[Pattern, int]]:
        old = len(self._tail)
        both = self._tail + squeezed[: self._reach]
        found = [
            (pattern, end - old) for pattern, start, end in find_new(both, old) if start < self._edge < end
        ]
        whole = self._tail + squeezed
        self._tail = whole[-self._reach :]
        self._edge = max(0, self._edge - (len(whole) - len(self._tail)))
        return found
