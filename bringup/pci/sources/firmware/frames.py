"""How the firmware probe's report crosses a console that loses bytes: frames, records, requests; pure.

The formats are those of `probes/firmware/frame.h` (frames), `report.h` (records), `pack.h` (packing) and
`serve.h` (requests). A frame proves by its length and CRC-16 that it is whole, a record by its CRC-32, and
the hello says how many frames there are: so what is missing is always known by number.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

BANNER = b"bringup firmware probe, not seL4"
"""The probe's first line: what a boot watcher recognises."""

FRAME_PAYLOAD = 19
HELLO = 1
VERSION = 1
RECORD_BYTES_MAX = 2 << 20
"""No body is larger: the probe sends tables of 1 MiB at most."""
REPORT_BYTES_MAX = 64 << 20
"""Nor are all bodies together: 8192 functions of 4 KiB and every table are less."""

_DIGITS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
_FROM_WIRE = bytes.maketrans(b",#", b"#,")
_FRAME_OR_BANNER = re.compile(
    rb"#([" + re.escape(_DIGITS.replace(b"#", b",")) + rb"]{30})|" + re.escape(BANNER)
)
_TAIL = len(BANNER) - 1
"""Kept from one feeding to the next: the longest of what is looked for, less its last character."""
_HEAD = struct.Struct("<HB")
_CHECK = struct.Struct("<H")
_RECORD = struct.Struct("<II")
_HELLO = struct.Struct("<BHHH")
_STARTS = 0x80
_PROMPT = b'say "resend'
_ENDS = (b"the other side has everything", b"nobody asks any more")
_Run = tuple[int, int]
"""How many banners came before, and the number in its frames, which one start in 128 shares with another."""
_RUNS_MAX = 8
_RANGES_MAX = 64
_REQUEST_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: its number, which run of the probe it is of, and whether a record starts in it."""

    number: int
    run: int
    starts_record: bool
    payload: bytes


@dataclass(frozen=True, slots=True)
class Record:
    """One whole record; `first` and `last` are the frames it came in."""

    type: int
    body: bytes
    first: int
    last: int


def decode_frame(characters: bytes) -> Frame | None:
    """Return the frame in the 30 characters after `#`, None when they are damaged."""
    try:
        data = base64.b85decode(characters.translate(_FROM_WIRE))
    except ValueError:
        return None
    if len(data) != _HEAD.size + FRAME_PAYLOAD + _CHECK.size:
        return None
    if binascii.crc_hqx(data[: -_CHECK.size], 0xFFFF) != _CHECK.unpack_from(data, len(data) - _CHECK.size)[0]:
        return None
    number, flags = _HEAD.unpack_from(data)
    return Frame(number, flags & ~_STARTS, bool(flags & _STARTS), data[_HEAD.size : -_CHECK.size])


def unpack(packed: bytes, room: int = RECORD_BYTES_MAX) -> bytes:
    """Return the bytes that `pack.h` describes; raises ValueError when they are cut or more than `room`."""
    most = min(room, RECORD_BYTES_MAX)
    out = bytearray()
    at = 0
    while at < len(packed):
        token = packed[at]
        at += 1
        if token < 0x80:
            literal = packed[at : at + token + 1]
            if len(literal) != token + 1:
                raise ValueError("packed bytes end in the middle of a run")
            out += literal
            at += len(literal)
        elif token < 0xC0:
            out += bytes(token - 0x80 + 2)
        elif token < 0xE0:
            if at == len(packed):
                raise ValueError("packed bytes end in the middle of a run")
            out += bytes(((token & 0x1F) << 8 | packed[at]) + 66)
            at += 1
        else:
            out += b"\xff" * (token - 0xE0 + 2)
        if len(out) > most:
            raise ValueError(f"a record has more than {most >> 20} MiB")
    return bytes(out)


class FrameReader:
    """Collects frames from console bytes in any order, as often as they come, among any other text.

    Memory is bounded: at most 8 runs of 65535 frames. Where a log holds several runs of the probe (the board
    restarted), the last one that said hello counts.
    """

    def __init__(self) -> None:
        self.prompts = 0
        """How often the probe said that it waits for a request."""
        self.ended = False
        """Whether the probe said that it stopped listening."""
        self._tail = b""
        self._starts = 0
        self._runs: dict[_Run, dict[int, Frame]] = {}
        self._greeted: _Run | None = None
        self._view: _View | None = None

    def feed(self, data: bytes) -> None:
        """Take what the console said next, cut anywhere."""
        text = self._tail + data
        self._tail = text[-_TAIL:]
        fresh = text[max(0, len(text) - len(data) - len(_PROMPT) + 1) :]
        self.prompts += fresh.count(_PROMPT)
        banner, end = text.rfind(BANNER), max(text.rfind(end) for end in _ENDS)
        if banner >= 0 or end >= 0:
            self.ended = end > banner
        for match in _FRAME_OR_BANNER.finditer(text):
            frame = decode_frame(match[1]) if match[1] else None
            if frame is not None:
                self._keep(frame)
            elif not match[1]:
                self._starts += 1

    def _keep(self, frame: Frame) -> None:
        run = (self._starts, frame.run)
        frames = self._runs.pop(run, {})
        self._runs[run] = frames  # the run heard last is the last one
        if len(self._runs) > _RUNS_MAX:
            del self._runs[next(iter(self._runs))]
        if frames.get(frame.number) != frame:
            frames[frame.number] = frame
            self._view = None
        if frame.number == 0 and _hello(frame) is not None and self._greeted != run:
            self._greeted = run
            self._view = None

    @property
    def run(self) -> int | None:
        """The run that counts; None while no frame came."""
        run = self._counting()
        return None if run is None else run[1]

    def _counting(self) -> _Run | None:
        if self._greeted is not None and self._greeted in self._runs:
            return self._greeted
        return max(self._runs, key=lambda run: len(self._runs[run]), default=None)

    @property
    def total(self) -> int | None:
        """How many frames the report has; None until the hello came."""
        return self._looked().total

    @property
    def received(self) -> int:
        """How many different frames of the report came."""
        return len(self._frames())

    @property
    def complete(self) -> bool:
        """Whether every frame came and every record proved to be whole."""
        view = self._looked()
        return view.total is not None and not view.missing

    @property
    def missing(self) -> tuple[tuple[int, int], ...]:
        """Ranges of frames, both ends included, that did not come or belong to a record that is damaged.

        While `total` is None these are the gaps before the last frame that came, and there may be more.
        """
        return self._looked().missing

    @property
    def dropped(self) -> int:
        """How many records the probe itself had no room for."""
        return self._looked().dropped

    def records(self) -> tuple[Record, ...]:
        """Return every record that is whole, in order, without the hello."""
        return self._looked().records

    def request(self) -> bytes:
        """Return the line to send to the probe: what to send again, or that all is here.

        One line names what fits in it; send it when the probe has said that it waits (`prompts`), or when it
        was silent for two seconds, then take the answer and ask again.
        """
        if self.complete:
            return _line("done")
        ranges = list(self.missing)
        if self.total is None and (not ranges or ranges[0][0] != 0):
            ranges.insert(0, (0, 0))
        words: list[str] = []
        for first, last in ranges[:_RANGES_MAX]:
            words.append(str(first) if first == last else f"{first}-{last}")
            if sum(map(len, words)) + len(words) > _REQUEST_CHARACTERS:
                words.pop()
                break
        return _line("resend " + ",".join(words))

    def _frames(self) -> dict[int, Frame]:
        run = self._counting()
        return {} if run is None else self._runs[run]

    def _looked(self) -> _View:
        if self._view is None:
            self._view = _look(self._frames())
        return self._view


@dataclass(frozen=True, slots=True)
class _View:
    total: int | None
    dropped: int
    missing: tuple[tuple[int, int], ...]
    records: tuple[Record, ...]


def _hello(frame: Frame) -> tuple[int, int, int] | None:
    """Return frames, records and dropped records as the hello says, None when this is no hello of ours."""
    if frame.number != 0 or not frame.starts_record:
        return None
    word, crc = _RECORD.unpack_from(frame.payload)
    packed = frame.payload[_RECORD.size : _RECORD.size + (word >> 8)]
    if word & 0xFF != HELLO or zlib.crc32(packed) != crc:
        return None
    try:
        body = unpack(packed)
    except ValueError:
        return None
    if len(body) < _HELLO.size or body[0] != VERSION:
        return None
    _, frames, records, dropped = _HELLO.unpack_from(body)
    return frames, records, dropped


def _look(frames: dict[int, Frame]) -> _View:
    hello = _hello(frames[0]) if 0 in frames else None
    end = hello[0] if hello else max(frames, default=-1) + 1
    absent = {number for number in range(end) if number not in frames}
    if hello is None and frames:
        absent.add(0)
    damaged: set[int] = set()
    orphans: set[int] = set()
    records: list[Record] = []
    room = REPORT_BYTES_MAX
    at = 1
    while at < end:
        frame = frames.get(at)
        if frame is None or not frame.starts_record:
            if frame is not None:
                orphans.add(at)
            at += 1
            continue
        size = _frames_of(frame)
        found = _following(frames, frame, size)
        record = _record(found, room) if len(found) == size else None
        if record is not None:
            records.append(record)
            room -= len(record.body)
        elif len(found) == size or at + len(found) in frames or (hello and at + size > end):
            damaged.update(range(at, at + len(found)))  # by its CRC, by another start in it, or by its size
        at += len(found)
    # A frame that no record claims waits for a start that is absent; if none is, it is damaged itself.
    bad = absent | damaged or orphans
    return _View(hello[0] if hello else None, hello[2] if hello else 0, _ranges(bad), tuple(records))


def _frames_of(start: Frame) -> int:
    """Return the number of frames of the record that starts in a frame."""
    size = _RECORD.unpack_from(start.payload)[0] >> 8
    return int(_RECORD.size + size - 1) // FRAME_PAYLOAD + 1


def _following(frames: dict[int, Frame], start: Frame, size: int) -> list[Frame]:
    """Return a record's frames from its start on, up to one that did not come or starts another record."""
    found = [start]
    for number in range(start.number + 1, start.number + size):
        frame = frames.get(number)
        if frame is None or frame.starts_record:
            break
        found.append(frame)
    return found


def _record(frames: list[Frame], room: int) -> Record | None:
    """Return the record that these frames hold, None when it is damaged or unpacks to more than `room`."""
    word, crc = _RECORD.unpack_from(frames[0].payload)
    data = b"".join(frame.payload for frame in frames)[_RECORD.size : _RECORD.size + (word >> 8)]
    if zlib.crc32(data) != crc:
        return None
    try:
        return Record(word & 0xFF, unpack(data, room), frames[0].number, frames[-1].number)
    except ValueError:
        return None


def _ranges(numbers: Iterable[int]) -> tuple[tuple[int, int], ...]:
    ranges: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return tuple(ranges)


def _line(words: str) -> bytes:
    """Return a request with its check; the line end before it ends whatever came in by mistake."""
    body = words.encode("ascii")
    return b"\n%b *%04x\n" % (body, binascii.crc_hqx(body, 0xFFFF))
