"""What the terminal, file or pipe behind a stream can hold: columns, colours, which characters."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterable, Iterator
from typing import TextIO

from bringup.report.style import colourless, ends_plain, harmless

_NARROWEST, _WIDEST = 60, 200
# Files and pipes: as wide as a page of this tool's other reports.
_PAGE = 118
# What stands for our own signs where the encoding has no such character.
_IN_ASCII = str.maketrans(
    {"●": "*", "✖": "x", "○": "o", "…": "...", "→": "->", "·": ";", "├": "|", "└": "`", "│": "|", "─": "-"}
)


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a stream goes to a terminal that can redraw a line; None is a closed one."""
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def wants_colour(stream: TextIO | None) -> bool:
    """Return whether colours are shown: on a terminal, unless NO_COLOR is set (no-color.org)."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def fitted(text: str, stream: TextIO) -> str:
    """Return `text` as `stream` can show it; control characters in it are shown as `?`."""
    text = harmless(text)
    text = ends_plain(text) if wants_colour(stream) else colourless(text)
    encoding = stream.encoding or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_IN_ASCII).encode(encoding, "backslashreplace").decode(encoding)
    return text


def screen_width(stream: TextIO | None = None) -> int:
    """Return the columns to write for: $COLUMNS, else the terminal's, else a page; within reason.

    `stream` is where it goes, stdout where none is given.
    """
    given = os.environ.get("COLUMNS", "")
    if given.isascii() and given.isdigit() and 0 < len(given) < 6 and int(given):
        return max(_NARROWEST, min(int(given), _WIDEST))
    try:
        columns = os.get_terminal_size((stream or sys.stdout).fileno()).columns
    except (AttributeError, OSError, ValueError):  # no stream, or no terminal
        return _PAGE
    return max(_NARROWEST, min(columns or _PAGE, _WIDEST))


def fold_width(stream: TextIO | None = None) -> int | None:
    """Return the columns to break long sentences at; None where a program reads them, line by line.

    `stream` is where they go, stdout where none is given.
    """
    stream = stream or sys.stdout
    return screen_width(stream) if is_terminal(stream) else None


def folded(lines: Iterable[str], width: int | None, indent: int = 8) -> Iterator[str]:
    """Yield lines broken at words to `width` columns, the rest below `indent`; None: as they are."""
    for line in lines:
        if width is None or len(line) <= width:
            yield line
        else:
            yield from textwrap.wrap(
                line,
                width,
                subsequent_indent=" " * indent,
                break_on_hyphens=False,
                break_long_words=False,
            )
