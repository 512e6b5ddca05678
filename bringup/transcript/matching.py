"""Finds the known texts in one writer's stream, however it is cut into pieces and padded with white space.

The work per byte is bounded: a fixed tail is kept, one search goes over text without white space, and what is
collected around a text is of fixed size.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import accumulate
from typing import NamedTuple

from bringup.base.once import made_once
from bringup.transcript import redrawn, wordings
from bringup.transcript.alternatives import any_of
from bringup.transcript.blocks import LOOK_BACK_MAX, FaultBlock, block_of
from bringup.transcript.failures.table import FAILURES
from bringup.transcript.markers import KERNEL_USER_ERROR, KNOWN_PROMPTS, LOGIN_WORD, MARKERS, Failure, Marker

SPACE = bytes(range(0x21)) + b"\x7f"
_TAIL = 2048
_SPAN_MAX = 512
_BEFORE, _AFTER = 240, 160
_DIGITS = {"%d": "[0-9]{1,10}", "%x": "[0-9a-fA-F]{1,16}"}
_LONGEST_NUMBER = 16
_ANCHOR = 6
_STRIDE = 256

_BREAKS = re.compile(rb"[\r\n]+")
_BREAK = re.compile(rb"[\r\n]")
_NEWLINE = ord("\n")
_PROMPT = re.compile(rb"([A-Za-z0-9][A-Za-z0-9._-]{0,63})[ \t]+login:")
_NOT_HOSTS = frozenset(
    (b"last", b"failed", b"invalid", b"incorrect", b"enter", b"please", b"user", b"remote")
)


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """A known text: a stage marker, a failure, a login prompt or a kernel user error (`meaning` None).

    There is one object of each.
    """

    text: str
    line_start: bool
    meaning: Marker | Failure | None
    is_prompt: bool = False
    block: FaultBlock | None = None

    @property
    def squeezed(self) -> str:
        """The text without white space."""
        return "".join(self.text.split())

    @property
    def head(self) -> str:
        """The squeezed text up to its first number."""
        return re.split("%[dx]", self.squeezed)[0]

    def has_space_after(self, count: int) -> bool:
        """Return whether white space follows the first `count` other characters, if no number is in them."""
        left = count
        for position, character in enumerate(self.text):
            if left == 0 or self.text.startswith(("%d", "%x"), position):
                return left == 0 and character.isspace()
            left -= not character.isspace()
        return False

    def expression(self) -> str:
        """Return the regular expression of the squeezed text."""
        parts = re.split(r"(%[dx])", self.squeezed)
        return "".join(_DIGITS.get(part) or re.escape(part) for part in parts)


@dataclass(slots=True)
class Found:
    """A text that was found, `offset` bytes into the console; `line` grows until its line ends.

    `before` holds the lines before it, `after` what follows its line, each only where the text's block is
    read; `whole` says whether the block has ended as it should, `behind` how much of the
    line follows the text. What is `early` counts before a kernel only.
    """

    pattern: Pattern
    line_no: int
    at_s: float
    offset: int
    line: bytearray
    before: bytes = b""
    after: bytearray = field(default_factory=bytearray)
    room: int = _AFTER
    wants: int = 0
    host: str = ""
    behind: int = 0
    early: bool = False

    @property
    def whole(self) -> bool:
        """Whether nothing of the text's block is missing."""
        block = self.pattern.block
        return block is None or block.ends is None or block.has_ended(bytes(self.after))

    @property
    def is_open(self) -> bool:
        """Whether more of it may come."""
        return self.room > 0 or self.wants > 0

    def extend(self, text: bytes) -> None:
        """Take what follows in the same stream."""
        if self.room:
            rest = text[: self.room]
            ends = [end for end in (rest.find(b"\n"), rest.find(b"\r")) if end >= 0]
            taken = min(ends) if ends else len(rest)
            self.line += rest[:taken]
            self.behind += taken
            self.room = 0 if ends else self.room - taken
            text = text[taken:]
        if not self.room and self.wants:
            self.after += text[: self.wants]
            self.wants = max(0, self.wants - len(text))
            block = self.pattern.block
            if block is not None and block.has_ended(bytes(self.after)):
                self.wants = 0


