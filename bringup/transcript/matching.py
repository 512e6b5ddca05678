"""Finds the known texts in one writer's stream, however it is cut into pieces and padded with white space.

The work per byte is bounded: a fixed tail is kept, one search goes over text without white space, and each
text is reported a bounded number of times.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from bringup.transcript.failures.table import FAILURES
from bringup.transcript.markers import KERNEL_USER_ERROR, KNOWN_PROMPTS, LOGIN_WORD, MARKERS, Failure, Marker

SPACE = bytes(range(0x21)) + b"\x7f"
_TAIL = 1024
_SPAN_MAX = 512
_TIMES_MAX = 8
_BEFORE, _AFTER = 240, 160
_DIGITS = {"%d": "[0-9]{1,10}", "%x": "[0-9a-fA-F]{1,16}"}
_LONGEST_NUMBER = 16

_PROMPT = re.compile(rb"([A-Za-z0-9][A-Za-z0-9._-]{0,63})[ \t]+login:")
_NOT_HOSTS = frozenset(
    (b"last", b"failed", b"invalid", b"incorrect", b"enter", b"please", b"user", b"remote")
)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A known text: a stage marker, a failure, a login prompt or a kernel user error (`meaning` None)."""

    text: str
    line_start: bool
    meaning: Marker | Failure | None
    is_prompt: bool = False

    @property
    def squeezed(self) -> str:
        """The text without white space."""
        return "".join(self.text.split())

    @property
    def head(self) -> str:
        """The squeezed text up to its first number."""
        return re.split("%[dx]", self.squeezed)[0]

    def expression(self) -> str:
        """Return the regular expression of the squeezed text."""
        parts = re.split(r"(%[dx])", self.squeezed)
        return "".join(_DIGITS.get(part) or re.escape(part) for part in parts)


@dataclass(slots=True)
class Found:
    """A text that was found; `line` grows until its line ends."""

    pattern: Pattern
    line_no: int
    at_s: float
    line: bytearray
    room: int = _AFTER
    host: str = ""


@dataclass(frozen=True, slots=True)
class _Group:
    """Patterns whose texts begin with `head`; looking for a fixed text is what runs at memory speed."""

    head: bytes
    members: tuple[tuple[re.Pattern[bytes], Pattern], ...]


def patterns() -> tuple[Pattern, ...]:
    """Return every known text."""
    rows: tuple[Marker | Failure, ...] = (*MARKERS, *FAILURES)
    known = [Pattern(row.text, row.line_start, row) for row in rows]
    known.append(Pattern(KERNEL_USER_ERROR, False, None))
    known.append(Pattern(LOGIN_WORD, False, None, is_prompt=True))
    return tuple(known)


@cache
def _groups() -> tuple[_Group, ...]:
    by_head: dict[str, list[Pattern]] = {}
    head = None
    for pattern in sorted(patterns(), key=lambda pattern: pattern.head):
        # Sorted, so a text that begins with another one comes right behind it.
        if head is None or not pattern.head.startswith(head):
            head = pattern.head
        by_head.setdefault(head, []).append(pattern)
    return tuple(
        _Group(head.encode(), tuple((re.compile(item.expression().encode()), item) for item in members))
        for head, members in by_head.items()
    )


@cache
def reach() -> int:
    """Return the length of the longest text without white space, in bytes."""
    return max(len(item.squeezed) + _LONGEST_NUMBER * item.text.count("%") for item in patterns())


def find_new(squeezed: bytes, old: int) -> list[tuple[Pattern, int, int]]:
    """Return (pattern, start, end) of every text that ends behind `old`, in the order of their ends."""
    hits = []
    begin = max(0, old - reach() + 1)
    for group in _groups():
        start = squeezed.find(group.head, begin)
        while start >= 0:
            for expression, pattern in group.members:
                whole = expression.match(squeezed, start)
                if whole is not None and whole.end() > old:
                    hits.append((pattern, start, whole.end()))
            start = squeezed.find(group.head, start + 1)
    hits.sort(key=lambda hit: (hit[2], hit[1]))
    return hits


