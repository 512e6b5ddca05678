"""The only executor of a plan: it attaches, serves, arms, powers, watches one clock, and disarms.

Everything it does or sees is an event; files, the display and the verdict only listen. Whatever happens, what
was armed is disarmed and what was started is ended, and the run folder says how it went.
"""

from __future__ import annotations

import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any

from bringup.base.errors import BringupError, ConsoleLostError, ImageError, InterruptedRunError, LabError
from bringup.base.events import Emit, Event, Source
from bringup.base.stage import Stage
from bringup.boot.folders import EventLog, RunFolder
from bringup.boot.preflight import Prepared
from bringup.boot.verdict import Progress, Verdict
from bringup.console.base import Console
from bringup.console.log import ConsoleLog
from bringup.console.open import open_console
from bringup.power.actions import Pace, confirmed_state, cycle, ensure_on
from bringup.power.base import BootOverride, Power, PowerState
from bringup.power.found import FoundPower
from bringup.power.open import open_power
from bringup.power.watch import EVERY_S as POWER_EVERY_S
from bringup.power.watch import PowerWatch
from bringup.probe.firmware_report import FirmwareReport
from bringup.probe.on_board import ConsoleCapture
from bringup.transcript.stages import Sighting, StageReader

_CONSOLE_POLL_S = 0.2
_ACTIVITY_EVERY_S = 1.0
_LONGEST_WAIT_S = 0.5
_CONSOLE_STOP_S = 3.0


