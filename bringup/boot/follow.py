"""Follows a run by its folder, while another process works on it and afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from bringup.base.errors import InterruptedRunError
from bringup.base.events import Event
from bringup.boot.folders import EVENTS, RunFolder

VERDICT = "run.verdict"
_POLL_S = 0.1
# Between its folder and its first event a run writes a few small files.
_BEGINS_WITHIN_S = 5.0
# A run takes its lock a moment after it made the file.
_SILENCES = 3


def follow(
    run: RunFolder,
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Event]:
    """Yield the events of a run from its first to its verdict, each as soon as it is written.

    Their times are seconds since the run began. Raises InterruptedRunError for a run whose process ended
    without a verdict.
    """
    began_s = now()
    while not (run.path / EVENTS).exists() and now() - began_s < _BEGINS_WITHIN_S:
        sleep(_POLL_S)
    try:
        file = (run.path / EVENTS).open("rb")
    except OSError:
        raise _ended(run) from None
    with file:
        rest, silences = b"", 0
        while silences < _SILENCES:
            went_on = run.goes_on  # asked first: what is written before the end is read after it
            data = file.read()
            *lines, rest = (rest + data).split(b"\n")
            for event in _events(lines):
                yield event
                if event.kind == VERDICT:
                    return
            silences = 0 if went_on or data else silences + 1
            sleep(_POLL_S)
    raise _ended(run)


def _events(lines: Iterable[bytes]) -> Iterator[Event]:
    for line in lines:
        with suppress(ValueError, KeyError):  # another schema, or torn by a full disk
            yield Event.from_json(line)


def _ended(run: RunFolder) -> InterruptedRunError:
    return InterruptedRunError(
        f"run {run.run_id} ended without a verdict: its process was killed",
        hint=f"what it saw: bringup runs show {run.run_id} --events",
    )
