"""Known texts that another writer cut in two: the head begins a line, the rest begins one of the next two.

A console that two programs write on has such lines. They are looked for only where something generic failed,
since there a reason must have been said. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from bringup.transcript.markers import Failure

# Fewer characters begin many a line by chance, unless the other half is long.
_HEAD_MIN = 4
_REST_MIN = 3
_LONG = 8
_LINES_BETWEEN = 2
_NUMBER = re.compile(r"(?:0x)?%[dx]|0x[0-9a-f]+|[0-9]+")


def spliced(lines: Sequence[str], rows: Sequence[Failure]) -> tuple[Failure, tuple[str, str]] | None:
    """Return the first of `rows` whose text lies in two of the lines, with them; None for none."""
    squeezed = [_even(line) for line in lines]
    for row in rows:
        text = _even(row.text)
        for head, rest in _halves(squeezed, text):
            return row, (lines[head], lines[rest])
    return None


def _even(text: str) -> str:
    """Return a text without white space, with 0 for every number and every place of one."""
    return _NUMBER.sub("0", "".join(text.split()))


def _are_telling(head: int, rest: int) -> bool:
    """Return whether halves of so many characters begin two lines by no chance."""
    return (head >= _HEAD_MIN and rest >= _REST_MIN) or (rest > 0 and max(head, rest) >= _LONG)


def _halves(lines: Sequence[str], text: str) -> Iterator[tuple[int, int]]:
    """Yield the numbers of the lines that begin with the two halves of a text."""
    for head, line in enumerate(lines):
        pairs = enumerate(zip(line, text, strict=False))
        longest = next((length for length, (a, b) in pairs if a != b), min(len(line), len(text)))
        if longest == len(text):
            return  # it is there in one piece
        for length in range(longest, 0, -1):
            if not _are_telling(length, len(text) - length):
                continue
            for rest in range(head + 1, min(head + 1 + _LINES_BETWEEN, len(lines))):
                if lines[rest].startswith(text[length:]):
                    yield head, rest
