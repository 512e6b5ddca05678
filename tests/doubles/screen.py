"""A stream that may claim to be a terminal, for `redirect_stdout` and `redirect_stderr`."""

from __future__ import annotations

import io


class Screen(io.TextIOWrapper):
    """A stream that may claim to be a terminal, and keeps what was written."""

    def __init__(self, encoding: str = "utf-8", terminal: bool = True) -> None:
        self._written = io.BytesIO()
        self._terminal = terminal
        super().__init__(self._written, encoding=encoding, errors="backslashreplace")

    def isatty(self) -> bool:
        return self._terminal

    @property
    def shown(self) -> str:
        self.flush()
        return self._written.getvalue().decode(self.encoding)
