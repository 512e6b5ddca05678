"""The console: attached before power, read until the end, every byte kept."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from bringup.base.errors import BringupError, ConsoleLostError
from bringup.base.events import Event
from bringup.boot.engine import Run
from bringup.boot.step import PlannedStep, Step
from bringup.console.base import Console
from bringup.console.log import ConsoleLog
from bringup.transcript.told import activity, as_event

_POLL_S = 0.2
_ACTIVITY_EVERY_S = 1.0
_STOP_S = 3.0


class ConsoleReader(Protocol):
    """Whoever else wants the bytes of the boot; b"" tells that time passed."""

    def feed(self, data: bytes) -> None:
        """Take console bytes as they come; raises BringupError to end the run."""
        ...


MakeReader = Callable[[Console, Run], ConsoleReader]


class AttachConsole(Step):
    """Attaches, and reads in a thread of its own until it is left.

    `readers` are made once the console is open, and fed from power-on.
    """

    leaving = PlannedStep("detach", "detach the console", 0.1, 5.0)

    def __init__(self, detail: Mapping[str, Any], *, steal: bool, readers: Sequence[MakeReader] = ()) -> None:
        how = f"{detail['via']}, {detail['baud']} baud"
        title = f"attach the console ({how}) and wait until it is operational"
        self.planned = PlannedStep("console", title, 0.5, 30.0, dict(detail))
        self._steal = steal
        self._make_readers = readers
        self._console: Console | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def enter(self, run: Run) -> None:
        """Attach and start to read."""
        gaps_s: deque[float] = deque()

        def told(event: Event) -> None:
            if event.kind == "console.gap":
                gaps_s.append(float(event.data["seconds"]))
            run.take(event)

        self._stop.clear()
        console = self._console = run.place.console(told, steal=self._steal)
        console.open(self.planned.timeout_s)
        run.emit("console", "console.attached", console.describe())
        readers = [make(console, run) for make in self._make_readers]
        following = _Following(run, console, readers, gaps_s, self._stop)
        self._thread = threading.Thread(target=following.guarded, name="console")
        self._thread.start()

    def leave(self, run: Run) -> None:
        """Stop reading and detach."""
        self._stop.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(_STOP_S)
        if self._console is not None:
            self._console.close()


class _Following:
    """The thread that reads: bytes to the log, to the stages' reader and to whoever else wants them."""

    def __init__(
        self,
        run: Run,
        console: Console,
        readers: Sequence[ConsoleReader],
        gaps_s: deque[float],
        stop: threading.Event,
    ) -> None:
        self._run = run
        self._console = console
        self._readers = readers
        self._gaps_s = gaps_s
        self._stop = stop
        self._stages = run.progress.reader()
        self._told_s, self._told_bytes = 0.0, 0

    def guarded(self) -> None:
        """Read until the step is left; what goes wrong ends the run."""
        log = ConsoleLog(self._run.folder.path, self._run.origin_s)
        try:
            while not self._stop.is_set():
                self._take(self._console.read(_POLL_S), log)
        except ConsoleLostError as error:
            self._run.emit("console", "console.lost", error.message, reason=error.message)
        except BringupError as error:
            self._run.abort(error)
        except Exception as error:  # noqa: BLE001  # a thread has nobody above it to tell
            told = f"reading the console failed: {type(error).__name__}: {error}"
            self._run.abort(BringupError(told))
        finally:
            log.close()

    def _take(self, data: bytes, log: ConsoleLog) -> None:
        run = self._run
        now_s = run.clock.now_s()
        # The marker is fed to the reader too, so that its line numbers stay those of the log.
        marker = log.gap(self._gaps_s.popleft(), now_s) if self._gaps_s else b""
        log.append(data, now_s)
        for sighting in self._stages.feed(marker + data, now_s):
            run.take(as_event(sighting))
        if run.standing.booting:
            for reader in self._readers:
                reader.feed(data)
        stages = self._stages
        if now_s - self._told_s >= _ACTIVITY_EVERY_S and stages.bytes_seen > self._told_bytes:
            self._told_s, self._told_bytes = now_s, stages.bytes_seen
            run.take(activity(stages, now_s))
