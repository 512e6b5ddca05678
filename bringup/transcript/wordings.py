"""Finds what firmware and loaders say in words that vary: in any case, with other punctuation.

A wording (`Failure.also`) is compared without regard to case. A blank in it stands for white space and up to
three characters that are neither letters nor digits, `[a|b|]` for either word or none, `%d` and `%x` for
numbers, `%2` for two hexadecimal digits, `%s` for up to 60 characters, `%:` for the end of a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from bringup.transcript.alternatives import any_of
from bringup.transcript.failures.firmware import FIRMWARE
from bringup.transcript.failures.loader import LOADER
from bringup.transcript.failures.pxe import PXE
from bringup.transcript.markers import Failure

ROWS: tuple[Failure, ...] = (*FIRMWARE, *PXE, *LOADER)
_SOME_MAX = 60
_GAP = "[^a-z0-9]{0,3}"
_PLACES = {
    "%d": "[0-9]{1,10}",
    "%x": "[0-9a-f]{1,16}",
    "%2": "[0-9a-f]{2}",
    # A quoted message is somebody's word about it.
    "%s": f'[^"]{{0,{_SOME_MAX}}}?',
    "%:": "(?:[:.-]|[a-z]{3})",
}
_PART = re.compile(r"(%[dx2s:]|[][|])")
_SIGNS = {"[": "(?:", "]": ")", "|": "|"}
_EITHER = re.compile(r"\[([^][]*)\]")


@dataclass(frozen=True, slots=True, eq=False)
class _Wording:
    """A wording of a row, and words of which it has one: only where they are it is looked for."""

    row: str
    text: str
    anchors: tuple[str, ...]

    def expression(self) -> re.Pattern[bytes]:
        """Return the regular expression of the text in small letters and without white space."""
        parts = (_PLACES.get(part) or _SIGNS.get(part) or _plain(part) for part in _PART.split(self.text))
        return re.compile("".join(parts).encode(), re.DOTALL)


def _plain(text: str) -> str:
    return _GAP.join(map(re.escape, re.split(r"\s+", text.lower())))


def _anchors(text: str) -> tuple[str, ...]:
    """Return the longest word that a wording always has, or such a word of each of its choices."""
    always, *choices = [re.sub("%[dx2s:]|\\[.*?\\]", " ", text), *_EITHER.findall(text)]
    options = [[always], *(choice.split("|") for choice in choices)]
    words = [tuple(max(option.split(), key=len, default="") for option in each) for each in options]
    return max(words, key=lambda each: min(map(len, each)))


@cache
def _wordings() -> tuple[_Wording, ...]:
    return tuple(_Wording(row.text, text, _anchors(text.lower())) for row in ROWS for text in row.also)


@cache
def _by_anchor() -> dict[bytes, list[_Wording]]:
    known: dict[bytes, list[_Wording]] = {}
    for wording in _wordings():
        for anchor in dict.fromkeys(wording.anchors):
            known.setdefault(anchor.encode(), []).append(wording)
    return known


@cache
def _any_anchor() -> tuple[re.Pattern[bytes], Mapping[bytes, tuple[bytes, ...]]]:
    """Return what finds the longest of these words at a place, and which others begin as each does."""
    known = _by_anchor()
    beginnings = {word: tuple(each for each in known if word.startswith(each)) for word in known}
    return re.compile(any_of(word.decode() for word in known).encode()), beginnings


def _present(text: bytes) -> set[bytes]:
    """Return which of these words are in a text."""
    words: set[bytes] = set()
    expression, beginnings = _any_anchor()
    found = expression.search(text)
    while found is not None:
        words.update(beginnings[found[0]])
        found = expression.search(text, found.start() + 1)
    return words


@cache
def _compiled(anchor: bytes) -> tuple[tuple[str, re.Pattern[bytes]], ...]:
    return tuple((wording.row, wording.expression()) for wording in _by_anchor()[anchor])


@cache
def reach() -> int:
    """Return the most characters without white space that a wording takes."""
    longest = (
        _EITHER.sub(lambda either: max(either[1].split("|"), key=len), each.text) for each in _wordings()
    )
    return max(len(text) + 2 * text.count(" ") + _SOME_MAX * text.count("%") for text in longest)


def _spans(text: bytes, anchor: bytes) -> Iterator[tuple[int, int]]:
    """Yield (begin, end) of what may belong to a wording that has this word, as few and as long as may be."""
    place = text.find(anchor)
    while place >= 0:
        begin = last = place
        while 0 <= place <= last + 2 * reach():
            last, place = place, text.find(anchor, place + 1)
        yield max(0, begin - reach()), last + reach()


def find(squeezed: bytes, old: int) -> list[tuple[str, int, int]]:
    """Return (row's text, start, end) of each wording in `squeezed` that ends behind `old`.

    In the order of their ends; of those with one end the shortest first.
    """
    begin = max(0, old - reach())
    text = squeezed[begin:].lower()
    hits = set()
    for anchor in _present(text):
        for first, last in _spans(text, anchor):
            for row, expression in _compiled(anchor):
                found = expression.search(text, first, last)
                while found is not None:
                    hits.add((row, found.start() + begin, found.end() + begin))
                    found = expression.search(text, found.start() + 1, last)
    return sorted((hit for hit in hits if hit[2] > old), key=lambda hit: (hit[2], -hit[1]))


class Overlaps:
    """Tells one message once, though several texts and wordings find it. Places count from the beginning."""

    def __init__(self) -> None:
        self._ends: dict[str, tuple[int, bool]] = {}
        self._specific = 0

    def admits(self, failure: Failure, start: int, end: int, *, wording: bool) -> bool:
        """Return whether what was found there, behind all that was asked before, is a message of its own."""
        told_to, by_wording = self._ends.get(failure.code, (0, False))
        if told_to > start and (wording or by_wording):
            return False
        if wording and failure.generic and self._specific > start:
            return False
        self._ends[failure.code] = end, wording
        if not failure.generic:
            self._specific = end
        return True
