"""What the screen that people's text goes to can hold: its columns, and which characters."""

from __future__ import annotations

import os
import sys

from bringup.report.style import is_terminal

_NARROWEST, _WIDEST = 60, 200
# Files and pipes: as wide as a page of this tool's other reports.
_PAGE = 118


def screen_width() -> int:
    """Return the columns to write for: $COLUMNS, else the terminal's, else a page; within reason."""
    given = os.environ.get("COLUMNS", "")
    if given.isascii() and given.isdigit() and 0 < len(given) < 6 and int(given):
        return max(_NARROWEST, min(int(given), _WIDEST))
    try:
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
    except (AttributeError, OSError, ValueError):  # no stderr, or no terminal
        return _PAGE
    return max(_NARROWEST, min(columns or _PAGE, _WIDEST))


def fold_width() -> int | None:
    """Return the columns to break long sentences at; None where a program reads them, line by line."""
    return screen_width() if is_terminal() else None


def can_show(characters: str) -> bool:
    """Return whether the encoding of people's text has these characters."""
    try:
        characters.encode((sys.stderr and sys.stderr.encoding) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
