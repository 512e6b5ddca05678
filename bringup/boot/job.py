"""A job on one board, ready to run: its plan, the steps behind it, and what it waits for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bringup.base.events import Emit
from bringup.boot.engine import Run
from bringup.boot.equipment import Equipment
from bringup.boot.folders import RunFolder
from bringup.boot.plan import Plan
from bringup.boot.preflight import Prepared
from bringup.boot.step import Step
from bringup.boot.watch_request import WatchRequest


@dataclass(frozen=True)
class Job:
    """Steps and their plan. `profile` is the whole profile as JSON data, for the run's folder."""

    plan: Plan
    steps: tuple[Step, ...]
    watch: WatchRequest
    profile: dict[str, Any]

    @classmethod
    def of(
        cls,
        prepared: Prepared,
        steps: Sequence[Step],
        *,
        until: str | None = None,
        notes: Sequence[str] = (),
        work: str = "boot",
    ) -> Job:
        """Make the job of a prepared boot; `work` is what it is for."""
        plan = prepared.plan(steps, until=until or str(prepared.watch.until), notes=notes, work=work)
        return cls(plan, tuple(steps), prepared.watch, prepared.profile.to_dict())

    def start(self, equipment: Equipment, folder: RunFolder, listeners: Sequence[Emit] = ()) -> Run:
        """Write what will happen into `folder` and return the run, to be executed."""
        folder.write_json("plan.json", self.plan.to_dict())
        folder.write_json("image.json", dict(self.plan.image))
        folder.write_json("profile.json", self.profile)
        return Run(self.plan, self.steps, self.watch, equipment, folder, listeners)


@dataclass(frozen=True)
class Finished:
    """How a run ended; `verdict` is the content of `verdict.json`."""

    folder: Path
    verdict: dict[str, Any]

    @property
    def ok(self) -> bool:
        """Whether it reached what was wanted."""
        return bool(self.verdict["verdict"] == "ok")

    @property
    def exit_code(self) -> int:
        """The exit code that says whose fault it is, 0 for nobody's."""
        return int(self.verdict["exit_code"])
