"""Where a console is shown to a person or a program, and kept if asked: text, JSON lines, timestamped log."""

from __future__ import annotations

import codecs
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

from bringup.base.errors import LabError, UsageError
from bringup.base.events import Event
from bringup.console.log import Stamper
from bringup.transcript.clean import TerminalFilter, plain_text

_RESET = b"\x1b[0m"


class ConsoleFile:
    """A log of a console, a UTC time before each line; appended to, and closed to others (mode 0600)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamper = Stamper()
        self._at_line_start = True
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UsageError(f"cannot write the log {path}: {error.strerror}") from None

    def append(self, data: bytes) -> None:
        """Add bytes of the console; raises LabError when the disk does not take them."""
        stamped = self._stamper.feed(data, time.time())
        self._at_line_start = stamped.endswith(b"\n")
        try:
            while stamped:
                stamped = stamped[os.write(self._file, stamped) :]
        except OSError as error:
            raise LabError(f"cannot write the log {self._path}: {error.strerror}") from None

    def line(self, text: str) -> None:
        """Add a line of our own."""
        start = b"" if self._at_line_start else b"\n"
        self.append(start + f"-- {text} --\n".encode())

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


class TextScreen:
    """The console's bytes on one descriptor, lines of our own on another.

    For a terminal the bytes are stripped of what could reprogram it, and lines end as a raw terminal wants.
    """

    def __init__(self, *, output: int, notices: int, log: ConsoleFile | None = None) -> None:
        self._output = output
        self._notices = notices
        self._terminal = os.isatty(output)
        self._line_end = b"\r\n" if os.isatty(notices) else b"\n"
        self._log = log
        self._filter = TerminalFilter()
        self._stamper: Stamper | None = None
        self._at_line_start = True
        self._lock = threading.Lock()

    def show(self, data: bytes) -> None:
        """Show bytes from the board."""
        with self._lock:
            if self._log is not None:
                self._log.append(data)
            if self._terminal:
                data = self._filter.feed(data)
            if self._stamper is not None:
                data = self._stamper.feed(data, time.time())
            if data:
                self._at_line_start = data.endswith(b"\n")
                _write(self._output, data)

    def notice(self, text: str) -> None:
        """Show one line that is not from the board."""
        with self._lock:
            self._say(text)

    def mark(self) -> None:
        """Leave a mark on screen and in the log."""
        with self._lock:
            self._say(_mark())
            if self._log is not None:
                self._log.line(_mark())

    def toggle_times(self) -> None:
        """Show times before the lines, or stop showing them."""
        with self._lock:
            self._stamper = Stamper() if self._stamper is None else None
            self._say(f"times {'off' if self._stamper is None else 'on (UTC)'}")

    def tell(self, event: Event) -> None:
        """Show what happened to the console itself; it goes into the log, too."""
        with self._lock:
            self._say(event.text)
            if self._log is not None:
                self._log.line(event.text)

    def close(self) -> None:
        """Undo colours the board may have left switched on."""
        if self._terminal:
            _write(self._output, _RESET if self._at_line_start else _RESET + b"\r\n")

    def _say(self, text: str) -> None:
        start = b"" if self._at_line_start else self._line_end
        _write(self._notices, start + f"-- {plain_text(text.encode())} --".encode() + self._line_end)
        self._at_line_start = True


class JsonScreen:
    """The console as one JSON object per line: `{"utc": seconds, "kind": ..., "text": ...}`."""

    def __init__(self, *, output: int, log: ConsoleFile | None = None) -> None:
        self._output = output
        self._log = log
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._lock = threading.Lock()

    def show(self, data: bytes) -> None:
        """Write bytes from the board; what is not UTF-8 becomes the replacement character."""
        if self._log is not None:
            self._log.append(data)
        self._put("console.data", self._decode(data))

    def notice(self, text: str) -> None:
        """Write a line that is not from the board."""
        self._put("console.notice", text)

    def mark(self) -> None:
        """Write a mark, in the log too."""
        if self._log is not None:
            self._log.line(_mark())
        self._put("console.mark", "")

    def toggle_times(self) -> None:
        """Change nothing: every line has its time."""

    def tell(self, event: Event) -> None:
        """Write what happened to the console itself."""
        if self._log is not None:
            self._log.line(event.text)
        self._put(event.kind, event.text, **event.data)

    def close(self) -> None:
        """Leave everything as it is."""

    def _put(self, kind: str, text: str, **data: Any) -> None:
        body = {"utc": round(time.time(), 3), "kind": kind, "text": text, **data}
        with self._lock:
            _write(self._output, json.dumps(body).encode() + b"\n")


def _mark() -> str:
    return f"mark {time.strftime('%H:%M:%S')}"


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
