"""Executes the steps of one job on one board, on one clock, and comes to a verdict.

Everything that is done or seen is an event; files, the display and the verdict only listen. Whatever happens,
each step that was begun is left again, and the run folder says how it went.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from typing import Any

from bringup.base.errors import BringupError, ImageError, InterruptedRunError, LabError
from bringup.base.events import Emit, Event, Source
from bringup.boot.equipment import Equipment
from bringup.boot.folders import EventLog, RunFolder
from bringup.boot.place import ReachedBoard
from bringup.boot.plan import Plan, PlannedStep
from bringup.boot.progress import Progress
from bringup.boot.standing import Standing
from bringup.boot.step import Step
from bringup.boot.verdict import Verdict
from bringup.boot.watch_request import WatchRequest
from bringup.power.base import Drivers

_LONGEST_WAIT_S = 0.5
# Who looks so much later than something was due was held up, and so were those who hear the board.
_LATE_S, _CATCH_UP_MAX_S = 2.0, 5.0
# Every machine waits a little, which limits have room for.
_HELD_UP_MIN_S = 0.1
_SWITCHED = frozenset({"power.action", "power.state"})


class Run:
    """One execution of one plan, in its own folder. Make it, call `execute` once.

    Steps find here what they need: `place` and `drivers` (opened when first used), `clock`, `progress`,
    `folder`, `standing`, `emit`, and `abort` for what ends the run from another thread.
    """

    def __init__(
        self,
        plan: Plan,
        steps: Sequence[Step],
        watch: WatchRequest,
        equipment: Equipment,
        folder: RunFolder,
        listeners: Sequence[Emit] = (),
    ) -> None:
        self.plan = plan
        self.equipment = equipment
        self.clock = equipment.clock
        self.folder = folder
        self.origin_s = self.clock.now_s()
        self.progress = Progress(watch, origin_s=self.origin_s)
        self.standing = Standing(plan.board)
        self.interrupted = False
        self.verdict: Verdict | None = None
        self._steps = steps
        self._listeners = list(listeners)
        # Entered as a lock, which a signal cannot interrupt half way, as it can a condition's own entering.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._waiting = ""
        self._catching_up_s: float | None = None
        # What ends the watch although the evidence alone would not.
        self._error: BringupError | None = None
        self._acted: str | None = None
        # From then on the board is put back, which says nothing of how far it came.
        self._leaving = False
        self.opened = ExitStack()
        """What is closed at the end, after every step was left."""

    @cached_property
    def place(self) -> ReachedBoard:
        """The board's place; raises LabError when it cannot be reached."""
        return self.equipment.reach(self.take)

    @cached_property
    def drivers(self) -> Drivers:
        """What switches the board."""
        drivers = self.place.drivers(self.take)
        self.opened.callback(drivers.close)
        return drivers

    def execute(self) -> Verdict:
        """Run the steps to a verdict; faults and a person's interrupt become verdicts too."""
        log = EventLog(self.folder, self.origin_s, self.abort)
        self._listeners.insert(0, log)
        try:
            self.take(self._beginning())
            verdict = self._guarded()
            told = self.verdict_dict(verdict)
            self.emit("run", "run.verdict", verdict.cause or "ok", **told)
            # A full disk keeps the verdict from the folder, not from the person.
            with suppress(LabError):
                self.folder.write_json("verdict.json", told)
            return verdict
        finally:
            self._listeners.remove(log)
            log.close()

    def _beginning(self) -> Event:
        folder, board = self.folder, self.plan.board
        data = {"run": folder.run_id, "folder": str(folder.path), "board": board, "pid": os.getpid()}
        return Event("run", "run.begin", f"{folder.run_id} on {board}", data, self.origin_s)

    def verdict_dict(self, verdict: Verdict) -> dict[str, Any]:
        """Return the verdict as `verdict.json` and `--json` give it."""
        plan = self.plan
        return {
            "run": self.folder.run_id,
            "folder": str(self.folder.path),
            "board": plan.board,
            "twin": plan.twin,
            "firmware": str(plan.firmware),
            "loader": plan.loader,
            "until": plan.until,
            "aim": plan.aim,
            "image_key": plan.image["key"],
            **verdict.to_dict(),
        }

    def _guarded(self) -> Verdict:
        try:
            return self._perform()
        except KeyboardInterrupt:
            self.interrupted = True
            hint = None if self.standing.ends_twin else f"bringup power {self.plan.board} status"
            error: BringupError = InterruptedRunError(f"interrupted; {self.standing.sentence()}", hint=hint)
        except BringupError as fault:
            error = fault
        return self.progress.failed(error, self.clock.now_s())

    def _perform(self) -> Verdict:
        self.equipment.signals.heed()
        with self.opened, ExitStack() as stack:
            try:
                for step in self._steps:
                    step.ahead(self)
                for step in self._steps:
                    stack.callback(self._leave, step)
                    with self._told(step.planned):
                        step.enter(self)
            except KeyboardInterrupt:
                self.interrupted = True
                raise
            finally:
                self._leaving = True
                self.equipment.signals.ignore()
        assert self.verdict is not None, "a plan without a step that watches"  # noqa: S101
        return self.verdict

    def _leave(self, step: Step) -> None:
        if step.leaving is None:
            step.leave(self)
            return
        with self._told(step.leaving):
            step.leave(self)

    @contextmanager
    def _told(self, planned: PlannedStep) -> Iterator[None]:
        self.emit("run", "run.step", planned.title, step=planned.name, state="begin")
        state = "failed"
        try:
            yield
            state = "done"
        finally:
            self.emit("run", "run.step", planned.title, step=planned.name, state=state)

    # Watching: called by the step that waits for the verdict.

    def watch(self) -> Verdict:
        """Wait until the evidence is enough for a verdict; raises what `abort` was called with."""
        while True:
            self._tell_notices()
            self._tell_held_up()
            with self._lock:
                if self._error is not None:
                    raise self._error
                now_s = self.clock.now_s()
                verdict = self.progress.decide(now_s)
                if verdict is not None and self._is_caught_up(now_s):
                    return verdict
                if verdict is None:
                    self._catching_up_s = None
                deadline_s = self._catching_up_s or self.progress.next_deadline_s
                wait_s = _LONGEST_WAIT_S if deadline_s is None else min(_LONGEST_WAIT_S, deadline_s - now_s)
                self.clock.wait(self._changed.wait, max(wait_s, 0.01))

    def _is_caught_up(self, now_s: float) -> bool:
        """Return whether what came so far has been taken in, as far as that is known.

        A process that stood still finds all limits passed, before its other threads say what they heard, or
        that they heard nothing: they are given a moment.
        """
        if self._catching_up_s is None:
            late_s = now_s - (self.progress.next_deadline_s or now_s)
            if late_s < _LATE_S:
                return True
            self._catching_up_s = now_s + min(late_s, _CATCH_UP_MAX_S)
        return now_s >= self._catching_up_s

    def abort(self, error: BringupError) -> None:
        """End the watch with this error; called from any thread, the first one counts."""
        with self._lock:
            self._error = self._error or error
            self._changed.notify_all()

    def go_on(self) -> None:
        """Raise what `abort` was called with, for a step that waits for something by itself.

        The clock is asked, too: a job in a thread hears of its end from there.
        """
        self.clock.now_s()
        with self._lock:
            if self._error is not None:
                raise self._error

    def prompt_due(self) -> bool:
        """Return whether Enter is to be typed on the console now, to see if something answers."""
        with self._lock:
            return self.progress.prompt_due(self.clock.now_s())

    def acted(self) -> str | None:
        """Return whom to ask, if somebody acted on the board in spite of this boot's lease."""
        return self._acted

    def _tell_notices(self) -> None:
        for other in self.equipment.notices():
            text = f"{other.who} (process {other.pid}) acts on this board all the same: {other.purpose}"
            self._acted = (
                f"ask {other.who}: {other.purpose} (process {other.pid}) was done while this boot ran"
            )
            self.emit("run", "run.passed_over", text, who=other.who, pid=other.pid, purpose=other.purpose)

    def _tell_held_up(self) -> None:
        seconds = self.place.held_up_s()
        if seconds >= _HELD_UP_MIN_S:
            text = f"this host is busy: the emulated machine waited {seconds:.1f} s for a processor"
            self.emit("twin", "twin.held_up", text, seconds=round(seconds, 2))

    # Events.

    def emit(self, source: Source, kind: str, text: str = "", **data: Any) -> None:
        """Tell everybody who listens of something that happened now."""
        self.take(Event(source, kind, text, data, self.clock.now_s()))

    def take(self, event: Event) -> None:
        """Take an event of anybody's; called from any thread."""
        with self._lock:
            if not (self._leaving and event.kind in _SWITCHED):
                self.progress.feed(event)
            self.standing.note(event)
            if event.data.get("code") == "file-changed":
                hint = "do not rebuild an image while a board boots it; boot again"
                self._error = self._error or ImageError(event.text, hint=hint)
            for listener in self._listeners:
                listener(event)
            self._tell_awaited(event.at_s)
            self._changed.notify_all()

    def _tell_awaited(self, at_s: float) -> None:
        stage, waiting = self.progress.awaited, self.progress.waiting
        if waiting == self._waiting:
            return
        self._waiting = waiting
        limit = next((limit for limit in self.plan.limits if limit.stage == str(stage)), None)
        data = {
            "stage": None if stage is None else str(stage),
            "expected_s": None if limit is None else limit.expected_s,
            "timeout_s": None if limit is None else limit.timeout_s,
        }
        for listener in self._listeners:
            listener(Event("run", "run.waiting", waiting, data, at_s))
