"""How the command line writes: people's text on stderr, JSON on stdout, colours where they are wanted."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal, TextIO

from bringup.base.errors import BringupError, OutputError

Mark = Literal["ok", "bad", "idle", "note"]

# mark -> (glyph, what stands for it where the encoding has no such character, SGR colour)
_GLYPHS: dict[str, tuple[str, str, str]] = {
    "ok": ("●", "*", "32"),
    "bad": ("✖", "x", "31"),
    "idle": ("○", "o", "2"),
    "note": ("·", "-", "2"),
}
_SGR = re.compile(r"\x1b\[[0-9;]*m")
# Everything that could move the cursor, turn writing round or reprogram a terminal; texts may quote what a
# board printed.
_CONTROL = re.compile(
    r"\x1b(?!\[[0-9;]*m)"
    r"|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)
# What stands for our own signs where the encoding has no such character.
_IN_ASCII = {ord("…"): "...", ord("→"): "->", ord("·"): "-"}
_RESET = "\x1b[0m"


class NobodyListensError(Exception):
    """The reader of our output went away; click would make a failure of it (exit 1)."""


def is_terminal() -> bool:
    """Return whether people's text goes to a terminal that can redraw a line."""
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def wants_colour() -> bool:
    """Return whether colours are shown: on a terminal, unless NO_COLOR is set (no-color.org)."""
    return is_terminal() and not os.environ.get("NO_COLOR")


def plain(text: str) -> str:
    """Return `text` with everything but colours that could steer a terminal shown as `?`."""
    return _CONTROL.sub("?", text)


def say(text: str = "") -> None:
    """Write `text` and a newline for people, on stderr; control characters in it are shown as `?`.

    Without a stderr (`2>&-`) nobody wants to be told.
    """
    if sys.stderr is None:
        return
    text = plain(text)
    if _SGR.search(text):
        text = text + _RESET if wants_colour() else _SGR.sub("", text)
    if not _can_encode(text):
        text = text.translate(_IN_ASCII)
    try:
        _write(sys.stderr, text + "\n")
    except OSError:
        # Nobody can be told (a log on a full disk); the exit code still tells.
        _give_up_on(sys.stderr)


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
    emit_text(json.dumps(body, default=str) + "\n")


def emit_text(text: str) -> None:
    """Write text on stdout as it is; raises OutputError when it cannot be written."""
    # Python has no stream for a descriptor that was closed before it started (`>&-`).
    if sys.stdout is None:
        raise OutputError("cannot write to standard output: it is closed")
    try:
        _write(sys.stdout, text)
    except OSError as error:
        _give_up_on(sys.stdout)
        reason = (error.strerror or "it failed").lower()
        raise OutputError(f"cannot write to standard output: {reason}") from None


def _write(stream: TextIO, text: str) -> None:
    # Not click.echo: on an ASCII stream it writes UTF-8 all the same.
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        raise NobodyListensError from None


def _give_up_on(stream: TextIO) -> None:
    """Send what a stream still holds back, and all that follows, to nowhere: it cannot be written."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


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
    if as_json and not isinstance(error, OutputError):
        told = {"verdict": error.fault, "exit_code": error.exit_code}
        # Where the object cannot be written, the sentence still tells.
        with suppress(OutputError):
            emit_json({**told, "cause": error.message, "hint": error.hint})
            return
    # One sentence is one line, also when it quotes a name with a line end in it.
    message = " ".join(error.message.splitlines())
    say(f"{glyph('bad')} {error.fault}: {message}  {faint(f'(exit {error.exit_code})')}")
    if error.hint:
        say(f"do        {error.hint}")


def _table_line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell + " " * (width - len(_SGR.sub("", cell))) for cell, width in zip(cells, widths, strict=True)
    ]
    return "  ".join(padded).rstrip()


def _can_encode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode((sys.stderr and sys.stderr.encoding) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
