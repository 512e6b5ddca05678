"""The thread that reads a serial line of the board: every byte to its log, and what it proves as events."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Protocol

from bringup.base.errors import (
    BmcBusyError,
    BmcTimeoutError,
    BringupError,
    ConsoleLostError,
    ConsoleTakenError,
    LabError,
)
from bringup.boot.limits import HELD_ASKED_EVERY_S
from bringup.console.base import Console
from bringup.console.log import CONSOLE, PORT_LOGS, ConsoleLog
from bringup.transcript.clean import plain_text
from bringup.transcript.told import activity, as_event

if TYPE_CHECKING:
    from bringup.boot.engine import Run

_POLL_S = 0.2
_ACTIVITY_EVERY_S = 1.0
_STOP_S = 3.0
_ANSWER_S = 3.0
_ANSWER_MAX = 200
_ATTACH_S = 10.0
_LOGS: dict[str | None, str] = {None: CONSOLE, **{port: name for name, port in PORT_LOGS.items()}}


class ConsoleReader(Protocol):
    """Whoever else wants the bytes of the boot; b"" tells that time passed."""

    def feed(self, data: bytes) -> None:
        """Take console bytes as they come; raises BringupError to end the run."""
        ...


class Following:
    """Reads a console from `start` to `close`.

    `gaps_s` are the losses that are not marked in the log yet. `port` names the serial port where it is not
    that of the console: its log has its number, and its events its name.
    """

    def __init__(self, run: Run, console: Console, gaps_s: deque[float], *, port: str | None = None) -> None:
        self._run = run
        self._console = console
        self._gaps_s = gaps_s
        self._port = port
        self._readers: Sequence[ConsoleReader] = ()
        self._stages = run.progress.reader()
        self._told_s, self._told_bytes = 0.0, 0
        self._booting = False
        self._asked_s: float | None = None
        self._answer = b""
        self._held: LabError | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._guarded, name=port or CONSOLE, daemon=True)

    def start(self, readers: Sequence[ConsoleReader] = (), *, held: LabError | None = None) -> None:
        """Begin to read a console that is open, or to ask for one that is `held` by somebody else."""
        self._readers = readers
        self._held = held
        self._thread.start()

    def close(self) -> None:
        """Stop reading, and close the console."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(_STOP_S)
        self._console.close()

    def _guarded(self) -> None:
        """Read until closed; what goes wrong ends the run."""
        try:
            with closing(ConsoleLog(self._run.folder.path, self._run.origin_s, _LOGS[self._port])) as log:
                self._follow(log)
        except ConsoleLostError as error:
            self._tell_lost(error)
        except BringupError as error:
            self._run.abort(error)
        except Exception as error:  # noqa: BLE001  # a thread has nobody above it to tell
            told = f"reading the console failed: {type(error).__name__}: {error}"
            self._run.abort(BringupError(told))

    def _follow(self, log: ConsoleLog) -> None:
        while not self._stop.is_set():
            try:
                if self._held is not None:
                    self._wait_for_console(self._held)
                    if self._stop.is_set():
                        break
                    self._held = None
                self._take(self._console.read(_POLL_S), log)
            except ConsoleTakenError as error:
                self._held = error

    def _wait_for_console(self, held: LabError) -> None:
        """Ask for the console until it is ours; whoever has it is left alone."""
        clock, began_s = self._run.clock, self._run.clock.now_s()
        text = f"{held.message}; the boot goes on without it"
        self._run.emit("console", "console.held", text, hint=held.hint, reason=held.message)
        while not self._stop.is_set():
            clock.wait(self._stop.wait, HELD_ASKED_EVERY_S)
            with suppress(BmcBusyError, BmcTimeoutError):
                self._console.open(_ATTACH_S)
                break
        else:
            return
        seconds = clock.now_s() - began_s
        self._gaps_s.append(seconds)
        text = f"{self._console.describe()}: it was another's for {seconds:.1f} s, whose text is missing"
        data = {"seconds": round(seconds + 0.05, 1), "certain": True, "reason": held.message}
        self._run.emit("console", "console.gap", text, **data)

    def _tell_lost(self, error: ConsoleLostError) -> None:
        if self._port is None:
            self._run.emit("console", "console.lost", error.message, reason=error.message)
        else:
            self._run.emit("console", "second_port.lost", error.message, port=self._port)

    def _take(self, data: bytes, log: ConsoleLog) -> None:
        run = self._run
        now_s = run.clock.now_s()
        while self._gaps_s:
            self._stages.skip(log.gap(self._gaps_s.popleft(), now_s))
        log.append(data, now_s)
        began, self._booting = self._booting, run.standing.booting
        if self._booting and not began:
            self._stages.start_anew(now_s)
        sightings = self._stages.feed(data, now_s)
        if self._booting:  # before, the console shows the system that was found: its failures are not ours
            for sighting in sightings:
                run.take(as_event(sighting, port=self._port))
            for reader in self._readers:
                reader.feed(data)
        if self._port is None:
            self._prompt(data, now_s)
        stages = self._stages
        if now_s - self._told_s >= _ACTIVITY_EVERY_S and stages.bytes_seen > self._told_bytes:
            self._told_s, self._told_bytes = now_s, stages.bytes_seen
            run.take(activity(stages, now_s, port=self._port))

    def _prompt(self, data: bytes, now_s: float) -> None:
        """Type Enter where it is due, and tell what comes back soon."""
        if self._asked_s is None:
            if self._run.prompt_due():
                self._run.emit("console", "console.prompted", "typed Enter: text may have been missed")
                self._asked_s, self._answer = now_s, b""
                with suppress(BringupError):
                    self._console.write(b"\r")
            return
        self._answer = (self._answer + data)[:_ANSWER_MAX]
        text = " ".join(plain_text(self._answer).split())
        if text:
            self._run.emit("console", "console.answered", text)
        if text or now_s - self._asked_s > _ANSWER_S:
            self._asked_s = None
