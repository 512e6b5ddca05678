"""The console: attached before power, read until the end, every byte kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bringup.base.errors import BmcBusyError
from bringup.base.events import Event
from bringup.boot.plan import PlannedStep
from bringup.boot.step import Step
from bringup.boot.steps.following import ConsoleReader, Following
from bringup.console.base import Console

if TYPE_CHECKING:
    from bringup.boot.engine import Run

MakeReader = Callable[[Console, "Run"], ConsoleReader]


class AttachConsole(Step):
    """Attaches, and reads in a thread of its own until it is left.

    `readers` are made once the console is open, and fed from power-on. Where there are none, a console that
    somebody else has is asked for again while the boot goes on: who reads it elsewhere is no failure.
    """

    leaving = PlannedStep("detach", "detach the console", 0.1, 5.0)

    def __init__(self, detail: Mapping[str, Any], *, steal: bool, readers: Sequence[MakeReader] = ()) -> None:
        how = f"{detail['via']}, {detail['baud']} baud"
        title = f"attach the console ({how}) and wait until it is operational"
        self.planned = PlannedStep("console", title, 0.5, 30.0, dict(detail))
        self._steal = steal
        self._make_readers = readers
        self._following: Following | None = None

    def enter(self, run: Run) -> None:
        """Attach and start to read."""
        gaps_s: deque[float] = deque()

        def told(event: Event) -> None:
            if event.kind == "console.gap":
                gaps_s.append(float(event.data["seconds"]))
            run.take(event)

        console = run.place.console(told, steal=self._steal)
        self._following = Following(run, console, gaps_s)
        try:
            console.open(self.planned.timeout_s)
        except BmcBusyError as held:
            if self._make_readers:
                raise
            self._following.start(held=held)
            return
        run.emit("console", "console.attached", console.describe())
        self._following.start([make(console, run) for make in self._make_readers])

    def leave(self, run: Run) -> None:
        """Stop reading and detach."""
        following, self._following = self._following, None
        if following is not None:
            following.close()


class RecordPort(Step):
    """Records the serial port that the console does not show, `COM1` or `COM2`: what an image says there is
    evidence, too.
    """

    def __init__(self, port: str, line: str) -> None:
        title = f"record {port} too, which the console does not show"
        self.planned = PlannedStep("second-port", title, 0.1, 10.0, {"line": line})
        self._port = port
        self._following: Following | None = None

    def enter(self, run: Run) -> None:
        """Open it and start to read."""
        gaps_s: deque[float] = deque()

        def told(event: Event) -> None:
            # Its losses are no losses of the console, which is what a verdict waits by.
            if event.kind == "console.gap":
                gaps_s.append(float(event.data["seconds"]))
            kind = event.kind.replace("console.", "second_port.", 1)
            run.take(replace(event, kind=kind, data={**event.data, "port": self._port}))

        console = run.place.second_console(told)
        self._following = Following(run, console, gaps_s, port=self._port)
        console.open(self.planned.timeout_s)
        run.emit("console", "second_port.attached", console.describe(), port=self._port)
        self._following.start()

    def leave(self, run: Run) -> None:
        """Stop reading."""
        following, self._following = self._following, None
        if following is not None:
            following.close()
