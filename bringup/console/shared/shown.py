"""What a console showed last: enough to see where it is. Pure."""

from __future__ import annotations

import re

_KEPT = 16 * 1024
_LINES = 40
_CLEARED = re.compile(rb"\x1b\[2J|\x1bc")


class LastShown:
    """Keeps the end of a console's text."""

    def __init__(self) -> None:
        self._data = b""

    def add(self, data: bytes) -> None:
        """Take what was shown."""
        self._data = (self._data + data)[-_KEPT:]

    def screen(self) -> bytes:
        """Return the text since the screen was cleared last, else the last 40 lines, whole ones."""
        cleared = list(_CLEARED.finditer(self._data))
        lines = self._data.splitlines(keepends=True)
        if cleared and self._data.count(b"\n", cleared[-1].start()) < _LINES:
            return self._data[cleared[-1].start() :]
        cut = len(self._data) == _KEPT and len(lines) <= _LINES
        return b"".join(lines[1:] if cut else lines[-_LINES:])
