"""Known texts that another writer cut in two: the head begins a line, the rest begins one of the next two.

A console that two programs write on has such lines. They are looked for only where something generic failed,
since there a reason must have been said. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bringup.transcript.markers import Failure

# Fewer characters begin many a line by chance.
_HEAD_MIN = 4
_REST_MIN = 3
_LINES_BETWEEN = 2


def spliced(lines: Sequence[str], rows: Sequence[Failure]) -> tuple[Failure, tuple[str, str]] | None:
    """Return the first of `rows` whose text lies in two of the lines, with them; None for none."""
    squeezed = ["".join(line.split()) for line in lines]
    for row in rows:
        text = "".join(row.text.split())
        for head, rest in _halves(squeezed, text):
            return row, (lines[head], lines[rest])
    return None


def _halves(lines: Sequence[str], text: str) -> Iterator[tuple[int, int]]:
    """Yield the numbers of the lines that begin with the two halves of a text."""
    for head, line in enumerate(lines):
        pairs = enumerate(zip(line, text, strict=False))
        longest = next((length for length, (a, b) in pairs if a != b), min(len(line), len(text)))
        if longest == len(text):
            return  # it is there in one piece
        longest = min(longest, len(text) - _REST_MIN)
        for length in range(longest, _HEAD_MIN - 1, -1):
            for rest in range(head + 1, min(head + 1 + _LINES_BETWEEN, len(lines))):
                if lines[rest].startswith(text[length:]):
                    yield head, rest