_Hit = tuple[Pattern, int, int]


class Piece(NamedTuple):
    """Where a piece of a writer's text lies: in that text, and on the whole console (bytes, line feeds)."""

    begin: int
    offset: int
    lines: int


@cache
def patterns() -> tuple[Pattern, ...]:
    """Return every known text."""
    rows: tuple[Marker | Failure, ...] = (*MARKERS, *FAILURES)
    known = [Pattern(row.text, row.line_start, row, block=block_of(row)) for row in rows]
    known.append(Pattern(KERNEL_USER_ERROR, False, None))
    known.append(Pattern(LOGIN_WORD, False, None, is_prompt=True))
    return tuple(known)


@dataclass(frozen=True, slots=True)
class _Group:
    """Patterns that hold `anchor`, each with where: it is looked for first."""

    anchor: bytes
    members: tuple[tuple[int, re.Pattern[bytes], Pattern], ...]


def _rarity(text: str) -> tuple[int, int]:
    """Return how common a text's characters are in logs, less is rarer: the first one stops a search."""
    common = [5 if c in "eationsrdlc0" else 3 if c.islower() or c in "123456789:.[]" else 1 for c in text]
    return 2 * common[0] + sum(common[:2]), sum(common)


def _anchor(head: str) -> str:
    windows = [head[begin : begin + _ANCHOR] for begin in range(max(1, len(head) - _ANCHOR + 1))]
    return min(windows, key=_rarity)


@cache
def _groups() -> tuple[_Group, ...]:
    members: dict[str, list[Pattern]] = {}
    for head, pattern in sorted(((each.head, each) for each in patterns()), key=lambda pair: len(pair[0])):
        anchor = next((known for known in members if known in head), None)
        members.setdefault(anchor or _anchor(head), []).append(pattern)
    return tuple(
        _Group(
            anchor.encode(),
            tuple((p.head.index(anchor), re.compile(p.expression().encode()), p) for p in of_anchor),
        )
        for anchor, of_anchor in members.items()
    )


@made_once()
def _anchors() -> tuple[re.Pattern[bytes], Mapping[bytes, tuple[_Group, ...]]]:
    """Return what finds every anchor, and the groups of those that begin as the text found does."""
    groups = _groups()
    expression = re.compile(any_of(group.anchor.decode() for group in groups).encode())
    starts = {group.anchor: tuple(g for g in groups if group.anchor.startswith(g.anchor)) for group in groups}
    return expression, starts


@cache
def reach() -> int:
    """Return the length of the longest text without white space, in bytes."""
    return max(len(item.squeezed) + _LONGEST_NUMBER * item.text.count("%") for item in patterns())


def find_new(squeezed: bytes, old: int) -> list[tuple[Pattern, int, int]]:
    """Return (pattern, start, end) of every text that ends behind `old`, in the order of their ends."""
    hits = []
    anchors, groups = _anchors()
    anchor = anchors.search(squeezed, max(0, old - reach() + 1))
    while anchor is not None:
        place = anchor.start()
        for depth, expression, pattern in (each for group in groups[anchor[0]] for each in group.members):
            whole = expression.match(squeezed, place - depth) if place >= depth else None
            if whole is not None and whole.end() > old:
                hits.append((pattern, whole.start(), whole.end()))
        anchor = anchors.search(squeezed, place + 1)
    hits.sort(key=lambda hit: (hit[2], hit[1]))
    return hits


@cache
def _by_text() -> dict[str, Pattern]:
    return {pattern.text: pattern for pattern in patterns()}


def _find_redrawn(
    squeezed: bytes, old: int, found: list[tuple[Pattern, int, int]]
) -> list[tuple[Pattern, int, int]]:
    """Return the hits that only a search for characters sent twice finds beside those `found`."""
    hits = redrawn.find(squeezed, max(0, old - 2 * reach()), old)
    known = {(pattern.text, end) for pattern, _, end in found}
    return [(_by_text()[text], start, end) for text, start, end in hits if (text, end) not in known]


def _find_worded(squeezed: bytes, old: int) -> list[_Hit]:
    return [(_by_text()[text], start, end) for text, start, end in wordings.find(squeezed, old)]


