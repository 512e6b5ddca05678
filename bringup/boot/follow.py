"""Follows a run by its folder, while another process works on it and afterwards."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

from bringup.base.errors import InterruptedRunError, LabError
from bringup.base.events import Event
from bringup.base.regular_file import open_regular
from bringup.boot.folders import EVENTS, FILE_MAX_BYTES, REIMAGE, SLOTS, RunFolder, list_runs

VERDICT = "run.verdict"
_PIECE_BYTES, _LINE_MAX_BYTES = 1 << 20, 4 << 20
_POLL_S = 0.1
_RECORD_WITHIN_S = 2.0
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
    without a verdict, LabError for records that cannot be a run's.
    """
    began_s = now()
    while not (run.path / EVENTS).exists() and now() - began_s < _BEGINS_WITHIN_S:
        sleep(_POLL_S)
    try:
        file = open_regular(run.path / EVENTS)
    except (OSError, ValueError):
        raise _ended(run) from None
    with file:
        rest, silences = b"", 0
        while silences < _SILENCES:
            went_on = run.goes_on  # asked first: what is written before the end is read after it
            if os.fstat(file.fileno()).st_size > FILE_MAX_BYTES:
                raise LabError(f"the records of run {run.run_id} are damaged: {run.path / EVENTS}")
            data = file.read(_PIECE_BYTES)
            *lines, rest = (rest + data).split(b"\n")
            rest = rest[:_LINE_MAX_BYTES]  # no line of ours is so long
            for event in _events(lines):
                yield event
                if event.kind == VERDICT:
                    return
            silences = 0 if went_on or data else silences + 1
            if len(data) < _PIECE_BYTES:
                sleep(_POLL_S)
    raise _ended(run)


def leads_on(event: Event) -> bool:
    """Return whether a run with this event that ends well is followed by another of the same job.

    A re-image boots its ramdisk, then the disk, then the disk once more to keep what came up.
    """
    return event.kind == "disk.written" or bool(event.data.get("kept_then"))


def may_lead_on(event: Event) -> bool:
    """Return whether a run with this event is followed by another of the same job where it fails.

    Its process says whether: it ends, or begins one.
    """
    return bool(event.data.get("looked_then"))


def next_run(run: RunFolder, begun: Event, *, sleep: Callable[[float], None] = time.sleep) -> RunFolder:
    """Return the run that the process of `run` began after it on the same board, as soon as there is one.

    `begun` is the first event of `run`. Raises InterruptedRunError where that process ended before.
    """
    known = run.run_id
    while True:
        goes_on = _is_alive(begun.data.get("pid"))  # asked first: what it began before its end is seen
        for later in list_runs(run.path.parent):
            if later.run_id > known:
                known = later.run_id
                if _is_of(begun, later, sleep):
                    return later
        if not goes_on:
            raise InterruptedRunError(
                f"run {run.run_id} was to be followed by another, and its process was killed before",
                hint=f"what the board's disk starts now: bringup slots {begun.data.get('board')}",
            )
        sleep(_POLL_S)


def disk_record(
    run: RunFolder, begun: Event | None, *, sleep: Callable[[float], None] = time.sleep
) -> dict[str, Any] | None:
    """Return what the work on a disk came to, which is kept a moment after the verdict of its last run.

    None for a run that was about no disk, and where the process of the run wrote none.
    """
    work = str((run.read_json("plan.json") or {}).get("work"))
    name = (
        REIMAGE if work.startswith("reimage") else SLOTS if work.startswith(("slots", "rollback")) else None
    )
    if name is None:
        return None
    for _ in range(round(_RECORD_WITHIN_S / _POLL_S)):
        alive = begun is not None and _is_alive(begun.data.get("pid"))  # asked first, as above
        if (record := run.read_json(name)) is not None or not alive:
            return record
        sleep(_POLL_S)
    return None


def _is_of(begun: Event, run: RunFolder, sleep: Callable[[float], None]) -> bool:
    """Return whether a run is of the process and board of the one that began so."""
    if run.is_batch:
        return False
    try:
        first = next(follow(run, sleep=sleep))
    except (StopIteration, LabError, InterruptedRunError):
        return False
    return all(first.data.get(key) == begun.data.get(key) for key in ("pid", "board"))


def _is_alive(pid: object) -> bool:
    if not isinstance(pid, int) or isinstance(pid, bool) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True  # somebody else's
    except (ProcessLookupError, OverflowError):
        return False
    return True


def _events(lines: Iterable[bytes]) -> Iterator[Event]:
    for line in lines:
        with suppress(
            ValueError, KeyError, TypeError, RecursionError
        ):  # another schema, or torn by a full disk
            yield Event.from_json(line)


def _ended(run: RunFolder) -> InterruptedRunError:
    return InterruptedRunError(
        f"run {run.run_id} ended without a verdict: its process was killed",
        hint=f"what it saw: bringup runs show {run.run_id} --events",
    )
