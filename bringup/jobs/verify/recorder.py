"""What goes on in a run of verify, written down and told as it does: the frame that all targets share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from bringup.base.errors import BringupError, InterruptedRunError
from bringup.base.events import Emit, Event
from bringup.boot.folders import EventLog, RunFolder
from bringup.boot.plan import PlannedStep
from bringup.jobs.verify.record import STATES, Record, Verified, verdict_of
from bringup.verify.plan import Check
from bringup.verify.result import Result
from bringup.verify.runner import Checked, run_checks


class Recorder:
    """Keeps one run in `folder`, whose events `listeners` hear, too.

    `facts` are what else `verify.json` says of this target; whoever learns more adds to them.
    """

    def __init__(self, record: Record, folder: RunFolder, listeners: Sequence[Emit], **facts: Any) -> None:
        self.folder = folder
        self.facts = facts
        self.ended: list[Checked] = []
        self._record = record
        self._listeners = list(listeners)

    @contextmanager
    def running(self, steps: Sequence[PlannedStep], interrupted: str) -> Iterator[None]:
        """Keep the plan, then what happens within the context, and how it ended where that is an error.

        Raises what is raised there, an interrupt as InterruptedRunError with the sentence `interrupted`.
        """
        self.folder.write_json("plan.json", self._record.plan_json(steps))
        log = EventLog(self.folder, self._record.origin_s)
        self._listeners.insert(0, log)
        try:
            run_id = self.folder.run_id
            self.tell("run.begin", f"{run_id} on {self._record.board}", run=run_id)
            yield
        except KeyboardInterrupt:
            error = InterruptedRunError(interrupted)
            self._end(error.fault, error.exit_code, error.message, broke_off=error.message)
            raise error from None
        except BringupError as error:
            self._end(error.fault, error.exit_code, error.message, broke_off=error.message)
            raise
        finally:
            log.close()

    def check_all(self, make: Callable[[Check], Result], named: Sequence[str]) -> None:
        """Make the checks, of which a person asked for those `named`, and tell how each ended."""
        for each in run_checks(self._record.checks, make, named=named, begun=self._begun):
            self.ended.append(each)
            data = {"step": each.check.id, "state": STATES[each.result.status], **asdict(each.result)}
            self.tell("run.step", each.check.purpose, **data, seconds=round(each.seconds, 3))

    def end(self) -> Verified:
        """Write the answer and the verdict that follow from the checks."""
        return self._end(*verdict_of(self.ended))

    @contextmanager
    def step(self, name: str, title: str) -> Iterator[dict[str, Any]]:
        """Tell that a step begins and how it ended, with what was put into the mapping."""
        self.tell("run.step", title, step=name, state="begin")
        found: dict[str, Any] = {}
        state = "failed"
        try:
            yield found
            state = "done"
        finally:
            self.tell("run.step", title, **{"step": name, "state": state, **found})

    def tell(self, event_kind: str, event_text: str, **data: Any) -> None:
        """Tell an event of the run itself."""
        self.emit(Event("run", event_kind, event_text, data))

    def emit(self, event: Event) -> None:
        """Write down an event of whatever source, and tell it."""
        for listener in self._listeners:
            listener(event)

    def _begun(self, check: Check) -> None:
        self.tell("run.step", check.purpose, step=check.id, state="begin")

    def _end(self, kind: str, code: int, cause: str | None, *, broke_off: str | None = None) -> Verified:
        told = self._record.verdict_json(self.folder, kind, code, cause)
        body = self._record.body_json(self.folder, self.ended, broke_off=broke_off, **self.facts)
        self.folder.write_json("verify.json", body)  # before the verdict is told: who follows then shows it
        self.tell("run.verdict", cause or "ok", **told)
        self.folder.write_json("verdict.json", told)
        return Verified(self.folder.path, body, code)