class Matcher:
    """Reads the text of one writer."""

    def __init__(self) -> None:
        self._tail = b""
        self._from_start = True
        self._times: dict[Pattern, int] = {}
        self._open: list[Found] = []

    def feed(
        self, block: bytes, lines_before: int, at_s: float, seams: Iterable[tuple[Pattern, int]] = ()
    ) -> tuple[list[Found], list[Found]]:
        """Read `block`; return (texts found now, texts whose line is complete now).

        `lines_before` counts the line feeds on the whole console before the block. `seams` are texts that
        began in another writer's text, with the number of squeezed characters of `block` they take.
        """
        done = self._continue(block)
        text = _Window(self._tail, block, self._from_start)
        found: list[Found] = []
        hits = find_new(text.squeezed, text.old)
        hits += [(pattern, -1, text.old + count) for pattern, count in seams]
        for pattern, start, end in hits:
            if self._times.get(pattern, 0) >= _TIMES_MAX:
                continue
            item = text.accept(pattern, start, end, lines_before, at_s)
            if item is None:
                continue
            if not pattern.is_prompt:
                self._times[pattern] = self._times.get(pattern, 0) + 1
            found.append(item)
            (self._open if item.room else done).append(item)
        self._from_start = self._from_start and len(text.raw) <= _TAIL
        self._tail = text.raw[-_TAIL:]
        return found, done

    def _continue(self, block: bytes) -> list[Found]:
        """Append `block` to the lines still open; return those that end in it."""
        done = []
        for item in self._open:
            _extend(item, block)
            if not item.room:
                done.append(item)
        if done:
            self._open = [item for item in self._open if item.room]
        return done

    def release(self, older_than_s: float) -> list[Found]:
        """Return texts found before `older_than_s` whose line has not ended yet."""
        done = [item for item in self._open if item.at_s <= older_than_s]
        if done:
            self._open = [item for item in self._open if item.at_s > older_than_s]
        return done


def _extend(item: Found, text: bytes) -> None:
    rest = text[: item.room]
    ends = [end for end in (rest.find(b"\n"), rest.find(b"\r")) if end >= 0]
    if ends:
        item.line += rest[: min(ends)]
        item.room = 0
    else:
        item.line += rest
        item.room -= len(rest)


class _Window:
    """What is kept of a stream and a new block of it, raw and without white space."""

    def __init__(self, tail: bytes, block: bytes, from_start: bool) -> None:
        self.raw = tail + block
        self.squeezed = self.raw.translate(None, SPACE)
        self.old = len(tail.translate(None, SPACE))
        self._new = len(tail)
        self._from_start = from_start
        self._index: Sequence[int] | None = None

    def _raw_index(self, position: int) -> int:
        if self._index is None:
            self._index = [i for i, byte in enumerate(self.raw) if byte > 0x20 and byte != 0x7F]
        return self._index[position]

    def _line_begin(self, position: int) -> int | None:
        """Return where the line holding raw `position` begins, None when that is not kept any more."""
        begin = max(self.raw.rfind(b"\n", 0, position), self.raw.rfind(b"\r", 0, position)) + 1
        return None if begin == 0 and not self._from_start else begin

    def accept(self, pattern: Pattern, start: int, end: int, lines: int, at_s: float) -> Found | None:
        """Return the text found at squeezed [start, end), None where it does not count."""
        last = self._raw_index(end - 1)
        first = last if start < 0 else self._raw_index(start)
        if last - first >= _SPAN_MAX or (pattern.line_start and (start < 0 or not self._begins_line(first))):
            return None
        begin = self._line_begin(last) or 0
        item = Found(
            pattern,
            lines + self.raw.count(b"\n", self._new, last) + 1,
            at_s,
            bytearray(self.raw[max(begin, last + 1 - _BEFORE) : last + 1]),
        )
        if pattern.is_prompt:
            known = start >= 0 and self._line_begin(last) is not None
            host = _prompt_host(self.raw[begin : last + 1]) if known else None
            if host is None:
                return None
            item.host, item.room = host, 0
        else:
            _extend(item, self.raw[last + 1 :])
        return item

    def _begins_line(self, first: int) -> bool:
        begin = self._line_begin(first)
        return begin is not None and not self.raw[begin:first].translate(None, SPACE)


def _prompt_host(line: bytes) -> str | None:
    """Return the host of `HOST login:`, None when the line is something else that ends in these words."""
    squeezed = line.translate(None, SPACE).decode("ascii", "replace")
    for prompt in KNOWN_PROMPTS:
        if squeezed == "".join(prompt.split()):
            return prompt.split()[0]
    match = _PROMPT.fullmatch(line.strip())
    if match is None or match.group(1).lower() in _NOT_HOSTS:
        return None
    return match.group(1).decode("ascii")
