"""Two runs side by side: what was booted, how long each stage took, the first console line that differs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from bringup.base.events import is_time
from bringup.base.stage import Stage
from bringup.boot.folders import RunFolder
from bringup.console.log import read_log

Line = tuple[int, str]
"""A line of a console with its number."""

_CONTEXT = 3
_BYTES_MAX = 4 << 20  # what a busy console at 115200 baud says in six minutes
_MARK = re.compile(r"-- SOL lost [0-9.]{1,12} s --")
_WHAT = ("board", "profile", "firmware", "loader", "until")

# What two runs of one image never share: times, addresses, and the numbers of this boot.
_PLAIN = (
    (re.compile(r"\[ {0,8}\d{1,9}\.\d{3,9}\]"), "[T]"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?Z?"), "TIME"),
    (re.compile(r"\b[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}\b"), "MAC"),
    (re.compile(r"\b\d\d:\d\d:\d\d(?:\.\d{1,9})?\b"), "TIME"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?\b"), "IP"),
    (re.compile(r"\b0x[0-9A-Fa-f]{1,32}\b"), "0xN"),
    (re.compile(r"\b(?=[0-9A-Fa-f]*\d)[0-9A-Fa-f]{8,64}\b"), "HEX"),
    (re.compile(r"\b\d{1,12}(?:\.\d{1,9})? ?(?:s|ms|us|ns|seconds|cycles|MHz|kHz|Hz)\b"), "N"),
    (re.compile(r"\s{1,200}"), " "),
)


@dataclass(frozen=True, slots=True)
class StageTimes:
    """When each run reached a stage, and how long after the one before (seconds); None: not, or unseen."""

    stage: str
    good_at_s: float | None
    bad_at_s: float | None
    good_took_s: float | None
    bad_took_s: float | None


@dataclass(frozen=True, slots=True)
class FirstDifference:
    """The first line of the consoles that differs; a line of None: that console ends before it.

    Line numbers count all lines of that console; `before` are the lines that both have before it.
    """

    good_number: int | None
    good_line: str | None
    bad_number: int | None
    bad_line: str | None
    before: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two runs do not share; `what` is (name, good, bad) of what was booted and how it ended."""

    good: str
    bad: str
    what: tuple[tuple[str, str, str], ...]
    stages: tuple[StageTimes, ...]
    console: FirstDifference | None
    same_lines: int


def compare_runs(good: RunFolder, bad: RunFolder) -> Comparison:
    """Return what two runs do not share; of each console 4 MiB are read."""
    same, console = first_difference(_lines(good), _lines(bad))
    return Comparison(
        good.run_id, bad.run_id, tuple(_what(good, bad)), tuple(_stages(good, bad)), console, same
    )


def normalised(line: str) -> str:
    """Return a line without what two boots of one image never share: times, addresses, lengths of time."""
    for pattern, word in _PLAIN:
        line = pattern.sub(word, line)
    return line.strip()


def first_difference(good: Iterable[Line], bad: Iterable[Line]) -> tuple[int, FirstDifference | None]:
    """Return how many lines of two consoles agree, and where they part, None where they do not.

    Empty lines count for nothing.
    """
    before: list[str] = []
    same = 0
    for one, other in zip_longest(_said(good), _said(bad)):
        if one is not None and other is not None and normalised(one[1]) == normalised(other[1]):
            same += 1
            before = [*before[-_CONTEXT + 1 :], one[1]]
            continue
        (number, line), (bad_number, bad_line) = one or (None, None), other or (None, None)
        return same, FirstDifference(number, line, bad_number, bad_line, tuple(before))
    return same, None


def _said(lines: Iterable[Line]) -> Iterator[Line]:
    return (each for each in lines if normalised(each[1]))


def _lines(run: RunFolder) -> Iterator[Line]:
    """Yield the console's lines with their numbers; what this host marked in it is no text of the board."""
    for number, (_, line) in enumerate(read_log(run.path, limit=_BYTES_MAX), start=1):
        if not _MARK.fullmatch(line):
            yield number, line


def _what(good: RunFolder, bad: RunFolder) -> Iterator[tuple[str, str, str]]:
    plans = [run.read_json("plan.json") or {} for run in (good, bad)]
    images = [_image(plan) for plan in plans]
    rows: list[tuple[str, list[Any]]] = [(name, [plan.get(name) for plan in plans]) for name in _WHAT]
    rows.append(("image", [f"{image.get('title')} {str(image.get('key'))[:12]}" for image in images]))
    rows.append(("kernel words", [image.get("kernel_args") for image in images]))
    rows.append(("verdict", [_ended(run) for run in (good, bad)]))
    for name, (one, other) in rows:
        if one != other:
            yield name, _shown(one), _shown(other)


def _image(plan: Mapping[str, Any]) -> Mapping[str, Any]:
    image = plan.get("image")
    return image if isinstance(image, dict) else {}


def _ended(run: RunFolder) -> str:
    verdict = run.read_json("verdict.json") or {}
    if not verdict:
        ended = run.without_verdict()
        return "verdict.json is damaged" if ended == "damaged" else ended
    return f"{verdict.get('verdict')}: {verdict.get('cause')}"


def _shown(value: object) -> str:
    return "-" if value is None else str(value)


def _stages(good: RunFolder, bad: RunFolder) -> Iterator[StageTimes]:
    ours, theirs = _times(good), _times(bad)
    for stage in map(str, Stage):
        if stage in ours or stage in theirs:
            (at, took), (bad_at, bad_took) = ours.get(stage, (None, None)), theirs.get(stage, (None, None))
            yield StageTimes(stage, at, bad_at, took, bad_took)


def _times(run: RunFolder) -> dict[str, tuple[float | None, float | None]]:
    """Return when each stage was reached and the seconds since the ones before it whose times are known.

    A stage may be proved later than the next one (power is confirmed while the firmware speaks): that took
    no time.
    """
    verdict = run.read_json("verdict.json") or {}
    found: dict[str, tuple[float | None, float | None]] = {}
    before_s: float | None = None
    for row in verdict.get("stages") or ():
        at_s = row.get("at_s")
        at = float(at_s) if is_time(at_s) else None
        took = None if at is None or before_s is None else round(max(0.0, at - before_s), 3)
        found[str(row.get("name"))] = at, took
        before_s = before_s if at is None else max(at, before_s or at)
    return found
