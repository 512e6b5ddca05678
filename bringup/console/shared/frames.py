"""What goes over the local socket between who has a console and who shares it: kind, length, bytes. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum

FRAME_MAX = 1 << 20
_HEAD = struct.Struct(">BI")


class Kind(IntEnum):
    """What a frame is. The first one of a connection is a WISH, answered by a GREETING or a NO."""

    WISH = 1  # JSON: what for, and who wishes
    GREETING = 2  # JSON: who has the console
    NO = 3  # text: why not
    SHOWN = 4  # what the console showed last, before the connection
    DATA = 5  # what it shows now
    EVENT = 6  # JSON: what happened to it
    TYPED = 7  # characters for the board; answered by DONE or NO
    BREAK = 8  # a break for the board; answered by DONE or NO
    DONE = 9
    END = 10  # text: why it is served no more


def encode(kind: Kind, body: bytes = b"") -> bytes:
    """Return a frame; `body` is at most `FRAME_MAX` bytes."""
    return _HEAD.pack(kind, len(body)) + body


class Decoder:
    """Takes frames apart, however they are cut. Frames of an unknown kind are passed over."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[Kind, bytes]]:
        """Yield the frames that are whole; raises ValueError for one that is too long."""
        self._data += data
        while len(self._data) >= _HEAD.size:
            number, size = _HEAD.unpack_from(self._data)
            if size > FRAME_MAX:
                raise ValueError(f"a frame of {size} bytes")
            end = _HEAD.size + size
            if len(self._data) < end:
                return
            body = bytes(self._data[_HEAD.size : end])
            del self._data[:end]
            try:
                kind = Kind(number)
            except ValueError:
                continue
            yield kind, body
