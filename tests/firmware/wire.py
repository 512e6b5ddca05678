"""The firmware probe's side of the line in Python: an independent writer of what its C code sends."""

from __future__ import annotations

import base64
import binascii
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from itertools import cycle

from bringup.pci.sources.firmware.frames import FRAME_PAYLOAD, Frame


def pack(body: bytes) -> bytes:
    """Pack by literals alone, which every unpacker has to take."""
    pieces = [body[at : at + 128] for at in range(0, len(body), 128)]
    return b"".join(bytes([len(piece) - 1]) + piece for piece in pieces)


def encode_frame(frame: Frame) -> bytes:
    """Return the 31 characters of a frame; a payload shorter than the rest is filled with zeros."""
    flags = frame.run & 0x7F | (0x80 if frame.starts_record else 0)
    data = struct.pack("<HB", frame.number, flags) + frame.payload.ljust(FRAME_PAYLOAD, b"\0")
    data += struct.pack("<H", binascii.crc_hqx(data, 0xFFFF))
    return b"#" + base64.b85encode(data).replace(b"#", b",")


class Board:
    """The probe's side of the line: holds frames, sends them two a line, answers requests."""

    def __init__(
        self,
        bodies: Iterable[bytes],
        run: int = 5,
        kinds: Sequence[int] = range(2, 11),
        dropped: int = 0,
        pack: Callable[[bytes], bytes] = pack,
    ) -> None:
        self.run = run
        self.frames: list[Frame] = [Frame(0, run, True, b"")]
        records = 0
        for body, kind in zip(bodies, cycle(kinds)):
            self._add(kind, pack(body))
            records += 1
        hello = pack(struct.pack("<BHHH", 1, len(self.frames), records, dropped))
        head = struct.pack("<II", 1 | len(hello) << 8, zlib.crc32(hello))
        self.frames[0] = Frame(0, run, True, head + hello)

    def _add(self, kind: int, packed: bytes) -> None:
        data = struct.pack("<II", kind | len(packed) << 8, zlib.crc32(packed)) + packed
        for at in range(0, len(data), FRAME_PAYLOAD):
            piece = data[at : at + FRAME_PAYLOAD]
            self.frames.append(Frame(len(self.frames), self.run, at == 0, piece))

    def send(self, numbers: list[int]) -> bytes:
        texts = [encode_frame(self.frames[number]) for number in numbers if number < len(self.frames)]
        lines = [b"".join(texts[at : at + 2]) for at in range(0, len(texts), 2)]
        return b"".join(line + b"\r\n" for line in lines)

    def say_all(self) -> bytes:
        prompt = b'bringup firmware probe: frames sent; say "resend N,N-M" or "done" within 20 s\r\n'
        return self.send(list(range(len(self.frames)))) + self.send([0]) + prompt

    def answer(self, request: bytes) -> bytes:
        match = re.fullmatch(rb"\n((?:resend ([0-9,-]+))|done) \*([0-9a-f]{4})\n", request)
        assert match is not None, request
        assert binascii.crc_hqx(match[1], 0xFFFF) == int(match[3], 16)
        assert len(request) < 512
        numbers: list[int] = []
        for word in (match[2] or b"").split(b","):
            first, _, last = word.partition(b"-")
            numbers += range(int(first), int(last or first) + 1) if word else []
        assert len((match[2] or b"").split(b",")) <= 64
        return self.send(numbers) + self.send([0])