def _begins_early(hits: Iterable[_Hit]) -> bool:
    """Return whether firmware or a loader speaks in what was found."""
    meanings = (pattern.meaning for pattern, _, _ in hits)
    return any(isinstance(each, Marker) and each.family in ("firmware", "loader") for each in meanings)


def _is_generic(pattern: Pattern) -> bool:
    return isinstance(pattern.meaning, Failure) and pattern.meaning.generic


class Matcher:
    """Reads the text of one writer."""

    def __init__(self) -> None:
        self._tail = b""
        self._history = b""  # what came before the tail: only reports look so far back
        self._from_start = True
        self._open: list[Found] = []
        self._muted: set[Pattern] = set()
        self._read = 0  # characters that are not white space
        self._overlaps = wordings.Overlaps()

    def mute(self, pattern: Pattern) -> None:
        """Find this text no more: enough of it was told."""
        self._muted.add(pattern)

    def start_boot(self) -> None:
        """Find every text again."""
        self._muted.clear()

    def feed(
        self,
        block: bytes,
        pieces: Sequence[Piece],
        at_s: float,
        seams: Iterable[tuple[Pattern, int]] = (),
        *,
        early: bool = False,
        drawn: bool = False,
    ) -> tuple[list[Found], list[Found]]:
        """Read `block`; return (texts found now, texts that are complete now).

        `pieces` say where the block's parts lie on the console. `seams` are texts that began in another
        writer's text, with the number of squeezed characters of `block` they take. `early` text
        may be of firmware or a loader; if `drawn`, of a screen drawn anew, with characters that come twice.
        """
        done = self._continue(block)
        text = _Window(self._history, self._tail, block, self._from_start, pieces)
        hits = find_new(text.squeezed, text.old)
        twice = _find_redrawn(text.squeezed, text.old, hits) if early and drawn else []
        worded = _find_worded(text.squeezed, text.old) if early or _begins_early(hits) else []
        hits += [(pattern, -1, text.old + count) for pattern, count in seams]
        found = list(self._accepted(text, [*hits, *twice], worded, set(twice), at_s))
        for item in found:
            (self._open if item.is_open else done).append(item)
        self._from_start = self._from_start and len(text.raw) <= _TAIL
        self._history = (self._history + text.raw[:-_TAIL])[-LOOK_BACK_MAX:]
        self._tail = text.raw[-_TAIL:]
        return found, done

    def _accepted(
        self,
        text: _Window,
        hits: Iterable[_Hit],
        worded: Iterable[_Hit],
        twice: Collection[_Hit],
        at_s: float,
    ) -> Iterator[Found]:
        """Yield what counts of all that was found, in the order of the ends, a wording behind a text."""
        base = self._read - text.old
        self._read = base + len(text.squeezed)
        known = [(hit, False) for hit in hits] + [(hit, True) for hit in worded]
        for hit, by_words in sorted(known, key=lambda each: (each[0][2], each[1], _is_generic(each[0][0]))):
            pattern, start, end = hit
            if pattern in self._muted:
                continue
            item = text.accept(*hit, at_s, early=by_words or hit in twice)
            failure = pattern.meaning
            if item is None or (
                isinstance(failure, Failure)
                and start >= 0
                and not self._overlaps.admits(failure, base + start, base + end, wording=by_words)
            ):
                continue
            yield item

    def _continue(self, block: bytes) -> list[Found]:
        """Append `block` to the texts still open; return those that end in it."""
        for item in self._open:
            item.extend(block)
        return self._take([item for item in self._open if not item.is_open])

    def release(self, older_than_s: float) -> list[Found]:
        """Return texts found before `older_than_s` that have not ended yet."""
        return self._take([item for item in self._open if item.at_s <= older_than_s])

    def forget(self, items: Iterable[Found]) -> None:
        """Read no further around these texts."""
        unwanted = {id(item) for item in items}
        if unwanted and self._open:
            self._open = [item for item in self._open if id(item) not in unwanted]

    def _take(self, done: list[Found]) -> list[Found]:
        self.forget(done)
        return done


