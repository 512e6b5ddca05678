"""Runs a job in a process of its own, which no terminal ends."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from bringup import BringupError, Event
from bringup.base.events import Emit

if TYPE_CHECKING:
    from bringup import Finished
    from bringup.jobs.boot import Display


def detached(work: Callable[[Display], Finished], told: Callable[[dict[str, Any]], None]) -> int:
    """Begin `work` in a process of its own, tell what its first event says (`run.begin`) and return 0.

    Returns twice: in the new process, whose standard streams lead nowhere, with the exit code when the work
    is done. Raises the error that kept the work from beginning. No thread may run yet: a fork takes none
    along.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        os.waitpid(child, 0)  # it ends as soon as it has made the one that works
        with os.fdopen(reader, "rb") as pipe:
            told(_heard(pipe.readline()))
        return 0
    os.close(reader)
    os.setsid()
    if os.fork():
        os._exit(0)  # who works is no leader of its session: no line that it opens becomes its terminal
    _leave_streams()
    return _work(work, writer)


def _work(work: Callable[[Display], Finished], writer: int) -> int:
    try:
        return work(partial(_first_event, writer)).exit_code
    except BringupError as error:
        _tell(writer, error.to_dict())
        raise
    except Exception as bug:
        _tell(writer, BringupError(f"bringup itself failed: {type(bug).__name__}").to_dict())
        raise


@contextmanager
def _first_event(writer: int, _plan: object, _usual_s: float | None) -> Iterator[Emit]:
    def hear(event: Event) -> None:
        if event.kind == "run.begin":
            _tell(writer, {"began": event.data})

    yield hear


def _tell(writer: int, body: dict[str, Any]) -> None:
    # Once: nobody reads the second line, and nobody has to.
    try:
        os.write(writer, json.dumps(body).encode() + b"\n")
        os.close(writer)
    except OSError:
        return


def _heard(line: bytes) -> dict[str, Any]:
    """Return what the work told of its beginning; raises the error it told instead."""
    try:
        body = json.loads(line)
    except ValueError:
        raise BringupError("the detached process ended before its work began") from None
    if "began" in body:
        return dict(body["began"])
    raise BringupError.from_dict(body)


def _leave_streams() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)
