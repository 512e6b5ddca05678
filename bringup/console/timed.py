"""A recorded console with the times of its lines: of a run's folder, or with stamps before them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bringup.base.regular_file import is_folder
from bringup.console.log import ConsoleIndex, log_path
from bringup.console.recorded import recorded_pieces
from bringup.transcript.stamps import LineCleaner

_LINE_MAX = 4096
# Dates as our own console, `ts`, picocom and others write them; without a zone they are taken for UTC.
_DATE = re.compile(
    rb"^\[?(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?(Z|[+-]\d\d:?\d\d)?\]?:? {0,2}"
)
_EPOCH = re.compile(rb"^\[?(\d{10}\.\d{1,9})\]?:? {1,2}")


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text and when it came, seconds since the epoch; None where nobody says."""

    at_s: float | None
    text: bytes


def timed_pieces(source: Path) -> Iterator[Piece]:
    """Yield the text of a recorded console in its order; raises UsageError for what cannot be read.

    `source` is a file, `-`, or a run's folder, whose index has the times.
    """
    folder = source if is_folder(source) else source.parent
    if is_folder(source) or source.name == log_path(folder).name:
        index = ConsoleIndex(folder)
        if index.origin_s is not None:
            yield from _indexed(source, index, index.origin_s)
            return
    yield from _stamped(source)


def _indexed(source: Path, index: ConsoleIndex, origin_s: float) -> Iterator[Piece]:
    offset = 0
    for line in _lines(source):
        at_s = index.at(offset)
        offset += len(line)
        yield Piece(None if at_s is None else origin_s + at_s, line)


def _stamped(source: Path) -> Iterator[Piece]:
    """Yield lines by their stamps; without any, the text as other programs' additions are taken off it."""
    cleaner: LineCleaner | None = None
    for line in _lines(source):
        if cleaner is None:
            at_s, text = read_stamp(line)
            if at_s is not None:
                yield Piece(at_s, text)
                continue
            cleaner = LineCleaner()
        at_s, text = read_stamp(line)
        yield Piece(at_s, text if at_s is not None else cleaner.feed(line))
    if cleaner is not None:
        yield Piece(None, cleaner.finish())


def _lines(source: Path) -> Iterator[bytes]:
    rest = b""
    for piece in recorded_pieces(source):
        *lines, rest = (rest + piece).split(b"\n")
        yield from (line + b"\n" for line in lines)
        if len(rest) > _LINE_MAX:
            yield rest
            rest = b""
    if rest:
        yield rest


def read_stamp(line: bytes) -> tuple[float | None, bytes]:
    """Return when a line came, seconds since the epoch, by its stamp, and the line without it (pure)."""
    if match := _DATE.match(line):
        date, clock, fraction, zone = (part.decode() if part else "" for part in match.groups())
        try:
            moment = datetime.fromisoformat(f"{date}T{clock}{_zone(zone)}")
        except ValueError:
            return None, line
        return moment.timestamp() + (float(f"0.{fraction}") if fraction else 0.0), line[match.end() :]
    if match := _EPOCH.match(line):
        return float(match[1]), line[match.end() :]
    return None, line


def _zone(text: str) -> str:
    return "+00:00" if text in ("", "Z") else text