class _Window:
    """What is kept of a stream and a new block of it, raw and without white space."""

    def __init__(
        self, history: bytes, tail: bytes, block: bytes, from_start: bool, pieces: Sequence[Piece]
    ) -> None:
        self._history = history
        self.raw = tail + block
        self.squeezed = self.raw.translate(None, SPACE)
        self.old = len(tail.translate(None, SPACE))
        self._new = len(tail)
        self._from_start = from_start
        self._pieces = pieces
        self._counts: Sequence[int] | None = None

    @cached_property
    def _breaks(self) -> Sequence[int]:
        """Where the raw text's lines end, by either character."""
        return [found.start() for found in _BREAK.finditer(self.raw)]

    @cached_property
    def _newlines(self) -> Sequence[int]:
        return [at for at in self._breaks if self.raw[at] == _NEWLINE]

    def _raw_index(self, position: int) -> int:
        """Return where the squeezed text's character at `position` is in the raw text."""
        if self._counts is None:
            sizes = (len(self.raw[at : at + _STRIDE].translate(None, SPACE)) for at in self._strides())
            self._counts = [0, *accumulate(sizes)]
        stride = bisect_right(self._counts, position) - 1
        begin, ahead, size = stride * _STRIDE, position - self._counts[stride], _STRIDE
        while size > 1:
            size //= 2
            left = len(self.raw[begin : begin + size].translate(None, SPACE))
            if ahead >= left:
                begin, ahead = begin + size, ahead - left
        return begin

    def _strides(self) -> range:
        return range(0, len(self.raw), _STRIDE)

    def _line_begin(self, position: int) -> int | None:
        """Return where the line holding raw `position` begins, None when that is not kept any more."""
        before = bisect_left(self._breaks, position)
        begin = self._breaks[before - 1] + 1 if before else 0
        return None if begin == 0 and not self._from_start else begin

    def _place(self, last: int) -> tuple[int, int]:
        """Return (line number, offset) on the console of raw `last`, which is in the new block."""
        inside = last - self._new
        piece = self._pieces[bisect_right(self._pieces, inside, key=lambda piece: piece.begin) - 1]
        newlines = bisect_left(self._newlines, last) - bisect_left(self._newlines, self._new + piece.begin)
        lines = piece.lines + newlines + 1
        return lines, piece.offset + inside - piece.begin

    def accept(
        self, pattern: Pattern, start: int, end: int, at_s: float, *, early: bool = False
    ) -> Found | None:
        """Return the text found at squeezed [start, end), None where it does not count."""
        last = self._raw_index(end - 1)
        first = last if start < 0 else self._raw_index(start)
        if last - first >= _SPAN_MAX or (pattern.line_start and (start < 0 or not self._begins_line(first))):
            return None
        begin = self._line_begin(last) or 0
        line_no, offset = self._place(last)
        whole = self._joined(pattern, first, last) if first < begin else self.raw[begin : last + 1]
        line = bytearray(whole[-_BEFORE:])
        item = Found(pattern, line_no, at_s, offset, line, early=early)
        if pattern.is_prompt:
            known = start >= 0 and self._line_begin(last) is not None
            host = _prompt_host(self.raw[begin : last + 1]) if known else None
            if host is None:
                return None
            item.host, item.room = host, 0
            return item
        if pattern.block is not None:
            item.wants = pattern.block.after
            item.before = self._before(begin, pattern.block.before)
        item.extend(self.raw[last + 1 :])
        return item

    def _before(self, begin: int, size: int) -> bytes:
        """Return `size` bytes of what came before raw `begin`, fewer at the stream's beginning."""
        older = size - begin
        return (
            self.raw[max(0, begin - size) : begin]
            if older <= 0
            else self._history[-older:] + self.raw[:begin]
        )

    def _joined(self, pattern: Pattern, first: int, last: int) -> bytes:
        """Return the line up to `last` of a text that begins on an earlier one, as terminals wrap it.

        A space that the break stands for is put back.
        """
        begin = self._line_begin(first) or 0
        rows = [row for row in _BREAKS.split(self.raw[first : last + 1]) if row.strip(SPACE)]
        joined = rows[0]
        for row in rows[1:]:
            done = len(joined.translate(None, SPACE))
            joined = (
                joined.rstrip(SPACE) + (b" " if pattern.has_space_after(done) else b"") + row.lstrip(SPACE)
            )
        return self.raw[begin:first] + joined

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
