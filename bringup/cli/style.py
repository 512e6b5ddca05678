"""How the command line writes: people's text on stderr, JSON on stdout, colours where they are wanted."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from typing import Any, Literal, TextIO

from bringup.errors import BringupError

Mark = Literal["ok", "bad", "idle", "note"]

# mark -> (glyph, what stands for it where the encoding has no such character, SGR colour)
_GLYPHS: dict[str, tuple[str, str, str]] = {
    "ok": ("●", "*", "32"),
    "bad": ("✖", "x", "31"),
    "idle": ("○", "o", "2"),
    "note": ("·", "-", "2"),
}
_SGR = re.compile(r"\x1b\[[0-9;]*m")
# Everything that could move the cursor or reprogram a terminal; texts may quote what a board printed.
_CONTROL = re.compile(r"\x1b(?!\[[0-9;]*m)|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]")
_RESET = "\x1b[0m"


class NobodyListensError(Exception):
    """The reader of our output went away; click would make a failure of it (exit 1)."""


def is_terminal() -> bool:
    """Return whether people's text goes to a terminal that can redraw a line."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def wants_colour() -> bool:
    """Return whether colours are shown: on a terminal, unless NO_COLOR is set (no-color.org)."""
    return is_terminal() and not os.environ.get("NO_COLOR")


def plain(text: str) -> str:
    """Return `text` with everything but colours that could steer a terminal shown as `?`."""
    return _CONTROL.sub("?", text)


def say(text: str = "") -> None:
    """Write `text` and a newline for people, on stderr; control characters in it are shown as `?`."""
    text = plain(text)
    if _SGR.search(text):
        text = text + _RESET if wants_colour() else _SGR.sub("", text)
    _write(sys.stderr, text)


def glyph(mark: str) -> str:
    """Return the sign of a mark ("ok", "bad", "idle", "note"), coloured if colours are wanted."""
    sign, plain, colour = _GLYPHS[mark]
    if not _can_encode(sign):
        sign = plain
    return f"\x1b[{colour}m{sign}{_RESET}" if wants_colour() else sign


def emphasis(text: str) -> str:
    """Return `text` in bold if colours are wanted."""
    return f"\x1b[1m{text}{_RESET}" if wants_colour() else text


def faint(text: str) -> str:
    """Return `text` dimmed if colours are wanted."""
    return f"\x1b[2m{text}{_RESET}" if wants_colour() else text


def emit_json(body: Any) -> None:
    """Write one JSON value as one line on stdout; what JSON cannot hold is written as its text."""
    _write(sys.stdout, json.dumps(body, default=str))


def _write(stream: TextIO, text: str) -> None:
    # Not click.echo: on an ASCII stream it writes UTF-8 all the same.
    try:
        stream.write(text + "\n")
        stream.flush()
    except BrokenPipeError:
        raise NobodyListensError from None


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return an aligned table as text; the last column is not padded."""
    body = [[_CONTROL.sub("?", cell) for cell in row] for row in rows]
    widths = [max(len(_SGR.sub("", row[i])) for row in [list(headers), *body]) for i in range(len(headers))]
    lines = [_table_line(headers, widths)]
    lines[0] = faint(lines[0])
    lines += [_table_line(row, widths) for row in body]
    return "\n".join(lines)


def show_error(error: BringupError, *, as_json: bool) -> None:
    """Tell a failure: whose fault, what, and what to do; with `as_json` one object on stdout instead."""
    if as_json:
        emit_json(
            {
                "verdict": error.fault,
                "exit_code": error.exit_code,
                "cause": error.message,
                "hint": error.hint,
            }
        )
        return
    say(f"{glyph('bad')} {error.fault}: {error.message}  {faint(f'(exit {error.exit_code})')}")
    if error.hint:
        say(f"do        {error.hint}")


def _table_line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell + " " * (width - len(_SGR.sub("", cell))) for cell, width in zip(cells, widths, strict=True)
    ]
    return "  ".join(padded).rstrip()


def _can_encode(text: str) -> bool:
    try:
        text.encode(sys.stderr.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
