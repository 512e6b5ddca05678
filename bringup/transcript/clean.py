"""Makes console output safe to show: what a board prints must not reprogram the terminal of who reads it.

Kept are printable ASCII, line ends, tabs and backspaces, colours, and plain movements of the cursor. Gone is
what sets titles, clipboards, modes, fonts or windows, what makes a terminal answer, and every byte above
0x7f (in an 8-bit terminal 0x80-0x9f are the same controls as ESC @ to ESC _, ECMA-48 5.3); frames drawn in
UTF-8 become ASCII.
"""

from __future__ import annotations

import codecs
import re

_KEPT_CONTROLS = "\b\t\n\r"
# These end control strings, and are of no use where there is none.
_ENDS = "\x07\x18\x1a"
_NO_ENDS = dict.fromkeys(map(ord, _ENDS))
# Final bytes of ECMA-48 8.3: up, down, forward, back, next/previous line, column, position, erase, row, SGR.
_SEQUENCE = re.compile(r"\x1b\[[0-9;]{0,32}[ABCDEFGHJKdfm]")
# A control string, a CSI, or any other escape; a control string may also be cut off by a line end.
_FOREIGN = re.compile(
    r"\x1b(?:[\]PX^_][^\x07\x1b\n\r\x18\x1a]*(?:\x07|\x1b\\|(?=[\x1b\n\r\x18\x1a]|\Z))"
    r"|\[[0-?]*[ -/]*[@-~]?"
    r"|[ -/]*[0-~]?)"
)
_UNFINISHED = re.compile(r"\x1b(?:[\]PX^_][^\x07\x1b\n\r\x18\x1a]*\x1b?|\[[0-?]*[ -/]*|[ -/]*)?\Z")
_CARRY_MAX = 4096
_FRAMES = {0x2500: "-", 0x2502: "|", 0x2550: "=", 0x2551: "|"}
_ESCAPE_ANY = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def _ascii(character: str) -> str:
    code = ord(character)
    if character == "\x1b" or character in _KEPT_CONTROLS or character in _ENDS or 0x20 <= code < 0x7F:
        return character
    if code < 0xA0:
        return ""
    if 0x2500 <= code < 0x2580:
        return _FRAMES.get(code, "+")
    return "?"


class TerminalFilter:
    """Filters a console for a terminal, whatever way its bytes are cut into pieces."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._carry = ""

    def feed(self, data: bytes) -> bytes:
        """Return the part of `data` that may be shown now; what is undecided yet comes with the next call."""
        text = self._carry + "".join(map(_ascii, self._decode(data)))
        self._carry = ""
        unfinished = _UNFINISHED.search(text)
        if unfinished is not None:
            if len(unfinished.group()) <= _CARRY_MAX:
                self._carry = unfinished.group()
            text = text[: unfinished.start()]
        return _keep(text).encode("ascii")


def _keep(text: str) -> str:
    shown = []
    position = 0
    while (escape := text.find("\x1b", position)) >= 0:
        shown.append(text[position:escape])
        kept = _SEQUENCE.match(text, escape)
        if kept is not None:
            shown.append(kept.group())
            position = kept.end()
        else:
            foreign = _FOREIGN.match(text, escape)
            position = escape + 1 if foreign is None else max(foreign.end(), escape + 1)
    shown.append(text[position:])
    return "".join(shown).translate(_NO_ENDS)


def for_terminal(data: bytes) -> bytes:
    """Return `data` as it may be shown; an escape sequence that it ends in the middle of is left out."""
    return TerminalFilter().feed(data)


def plain_text(data: bytes) -> str:
    """Return one line as text for logs and reports: no escape sequences, no controls but tabs.

    What was backspaced over is left out, as on a terminal.
    """
    if data.isascii() and (text := data.translate(None, b"\r\n").decode("ascii")).isprintable():
        return text
    shown: list[str] = []
    for character in _ESCAPE_ANY.sub("", for_terminal(data).decode("ascii")):
        if character == "\b":
            del shown[-1:]
        elif character == "\t" or character >= " ":
            shown.append(character)
    return "".join(shown)
