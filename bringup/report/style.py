"""How texts for people look: signs, colours, tables; `output` takes off what a stream cannot show."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

Mark = Literal["ok", "bad", "idle"]
Tint = Literal["good", "warn", "bad", "faint", "bold"]

_TINTS: dict[Tint, str] = {"good": "32", "warn": "33", "bad": "31", "faint": "2", "bold": "1"}
_GLYPHS: dict[str, tuple[str, Tint]] = {"ok": ("●", "good"), "bad": ("✖", "bad"), "idle": ("○", "faint")}
_SGR = re.compile(r"\x1b\[[0-9;]*m")
# Everything that could move the cursor, turn writing round or reprogram a terminal; texts may quote what a
# board printed.
_CONTROL = re.compile(
    r"\x1b(?!\[[0-9;]*m)"
    r"|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)
_RESET = "\x1b[0m"


def harmless(text: str) -> str:
    """Return `text` with everything but colours that could steer a terminal shown as `?`."""
    return _CONTROL.sub("?", text)


def colourless(text: str) -> str:
    """Return `text` without its colours."""
    return _SGR.sub("", text)


def ends_plain(text: str) -> str:
    """Return `text` so that no colour in it reaches what follows."""
    return text + _RESET if _SGR.search(text) else text


def paint(text: str, tint: Tint | None) -> str:
    """Return `text` in a colour; None leaves it as it is."""
    return f"\x1b[{_TINTS[tint]}m{text}{_RESET}" if tint and text else text


def glyph(mark: Mark) -> str:
    """Return the sign of a mark, in its colour."""
    return paint(*_GLYPHS[mark])


def emphasis(text: str) -> str:
    """Return `text` in bold."""
    return paint(text, "bold")


def faint(text: str) -> str:
    """Return `text` dimmed."""
    return paint(text, "faint")


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return an aligned table as text; the last column is not padded."""
    body = [[harmless(cell).replace("\n", " ") for cell in row] for row in rows]
    widths = [max(len(colourless(row[i])) for row in [list(headers), *body]) for i in range(len(headers))]
    lines = [faint(_table_line(headers, widths))]
    lines += [_table_line(row, widths) for row in body]
    return "\n".join(lines)


def _table_line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell + " " * (width - len(colourless(cell))) for cell, width in zip(cells, widths, strict=True)]
    return "  ".join(padded).rstrip()
