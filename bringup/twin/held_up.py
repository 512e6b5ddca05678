"""How long a twin's machine was kept waiting: ready to run, and this host had no processor for it.

Linux counts that for each thread (/proc/PID/task/TID/schedstat, second number, ns: Documentation/scheduler/
sched-stats.rst). A machine that is emulated beside other work is as slow as this host lets it be, which says
nothing of the machine: a limit of its stages counts the time in which it could run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

_EVERY_S = 1.0
_GENERATIONS = 3


class HeldUp:
    """Tells what the children of process `pid` waited: a twin's machine and its cable are children of it."""

    def __init__(self, pid: int, *, now: Callable[[], float] = time.monotonic) -> None:
        self._pid = pid
        self._now = now
        self._due_s = now()
        self._waited_ns: dict[str, int] = {}

    def seconds(self) -> float:
        """Return the seconds waited since the last call, of the thread that waited longest.

        At most once a second something is found out; 0 in between, and where Linux does not tell.
        """
        if self._now() < self._due_s:
            return 0.0
        self._due_s = self._now() + _EVERY_S
        before, self._waited_ns = self._waited_ns, dict(_waited_ns(self._pid, _GENERATIONS))
        # What a thread waited that was not there the last time may be long ago.
        return (
            max((ns - before[name] for name, ns in self._waited_ns.items() if name in before), default=0)
            / 1e9
        )


def _waited_ns(pid: int, generations: int) -> Iterator[tuple[str, int]]:
    """Yield what each thread of the children of a process has waited so far, by its place in /proc."""
    for child in _children(pid):
        for task in _tasks(child):
            try:
                yield str(task), int((task / "schedstat").read_text(encoding="ascii").split()[1])
            except (OSError, ValueError, IndexError):
                continue  # it ended just now, or this kernel does not count
        if generations > 1:
            yield from _waited_ns(child, generations - 1)


def _children(pid: int) -> Iterator[int]:
    for task in _tasks(pid):
        try:
            yield from map(int, (task / "children").read_text(encoding="ascii").split())
        except (OSError, ValueError):
            continue


def _tasks(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []
