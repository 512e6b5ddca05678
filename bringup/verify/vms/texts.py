"""One console of several VMs, taken apart: each writer's text, from any moment on. Pure.

The SerialServer gives every client a colour (global-components SerialServer src/serial.c), by which
`transcript.streams` tells them apart. Its line ends come as CR LF CR or CR LF, and NULs stray into words:
NULs go, and every run of CR and LF is one line end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bringup.transcript.streams import Demultiplexer, Writer

KEPT = 1 << 18
"""How many of a writer's last characters are kept."""
_LINE_ENDS = re.compile(r"[\r\n]+")


class _Text:
    """The end of a text that grows; places in it are counted from its very beginning."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._gone = 0
        self.end = 0

    def add(self, text: str) -> None:
        self._pieces.append(text)
        self.end += len(text)
        if self.end - self._gone > 2 * KEPT:
            self._pieces = ["".join(self._pieces)[-KEPT:]]
            self._gone = self.end - KEPT

    def since(self, place: int) -> str:
        text = "".join(self._pieces)
        self._pieces = [text]
        return text[max(0, place - self._gone) :]


@dataclass(frozen=True, slots=True)
class Place:
    """Where every writer's text, and all of it, was at one moment."""

    all: int
    writers: Mapping[Writer, int]


class Texts:
    """Takes a console's bytes as they come, and gives each writer's text since any moment."""

    def __init__(self) -> None:
        self._streams = Demultiplexer()
        self._all = _Text()
        self._writers: dict[Writer, _Text] = {}

    def receive(self, data: bytes) -> None:
        """Take bytes, however they are cut."""
        for writer, piece in self._streams.feed(data):
            text = piece.decode("latin-1")
            self._all.add(text)
            self._writers.setdefault(writer, _Text()).add(text)

    def place(self) -> Place:
        """Return now."""
        return Place(self._all.end, {writer: text.end for writer, text in self._writers.items()})

    def all_since(self, place: Place) -> str:
        """Return everybody's text since then, in the order it came."""
        return lines_of(self._all.since(place.all))

    def since(self, place: Place, writer: Writer) -> str:
        """Return one writer's text since then."""
        text = self._writers.get(writer)
        return "" if text is None else lines_of(text.since(place.writers.get(writer, 0)))

    def heard_since(self, place: Place) -> dict[Writer, str]:
        """Return the text of everyone who wrote something since then."""
        told = {writer: self.since(place, writer) for writer in self._writers}
        return {writer: text for writer, text in told.items() if text}


def lines_of(text: str) -> str:
    """Return text with one line feed for every run of line ends."""
    return _LINE_ENDS.sub("\n", text)
