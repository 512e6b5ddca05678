"""A capture that comes over the console, for boards whose network does not carry it.

The ramdisk (probes/linux/init) writes numbered lines with a CRC-32 each, several rounds of them:

    bringup-capture: begin SIZE SHA256
    bringup-capture: 1 0a1b2c3d BASE64        96 bytes of the capture, the last line fewer
    bringup-capture: end

A line that a round lost or damaged is taken from another; the SHA-256 decides in the end.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import zlib
from dataclasses import dataclass, field

LINE_BYTES = 96
_LINE_MAX = 1024
_BEGIN = re.compile(rb"bringup-capture: begin (\d{1,9}) ([0-9a-f]{64})\s*$")
_PART = re.compile(rb"bringup-capture: (\d{1,7}) ([0-9a-f]{8}) ([A-Za-z0-9+/]{2,256}={0,2})\s*$")
_SAYS = re.compile(rb"bringup probe: ([ -~]{1,200})\s*$")
_TROUBLE = "trouble: "


@dataclass(slots=True)
class _Frame:
    """What is known of the capture that comes in."""

    size: int
    sha256: str
    parts: dict[int, bytes] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """The number of lines that make it whole."""
        return -(-self.size // LINE_BYTES)

    def length(self, number: int) -> int:
        """Return how many bytes line `number`, counted from 1, holds."""
        return min(LINE_BYTES, self.size - (number - 1) * LINE_BYTES)


class CaptureReader:
    """Reads console bytes as they come, cut anywhere; memory is bounded by `limit` bytes.

    `said` are the ramdisk's own words of the last `feed`, without its troubles: those the console's reader
    takes as failures. `capture` is the whole capture once it has come.
    """

    def __init__(self, limit: int) -> None:
        self.said: list[str] = []
        self.capture: bytes | None = None
        self._limit = limit
        self._rest = b""
        self._frame: _Frame | None = None

    @property
    def progress(self) -> tuple[int, int]:
        """Return how many bytes came and how many are to come, (0, 0) before any."""
        frame = self._frame
        return (sum(map(len, frame.parts.values())), frame.size) if frame else (0, 0)

    def feed(self, data: bytes) -> None:
        """Take console bytes."""
        self.said = []
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[-_LINE_MAX:]
        for line in lines:
            self._line(line[-_LINE_MAX:])

    def _line(self, line: bytes) -> None:
        if part := _PART.search(line):
            self._part(int(part[1]), int(part[2], 16), part[3])
        elif begin := _BEGIN.search(line):
            self._begin(int(begin[1]), begin[2].decode())
        elif says := _SAYS.search(line):
            text = says[1].decode().strip()
            if not text.startswith(_TROUBLE):
                self.said.append(text)

    def _begin(self, size: int, sha256: str) -> None:
        same = self._frame is not None and (self._frame.size, self._frame.sha256) == (size, sha256)
        if not same and 0 < size <= self._limit:
            self._frame = _Frame(size, sha256)

    def _part(self, number: int, crc: int, text: bytes) -> None:
        frame = self._frame
        if frame is None or self.capture is not None or not 1 <= number <= frame.count:
            return
        try:
            data = base64.b64decode(text, validate=True)
        except binascii.Error:
            return
        if len(data) != frame.length(number) or zlib.crc32(data) != crc:
            return
        frame.parts[number] = data
        if len(frame.parts) == frame.count:
            self._finish(frame)

    def _finish(self, frame: _Frame) -> None:
        whole = b"".join(frame.parts[number] for number in range(1, frame.count + 1))
        if hashlib.sha256(whole).hexdigest() == frame.sha256:
            self.capture = whole
        else:
            frame.parts.clear()  # a damage that a CRC let through: another round may do better