class Run:
    """One execution of one plan, in its own folder. Make it, call `execute` once."""

    def __init__(self, prepared: Prepared, folder: RunFolder, listeners: Sequence[Emit]) -> None:
        self._prepared = prepared
        self._plan = prepared.plan
        self._folder = folder
        self._listeners = list(listeners)
        self._changed = threading.Condition()
        self._origin_s = time.monotonic()
        self._progress = Progress(prepared.watch, origin_s=self._origin_s)
        self._awaited: Stage | None = None
        self._gaps_s: deque[float] = deque()
        # What ends the watch although the evidence alone would not.
        self._error: BringupError | None = None
        # How the board stands, for whoever interrupts us.
        self._power: str | None = None
        # Before that, the console shows what the board ran when it was found.
        self._booting = False
        self._override = "the boot override was not touched"
        self._ends_twin = False
        self.found_running: bool | None = None
        """Whether the board ran when it was found, None where that is not looked at."""
        self.hands_on = False
        """Whether the board was left as it is for the boot that follows: its network could load this one."""
        self.not_restored: str | None = None
        """Why the board could not be left as it was found, None when it was, or need not be."""

    def execute(self) -> Verdict:
        """Run the plan to a verdict; faults and a person's interrupt become verdicts too."""
        self._write_what_will_happen()
        log = EventLog(self._folder, self._origin_s, self._abort)
        self._listeners.insert(0, log)
        try:
            verdict = self._guarded()
            self._emit("run", "run.verdict", verdict.cause or "ok", code=verdict.code)
            # A full disk keeps the verdict from the folder, not from the person.
            with suppress(LabError):
                self._folder.write_json("verdict.json", self.verdict_dict(verdict))
            return verdict
        finally:
            self._listeners.remove(log)
            log.close()

    def verdict_dict(self, verdict: Verdict) -> dict[str, Any]:
        """Return the verdict as `verdict.json` and `--json` give it."""
        plan = self._plan
        return {
            "run": self._folder.run_id,
            "folder": str(self._folder.path),
            "board": plan.board,
            "twin": plan.twin,
            "firmware": str(plan.firmware),
            "loader": plan.loader,
            "until": str(plan.until),
            "image_key": plan.image["key"],
            **verdict.to_dict(),
        }

    def _write_what_will_happen(self) -> None:
        self._folder.write_json("plan.json", self._plan.to_dict())
        self._folder.write_json("image.json", dict(self._plan.image))
        self._folder.write_json("profile.json", self._prepared.profile_as_used)

    def _guarded(self) -> Verdict:
        try:
            with ExitStack() as stack:
                try:
                    return self._steps(stack)
                finally:
                    _finish_undisturbed()
        except KeyboardInterrupt:
            error = InterruptedRunError(f"interrupted; {self._how_left()}", hint=self._after_interrupt())
            return self._progress.failed(error, time.monotonic())
        except BringupError as error:
            return self._progress.failed(error, time.monotonic())

    def _how_left(self) -> str:
        """Say from what was seen how the board stands now; nothing here is assumed."""
        if self._ends_twin:
            return "the twin that this boot started is ended, and its board with it"
        power = f"{self._plan.board} is {self._power}" if self._power else "its power was not touched"
        return f"{power}, {self._override}, nothing is served any more"

    def _after_interrupt(self) -> str | None:
        return None if self._ends_twin else f"bringup power {self._plan.board} status"

    def _steps(self, stack: ExitStack) -> Verdict:
        prepared = self._prepared
        with self._step("twin", wanted=self._plan.twin):
            site = stack.enter_context(prepared.open_site(self._emit_event))
        power = stack.enter_context(closing(open_power(site.board, self._emit_event)))
        if self._plan.until is Stage.CAPTURE:
            stack.enter_context(self._restored(power))
        with self._step("console"):
            stack.enter_context(
                self._console(open_console(site.board, self._console_event, steal=prepared.request.steal))
            )
        with self._step("serve"):
            served = self._folder.path / "served"
            stack.enter_context(prepared.netboot(site, self._emit_event, served))
        with self._step("override"):
            stack.enter_context(self._armed(power))
        with self._step("power"):
            self._start(power)
        every_s = max(POWER_EVERY_S, prepared.profile.bmc.min_command_spacing_s.value)
        watch = PowerWatch(power, self._plan.board, self._abort, every_s=every_s, exists=site.exists)
        with self._step("watch"), watch:
            return self._watch()

    def _abort(self, error: BringupError) -> None:
        """End the watch with this error; called from any thread, the first one counts."""
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()

    @contextmanager
    def _step(self, name: str, *, wanted: bool = True) -> Iterator[None]:
        if not wanted:
            yield
            return
        title = next((step.title for step in self._plan.steps if step.name == name), name)
        self._emit("run", "run.step", title, step=name, state="begin")
        yield
        self._emit("run", "run.step", title, step=name, state="done")

    # Console: attached before power, read until the end, every byte kept.

    @contextmanager
    def _console(self, console: Console) -> Iterator[None]:
        timeout_s = next(step.timeout_s for step in self._plan.steps if step.name == "console")
        stop = threading.Event()
        try:
            console.open(timeout_s)
            self._emit("console", "console.attached", console.describe())
            reader = threading.Thread(target=self._read_console, args=(console, stop), name="console")
            reader.start()
            try:
                yield
            finally:
                stop.set()
                reader.join(_CONSOLE_STOP_S)
        finally:
            console.close()

    def _read_console(self, console: Console, stop: threading.Event) -> None:
        try:
            self._follow_console(console, stop)
        except BringupError as error:
            self._abort(error)
        except Exception as error:  # noqa: BLE001  # a thread has nobody above it to tell
            self._abort(BringupError(f"reading the console failed: {type(error).__name__}: {error}"))

    def _follow_console(self, console: Console, stop: threading.Event) -> None:
        stages = StageReader()
        log = ConsoleLog(self._folder.path, self._origin_s)
        capture = self._capture(console)
        told_s, told_bytes = 0.0, 0
        try:
            while not stop.is_set():
                data = console.read(_CONSOLE_POLL_S)
                now = time.monotonic()
                # The marker is fed to the reader too, so that its line numbers stay those of the log.
                marker = log.gap(self._gaps_s.popleft(), now) if self._gaps_s else b""
                log.append(data, now)
                for sighting in stages.feed(marker + data, now):
                    self._emit_event(_as_event(sighting))
                if self._plan.until is Stage.CAPTURE and self._booting:
                    capture.feed(data)
                if now - told_s >= _ACTIVITY_EVERY_S and stages.bytes_seen > told_bytes:
                    told_s, told_bytes = now, stages.bytes_seen
                    self._emit(
                        "console", "console.activity", bytes=stages.bytes_seen, lines=stages.lines_seen
                    )
        except ConsoleLostError as error:
            self._emit("console", "console.lost", error.message, reason=error.message)
        finally:
            log.close()

    def _capture(self, console: Console) -> ConsoleCapture | FirmwareReport:
        if self._prepared.watch.reports:
            return FirmwareReport(console.write, self._emit_event)
        return ConsoleCapture(self._folder.path, self._emit_event)

    def _console_event(self, event: Event) -> None:
        if event.kind == "console.gap":
            self._gaps_s.append(float(event.data["seconds"]))
        self._emit_event(event)

    # Override and power: acted on only from a known state, confirmed afterwards.

    @contextmanager
    def _armed(self, power: Power) -> Iterator[None]:
        uefi = self._plan.firmware == "uefi"
        self._override = "its boot override may still be set"
        power.set_override(BootOverride("network", persistent=False, uefi=uefi))
        try:
            yield
        finally:
            # A once-override that no firmware took would surprise whoever boots the board next.
            self._disarm(power)

    def _disarm(self, power: Power) -> None:
        try:
            if power.read_override().device != "none":
                power.set_override(BootOverride("none"))
            self._override = "no boot override is set"
        except BringupError as error:
            self._emit("power", "override.left", f"could not clear the boot override: {error.message}")

    @property
    def _pace(self) -> Pace:
        # A virtual supply needs no rest between off and on.
        return Pace(poll_s=0.1, off_pause_s=0.1) if self._plan.twin else Pace()

    def _start(self, power: Power) -> None:
        act = cycle if confirmed_state(power, self._pace) is PowerState.ON else ensure_on
        act(power, self._emit_event, self._pace)

    @contextmanager
    def _restored(self, power: Power) -> Iterator[None]:
        """Leave the power as it is now; what was running is started anew, by the board's own boot order."""
        request = self._prepared.request
        found = FoundPower(power, self._emit_event, self._pace, request.found_running)
        self.found_running = found.running
        if not (self._plan.twin or request.restart):
            found.require_off(self._plan.board)
        if request.found_running is None:
            found.tell()
        interrupted = False
        try:
            yield
        except KeyboardInterrupt:
            interrupted = True
            raise
        finally:
            self.hands_on = request.another_follows and not interrupted and self._was_loaded
            if self._power is not None and not self._ends_twin and not self.hands_on:
                self.not_restored = found.put_back()

    @property
    def _was_loaded(self) -> bool:
        """Whether the way over the network is good: what comes next to it is the image's own doing."""
        return any(reached.stage >= Stage.KERNEL_IMAGE for reached in self._progress.stages)

    # Watching.

    def _watch(self) -> Verdict:
        with self._changed:
            while True:
                if self._error is not None:
                    raise self._error
                now = time.monotonic()
                verdict = self._progress.decide(now)
                if verdict is not None:
                    return verdict
                deadline = self._progress.next_deadline_s
                wait_s = _LONGEST_WAIT_S if deadline is None else min(_LONGEST_WAIT_S, deadline - now)
                self._changed.wait(max(wait_s, 0.01))

    # Events.

    def _emit(self, source: Source, kind: str, text: str = "", **data: Any) -> None:
        self._emit_event(Event(source, kind, text, data))

    def _emit_event(self, event: Event) -> None:
        with self._changed:
            self._progress.feed(event)
            self._note(event)
            for listener in self._listeners:
                listener(event)
            self._tell_awaited(event.at_s)
            self._changed.notify_all()

    def _note(self, event: Event) -> None:
        if event.kind == "power.action":
            self._power = f"being switched ({event.data['action']})"
            self._booting = event.data["action"] != "off"
        elif event.kind == "power.state":
            self._power = str(event.data["state"])
        elif event.data.get("code") == "file-changed":
            hint = "do not rebuild an image while a board boots it; boot again"
            self._error = self._error or ImageError(event.text, hint=hint)
        elif event.kind == "twin.up":
            self._ends_twin = bool(event.data.get("tied"))

    def _tell_awaited(self, at_s: float) -> None:
        stage = self._progress.awaited
        if stage is self._awaited or stage is None:
            return
        self._awaited = stage
        limit = next((limit for limit in self._plan.limits if limit.stage is stage), None)
        data = {
            "stage": str(stage),
            "expected_s": None if limit is None else limit.expected_s,
            "timeout_s": None if limit is None else limit.timeout_s,
        }
        for listener in self._listeners:
            listener(Event("run", "run.waiting", f"waiting for {stage}", data, at_s))


def _finish_undisturbed() -> None:
    """From here on the run only puts things back; an impatient second Ctrl-C must not stop half way."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)


def _as_event(sighting: Sighting) -> Event:
    data = {
        "stage": None if sighting.stage is None else str(sighting.stage),
        "code": None if sighting.failure is None else sighting.failure.code,
        "marker": sighting.marker,
        "line": sighting.line_no,
        "vm": sighting.vm,
        "generic": sighting.failure is not None and sighting.failure.generic,
    }
    return Event("console", f"console.{sighting.kind}", sighting.line_text, data, sighting.at_s)
