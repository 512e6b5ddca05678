"""Keeps a console on disk: every byte as it came, and when.

    console.log   the bytes, and a line `-- SOL lost 12.4 s --` where some are missing
    console.idx   the wall time of the run's start, then one record `offset seconds` for each piece that came
    console1.log, console1.idx   the same of COM1, where that is not the port of the console (console2: COM2)

Both files are opened for appending and a record is one write, so a kill at any moment loses at most the last
record; a reader passes over a torn one. Times are seconds since the start of the run.
"""

from __future__ import annotations

import os
import re
import time
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

from bringup.base.errors import LabError
from bringup.base.regular_file import open_regular, read_whole
from bringup.transcript.clean import plain_text

CONSOLE = "console"
PORT_LOGS = {"console1": "COM1", "console2": "COM2"}
"""Logs of the serial port that the console does not show."""
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
_LINE_MAX = 4096
_INDEX_MAX_BYTES = 256 << 20


class ConsoleLog:
    """Appends to the console log of a run folder, `name` being that of its files.

    `origin_s` is the run's start on the clock that `append` is given (CLOCK_MONOTONIC by default). Raises
    LabError when the disk does not take the bytes.
    """

    def __init__(self, folder: Path, origin_s: float | None = None, name: str = CONSOLE) -> None:
        now_s = time.monotonic()
        self._origin_s = now_s if origin_s is None else origin_s
        self._folder = folder
        self._at_line_start = True
        try:
            self._log = os.open(log_path(folder, name), _FLAGS, 0o600)
            self._index = os.open(_index_path(folder, name), _FLAGS, 0o600)
        except OSError as error:
            raise LabError(f"cannot write the console log in {folder}: {error.strerror}") from error
        self._write(self._index, f"utc {time.time() - (now_s - self._origin_s):.3f}\n".encode())

    def append(self, data: bytes, at_s: float) -> None:
        """Append bytes that came in at `at_s`."""
        if not data:
            return
        self._write(self._log, data)
        # With O_APPEND the position after a write is where it ended, whoever else appends.
        offset = os.lseek(self._log, 0, os.SEEK_CUR) - len(data)
        self._write(self._index, f"{offset} {at_s - self._origin_s:.4f}\n".encode())
        self._at_line_start = data.endswith(b"\n")

    def gap(self, lost_s: float, at_s: float) -> bytes:
        """Mark `lost_s` seconds without a console; return the bytes, for whoever else shows the console."""
        text = f"-- SOL lost {lost_s:.1f} s --\n".encode()
        marker = text if self._at_line_start else b"\n" + text
        self.append(marker, at_s)
        return marker

    def close(self) -> None:
        """Close the files; what was appended is theirs already."""
        os.close(self._log)
        os.close(self._index)

    def _write(self, descriptor: int, data: bytes) -> None:
        try:
            written = os.write(descriptor, data)
            while written < len(data):  # only a full disk or a signal cuts a write to a file
                written += os.write(descriptor, data[written:])
        except OSError as error:
            raise LabError(
                f"cannot write the console log in {self._folder}: {error.strerror}",
                hint="free some space on this disk",
            ) from error


class ConsoleIndex:
    """The readable records of `console.idx`; `origin_s` is the run's start, seconds since the epoch."""

    def __init__(self, folder: Path, name: str = CONSOLE) -> None:
        self._offsets: list[int] = []
        self._times: list[float] = []
        self.origin_s: float | None = None
        path = _index_path(folder, name)
        try:
            data = read_whole(path, _INDEX_MAX_BYTES)
        except (OSError, ValueError):
            return
        for record in data.splitlines(keepends=True):
            if record.endswith(b"\n"):
                self._read(record.split())

    def _read(self, words: list[bytes]) -> None:
        try:
            if words[0] == b"utc":
                self.origin_s = float(words[1])
                return
            offset, at_s = int(words[0]), float(words[1])
        except (ValueError, IndexError):
            return  # torn by a kill, and continued by the next record
        if not self._offsets or offset >= self._offsets[-1]:
            self._offsets.append(offset)
            self._times.append(at_s)

    def at(self, offset: int) -> float | None:
        """Return when the byte at `offset` came in, None if no record says."""
        position = bisect_right(self._offsets, offset)
        return None if position == 0 else self._times[position - 1]


def log_path(folder: Path, name: str = CONSOLE) -> Path:
    """Return where a run's folder has the log of this name."""
    return folder / f"{name}.log"


def _index_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.idx"


def read_log(
    folder: Path, name: str = CONSOLE, limit: int | None = None
) -> Iterator[tuple[float | None, str]]:
    """Yield (seconds since the start of the run, line) of a recorded console; nothing if there is none.

    What is no file (a pipe, a device that never ends) is none.

    A line is text that is safe to show, and its time is that of its first byte. Lines are counted as in
    sightings; one longer than 4 KiB comes in parts. No more than about `limit` bytes are read.
    """
    log, index = log_path(folder, name), ConsoleIndex(folder, name)
    try:
        stream = open_regular(log)
    except (OSError, ValueError):
        return
    with stream:
        offset = 0
        while (limit is None or offset < limit) and (line := stream.readline(_LINE_MAX)):
            yield index.at(offset), plain_text(line.rstrip(b"\r\n"))
            offset += len(line)


class Stamper:
    """Puts the UTC time before each line of a console while it comes in."""

    def __init__(self) -> None:
        self._at_line_start = True

    def feed(self, data: bytes, utc_s: float) -> bytes:
        """Return `data`, received at `utc_s` seconds since the epoch, with a time at each line's start."""
        stamp = _utc(utc_s).encode() + b"  "
        out = []
        # Not splitlines: a lone carriage return starts no new line.
        for line in re.findall(rb"[^\n]*\n|[^\n]+", data):
            out.append(stamp + line if self._at_line_start else line)
            self._at_line_start = line.endswith(b"\n")
        return b"".join(out)


def _utc(utc_s: float) -> str:
    whole = int(utc_s)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{int((utc_s - whole) * 1000):03d}Z"
