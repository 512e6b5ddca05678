"""Shows a run in a thread of its own, so that the run waits for no reader.

Whoever reads may stop (Ctrl-S, `less`) or go away (a closed terminal or pipe): the job goes on, and what is
to be shown waits here. A reader who stays away for very long misses what came meanwhile; the run's folder has
all.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING

from bringup.base.events import Emit, Event
from bringup.report.output import say_folded

if TYPE_CHECKING:
    from bringup.boot.plan import Plan
    from bringup.jobs.boot import Display

MOST_WAITING = 100_000
PATIENCE_S = 1.0
_Task = Callable[[], None]


class Viewer:
    """A display behind a queue. Use it as a context: leaving waits until everything is shown.

    Leaving raises what showing raised, after a run that did not. When a run ends it is waited for at most
    `patience_s`, so that the board does not wait for a reader.
    """

    def __init__(
        self, display: Display, *, patience_s: float = PATIENCE_S, most_waiting: int = MOST_WAITING
    ) -> None:
        self._display = display
        self._patience_s = patience_s
        self._most_waiting = most_waiting
        self._tasks: deque[_Task] = deque()
        self._changed = threading.Condition()
        self._fault: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="viewer", daemon=True)

    def __enter__(self) -> Viewer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wait(None if error is None else self._patience_s)
        if error is None and self._fault is not None:
            raise self._fault

    @contextmanager
    def __call__(self, plan: Plan, usual_s: float | None) -> Iterator[Emit]:
        """Show the run of a plan; see `Display`."""
        shown = _Shown(partial(self._display, plan, usual_s))
        self._later(shown.begin)
        try:
            yield lambda event: self._later(partial(shown.hear, event), skip=event.kind != "run.verdict")
        finally:
            self._later(shown.end)
            self._wait(self._patience_s)

    def tell(self, line: str) -> None:
        """Show a line for a person after what is to be shown before it."""
        self._later(partial(say_folded, line))

    def _later(self, task: _Task, *, skip: bool = False) -> None:
        with self._changed:
            if not skip or len(self._tasks) < self._most_waiting:
                self._tasks.append(task)
                self._changed.notify()

    def _wait(self, timeout_s: float | None) -> None:
        shown = threading.Event()
        self._later(shown.set)
        shown.wait(timeout_s)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._tasks)
                task = self._tasks.popleft()
            try:
                task()
            except OSError:
                continue  # the terminal is gone
            except Exception as fault:  # noqa: BLE001  # told when the job is done: it is not the job's
                self._fault = self._fault or fault


class _Shown:
    """One run's display, made and used in the viewer's thread."""

    def __init__(self, display: Callable[[], AbstractContextManager[Emit]]) -> None:
        self._display = display
        self._entered = ExitStack()
        self._listener: Emit | None = None

    def begin(self) -> None:
        self._listener = self._entered.enter_context(self._display())

    def hear(self, event: Event) -> None:
        if self._listener is not None:
            self._listener(event)

    def end(self) -> None:
        self._entered.close()
