"""Carries out a list of writes, barriers and comparisons through a ramdisk, and says how far it came.

What was found right already is not sent again: of each large part its first bytes are hashed on the disk, and
all of it where those are right. What reads back wrong is sent once more, then the job ends.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from bringup.base.errors import DiskError
from bringup.disk.commit import CHUNK_BYTES, Action, Chunk, Compare, Flush, Write, chunks
from bringup.disk.pieces import Pieces, Zeros
from bringup.probe.agent import Content

_LOOK_BYTES = 64 << 10
"""How much of a part is hashed to see whether it may be there already."""
_HASHES_AT_ONCE = 32
_PARTS_AT_ONCE = 4
"""How many parts are read back by one order: each order costs a board time, and progress waits for it."""
_AGAIN = 2


class Writing(Protocol):
    """What can be done to a disk; every method raises DiskError."""

    def write(self, disk: str, offset: int, length: int, content: Content) -> None:
        """Write whole sectors."""
        ...

    def hashes(self, disk: str, ranges: Sequence[tuple[int, int]]) -> tuple[str, ...]:
        """Return the SHA-256 of ranges."""
        ...

    def flush(self, disk: str) -> None:
        """Return when the drive has kept what was written."""
        ...


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a list of actions came: `done` of `size` bytes of one phase, `began_s` when that began.

    `phase` is a verb: writing, reading back. `skipped` bytes of it were there already.
    """

    phase: str
    what: str
    done: int
    size: int
    began_s: float
    skipped: int = 0

    def rate(self, now_s: float) -> float:
        """Return bytes a second so far, 0 where nothing was moved yet."""
        return (self.done - self.skipped) / max(now_s - self.began_s, 0.001)

    def left_s(self, now_s: float) -> float | None:
        """Return the seconds that are left at this rate."""
        rate = self.rate(now_s)
        return (self.size - self.done) / rate if rate > 0 else None


Tell = Callable[[Reached], None]


class CarryOut:
    """Acts on one disk. `tell` hears of every part that was moved, and of the end of each phase."""

    def __init__(
        self, agent: Writing, disk: str, sector_bytes: int, tell: Tell, *, chunk_bytes: int = CHUNK_BYTES
    ) -> None:
        self._agent = agent
        self._disk = disk
        self._sector_bytes = sector_bytes
        self._tell = tell
        self._chunk_bytes = chunk_bytes
        self._written: dict[int, list[Chunk]] = {}
        self.sent_bytes = 0
        self.skipped_bytes = 0

    def all(self, actions: Sequence[Action]) -> None:
        """Carry out a list in its order; raises DiskError at the first thing that fails.

        Raises ImageError where a file is not what it was any more.
        """
        for action in actions:
            match action:
                case Write():
                    self._write(self._whole_sectors(action))
                case Flush():
                    self._agent.flush(self._disk)
                case Compare():
                    self._compare(action)

    def _whole_sectors(self, write: Write) -> Write:
        """Return a write with its last sector filled up: past the page cache nothing else is written."""
        rest = -write.content.size % self._sector_bytes
        return replace(write, content=Pieces.of(*write.content.parts, Zeros(rest))) if rest else write

    def _write(self, write: Write) -> None:
        size, done, skipped, began_s = write.content.size, 0, 0, time.monotonic()
        parts = list(chunks(write, self._chunk_bytes))
        there = self._already_there(parts)
        self._written[write.offset] = parts
        for part in parts:
            if part.offset in there:
                skipped += part.length
                self.skipped_bytes += part.length
            else:
                self._send(part)
            done += part.length
            self._tell(Reached("writing", write.what, done, size, began_s, skipped))

    def _send(self, part: Chunk) -> None:
        for again in range(_AGAIN, -1, -1):
            try:
                self._agent.write(self._disk, part.offset, part.length, part.blocks)
                break
            except DiskError as error:
                if error.why != "fetch":
                    raise
                deque(part.blocks(), maxlen=0)  # raises where the file here is why nothing came
                if not again:
                    raise
        self.sent_bytes += part.length

    def _already_there(self, parts: Sequence[Chunk]) -> set[int]:
        """Return the places of the parts that the disk has already; small ones are not worth the question.

        Parts go in their order, and the first one has the time of writing in it: where the second is not
        there, what follows is not, either.
        """
        large = [part for part in parts if part.length == self._chunk_bytes]
        if not self._likely(large[1:2] or large):
            return set()
        likely = self._likely(large)
        return {part.offset for part in likely} - {part.offset for part in self._wrong_of(likely)}

    def _likely(self, parts: Sequence[Chunk]) -> list[Chunk]:
        """Return the parts whose first bytes are on the disk."""
        heads = self._hashes([(part.offset, _LOOK_BYTES) for part in parts])
        return [part for part, found in zip(parts, heads, strict=True) if found == _head(part)]

    def _hashes(self, ranges: Sequence[tuple[int, int]]) -> list[str]:
        found: list[str] = []
        for at in range(0, len(ranges), _HASHES_AT_ONCE):
            found += self._agent.hashes(self._disk, ranges[at : at + _HASHES_AT_ONCE])
        return found

    def _compare(self, compare: Compare) -> None:
        parts = self._written.get(compare.offset)
        if parts is None:
            (found,) = self._agent.hashes(self._disk, [(compare.offset, compare.length)])
            if found != compare.sha256:
                raise _wrong(compare.what)
            return
        size, done, began_s = sum(part.length for part in parts), 0, time.monotonic()
        for at in range(0, len(parts), _PARTS_AT_ONCE):
            some = parts[at : at + _PARTS_AT_ONCE]
            self._read_back(some, compare.what)
            done += sum(part.length for part in some)
            self._tell(Reached("reading back", compare.what, done, size, began_s))

    def _read_back(self, parts: Sequence[Chunk], what: str) -> None:
        wrong = self._wrong_of(parts)
        for part in wrong:
            self._send(part)
        if wrong:
            self._agent.flush(self._disk)
            if self._wrong_of(wrong):
                raise _wrong(what)

    def _wrong_of(self, parts: Sequence[Chunk]) -> list[Chunk]:
        """Return the parts that the disk has other bytes of."""
        found = self._hashes([(part.offset, part.length) for part in parts])
        return [part for part, digest in zip(parts, found, strict=True) if digest != part.sha256]


def _head(part: Chunk) -> str:
    return part.write.content.sha256(part.offset - part.write.offset, _LOOK_BYTES)


def _wrong(what: str) -> DiskError:
    return DiskError(
        f"{what} reads back as other bytes than were written, twice",
        "other",
        hint="the disk is not to be trusted: replace it",
    )
