"""The verdict on a recorded console, by the same rules as that on a live boot. Pure.

A recording has no clock that can be trusted and no network: what counts is the text. Each boot in it is
judged for itself, by `Progress` as a live one is; the end of the text is the end of what can be known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from bringup.boot.progress import Progress
from bringup.boot.verdict import Verdict
from bringup.boot.watch_request import WatchRequest
from bringup.transcript.stages import Sighting, StageReader
from bringup.transcript.stamps import LineCleaner
from bringup.transcript.told import activity, as_event

_BOOTS_MAX = 256
# A line takes about this long at 115200 baud; it puts texts that stand together within seconds of each other.
_LINE_S = 0.005
# A file that was being written when its machine went down has zeros where its last text would be.
_HOLES = b"\0"


@dataclass(frozen=True, slots=True)
class RecordedBoot:
    """One boot of a recording: its first and last line, and how it ended."""

    first_line: int
    last_line: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Recording:
    """The boots of a recording, oldest first: the last 256 of `count`."""

    boots: tuple[RecordedBoot, ...]
    count: int
    lines: int

    @property
    def verdict(self) -> Verdict:
        """How the last boot ended."""
        return self.boots[-1].verdict


def judge_recording(pieces: Iterable[bytes], request: WatchRequest, *, said: str | None = None) -> Recording:
    """Judge the console text in `pieces`; raises UsageError for texts to wait for that are no expressions.

    `said` is the stage that the run waited for which recorded it, where that is known.
    """
    reader = request.reader()
    cleaner = LineCleaner()
    judge = _Judge(request, reader, cleaner, said)
    for piece in pieces:
        judge.take(reader.feed(cleaner.feed(piece.translate(None, _HOLES)), 0.0))
    judge.take(reader.feed(cleaner.finish(), 0.0))
    judge.take(reader.finish(0.0))
    return judge.end()


class _Judge:
    """Gives the sightings of each boot to a judge of its own."""

    def __init__(
        self, request: WatchRequest, reader: StageReader, cleaner: LineCleaner, said: str | None
    ) -> None:
        self._said = said
        self._cleaner = cleaner
        self._request = replace(request, netboot=False, recorded=True)
        self._reader = reader
        self._boots: list[RecordedBoot] = []
        self._count = 1
        self._boot = 0
        self._first_line = 1
        self._progress = Progress(self._request)

    def take(self, sightings: Iterable[Sighting]) -> None:
        """Take sightings in the order of the console."""
        for sighting in sorted(sightings, key=lambda each: each.boot):
            while sighting.boot > self._boot:
                self._next_boot(sighting.line_no)
            if sighting.boot == self._boot:
                self._progress.feed(as_event(replace(sighting, at_s=sighting.line_no * _LINE_S)))

    def _next_boot(self, line_no: int) -> None:
        self._close(line_no - 1)
        self._boot += 1
        self._count += 1
        self._first_line = line_no
        self._progress = Progress(self._request)

    def _close(self, last_line: int) -> None:
        verdict = _without_times(
            self._progress.ended(last_line * _LINE_S, said=self._said or self._cleaner.until)
        )
        self._boots = [*self._boots[-_BOOTS_MAX + 1 :], RecordedBoot(self._first_line, last_line, verdict)]

    def end(self) -> Recording:
        """Return all boots; nothing more comes."""
        lines = self._reader.lines_seen
        self._progress.feed(activity(self._reader, lines * _LINE_S))
        self._close(lines)
        return Recording(tuple(self._boots), self._count, lines)


def _without_times(verdict: Verdict) -> Verdict:
    """Return the verdict without times: those counted here are no seconds of anybody's."""
    stages = tuple(replace(stage, at_s=None) for stage in verdict.stages)
    return replace(verdict, at_s=None, stages=stages)
