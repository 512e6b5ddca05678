"""Takes a console apart into the streams of those who write on it: escape sequences out, one text per writer.

A CAmkES system multiplexes all VMs on one line and announces each change of writer by a colour: a reset, then
the writer's own colour (global-components SerialServer src/serial.c). The colour is the writer's badge, and
guests have a white background. A VMM and its guest call over two connections with badges of their own, so
one VM may well have two colours; which belong together only the image's capDL file tells (`vms.py`). The
kernel's own lines interrupt anybody, in bold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Part = Literal["plain", "kernel", "vmm", "guest"]


@dataclass(frozen=True, slots=True, eq=False)
class Writer:
    """Who wrote: a client of the SerialServer by its colour, the kernel about itself, or anybody else.

    There is one object of each. `badge` is the number that the client calls the server with, None where the
    colour does not tell it.
    """

    part: Part
    colour: str = ""
    badge: int | None = None

    @property
    def is_client(self) -> bool:
        """Whether the SerialServer wrote this for one of its clients."""
        return self.part in ("vmm", "guest")


PLAIN = Writer("plain")
KERNEL = Writer("kernel")

# In the order of badges; number 6 lacks a comma in the server's table and so is two sequences in a row.
_COLOURS = ("31", "32", "34", "35", "33", "36", "31;1 32;1", "34;1", "35;1", "33;1", "36;1")
# What that entry becomes where the comma is there; the badges behind it are then others.
_MENDED = ("31;1", "32;1")


def _clients() -> dict[tuple[bytes, ...], Writer]:
    table: dict[tuple[bytes, ...], Writer] = {}
    parts: tuple[tuple[Part, str], ...] = (("vmm", ""), ("guest", ";47"))
    for part, background in parts:
        badges: list[tuple[str, int | None]] = [(colour, badge) for badge, colour in enumerate(_COLOURS)]
        badges += [(colour, None) for colour in _MENDED]
        for colour, badge in badges:
            codes = [code.partition(";") for code in colour.split()]
            run = tuple(f"{code}{background}{bold and ';' + bold}".encode() for code, _, bold in codes)
            table[run] = Writer(part, colour, badge)
    return table


_CLIENTS = _clients()
_RESETS = (b"", b"0")
_RUN_MAX = 8

# ECMA-48 5.4 (CSI) and 5.6 (control strings); lengths are bounded because the text is hostile.
# Up to eight colours in a row count as one sequence.
_SEQUENCE = re.compile(
    rb"\x1b(?:\[([0-?]{0,32}(?:m\x1b\[[0-?]{0,32}){0,7})m"
    rb"|\[([0-?]{0,32})[ -/]{0,2}([@-~])"
    rb"|[\]PX^_][ -~\x80-\xff]{0,256}(?:\x07|\x1b\\)"
    rb"|[ -/]{0,2}[0-OQ-WYZ\\`-~])?"
)
_UNFINISHED = re.compile(rb"\x1b(?:\[[0-?]{0,32}[ -/]{0,2}|[\]PX^_][ -~\x80-\xff]{0,256}\x1b?|[ -/]{0,2})?\Z")
_MOVES = b"ABEFHJdf"
_PLACES = re.compile(rb"([0-9]{1,3});([0-9]{1,3})")
_NEW_LINE = b"\r"
# Firmware that draws a screen anew may send a character twice and then name the true column.
_STEP_BACK_MAX, _GAP_MAX = 4, 80


class _Row:
    """Where on a row of the screen text is written, as far as the cursor was placed by numbers."""

    def __init__(self) -> None:
        self._row: bytes | None = None
        self._column = 0

    def write(self, text: bytes) -> None:
        """Take text that is written there."""
        if self._row is not None:
            self._column += len(text)
            if b"\n" in text or b"\r" in text:
                self._row = None

    def place(self, final: bytes, numbers: bytes) -> bytes:
        """Return what a movement of the cursor is as text: blanks on the same row, else a new line."""
        place = _PLACES.fullmatch(numbers) if final in b"Hf" else None
        if place is None:
            self._row = None
            return _NEW_LINE
        row, column = place.group(1).lstrip(b"0"), int(place.group(2))
        ahead = column - self._column
        same = row == self._row and -_STEP_BACK_MAX <= ahead <= _GAP_MAX
        self._row, self._column = row, column
        return b" " * max(0, ahead) if same else _NEW_LINE


class Demultiplexer:
    """Splits a stream of bytes into (writer, text) pieces; pieces do not depend on how the bytes arrived.

    Movements of the cursor become carriage returns, or blanks on one row; every other escape sequence and
    every NUL disappears. `draws` says whether the cursor was moved at all.
    """

    def __init__(self) -> None:
        self.draws = False
        self._row = _Row()
        self._carry = b""
        self._run: list[bytes] = []
        self._writer = PLAIN
        self._interrupted = PLAIN

    def feed(self, data: bytes) -> Iterator[tuple[Writer, bytes]]:
        """Yield the pieces of `data`, neighbours of one writer joined."""
        last: Writer | None = None
        joined: list[bytes] = []
        for writer, text in self._pieces(data):
            if writer is not last and last is not None:
                yield last, b"".join(joined)
                joined.clear()
            last = writer
            joined.append(text)
        if last is not None:
            yield last, b"".join(joined)

    def _pieces(self, data: bytes) -> list[tuple[Writer, bytes]]:
        data = self._carry + data.translate(None, b"\0")
        self._carry = b""
        unfinished = _UNFINISHED.search(data) if b"\x1b" in data else None
        if unfinished is not None:
            self._carry = unfinished.group()
            data = data[: unfinished.start()]
        pieces: list[tuple[Writer, bytes]] = []
        *parts, rest = _SEQUENCE.split(data)
        fields = iter(parts)
        for text, colours, numbers, final in zip(fields, fields, fields, fields, strict=True):
            if text:
                self._written(text, pieces)
            if colours is not None:
                self._run += colours.split(b"m\x1b[")[: _RUN_MAX - len(self._run)]
            elif final == b"m":
                self._run += [numbers][: _RUN_MAX - len(self._run)]
            elif final is not None and final in _MOVES:
                self.draws = True
                self._text(self._row.place(final, numbers), pieces)
        if rest:
            self._written(rest, pieces)
        return pieces

    def _written(self, text: bytes, pieces: list[tuple[Writer, bytes]]) -> None:
        if self.draws:
            self._row.write(text)
        self._text(text, pieces)

    def _text(self, text: bytes, pieces: list[tuple[Writer, bytes]]) -> None:
        if self._run and text:
            self._change_writer(text)
        if self._writer is KERNEL and text:
            line, end, text = text.partition(b"\n")
            pieces.append((KERNEL, line + end))
            if not end:
                return
            self._writer = self._interrupted
        if text:
            pieces.append((self._writer, text))

    def _change_writer(self, text: bytes) -> None:
        colours = None if self._writer is KERNEL else _after_reset(tuple(self._run))
        self._run.clear()
        if colours is None:
            return  # the kernel colours its own line; colours without a reset are the writer's own
        if colours == (b"1",) and text.startswith(b"<"):
            self._interrupted, self._writer = self._writer, KERNEL
        elif colours in _CLIENTS:
            self._writer = _CLIENTS[colours]
        elif len(colours) > 1:
            self._writer = PLAIN  # foreground and background apart: firmware (EDK2 TerminalDxe)


@lru_cache(maxsize=256)
def _after_reset(run: tuple[bytes, ...]) -> tuple[bytes, ...] | None:
    """Return the colours behind the last reset of a run, None where it has no reset."""
    resets = [position for position, code in enumerate(run) if code in _RESETS]
    return run[resets[-1] + 1 :] if resets else None
