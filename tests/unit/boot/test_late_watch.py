"""A run that stood still finds its limits passed; what was heard meanwhile is taken in before it judges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bringup.base.clock import Clock
from bringup.base.events import Event
from bringup.boot.engine import Run
from bringup.boot.folders import RunFolder
from bringup.boot.verdict import Verdict
from tests.doubles.equipment import Bench, Seen
from tests.unit.boot.jobs import LOADED, planned

pytestmark = pytest.mark.usefixtures("home")

STOOD_STILL_S = 120.0


class HandClock(Clock):
    """Time that passes only where somebody waits; `later` is what other threads say, after so many waits."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waited_s = 0.0
        self.later: list[Callable[[], None]] = []

    def now_s(self) -> float:
        return self.now

    def wait(self, waiter: Callable[[float], object], seconds: float) -> None:
        self.now += seconds
        self.waited_s += seconds
        if self.later:
            self.later.pop(0)()


def watched(
    folder: Path, runs: Path, *, stood_still_s: float, then: Sequence[tuple[str, dict[str, Any]]] = ()
) -> tuple[Verdict, HandClock]:
    """Watch a boot whose image is loaded, after the process stood still; `then` its other threads speak."""
    bench, clock = Bench(), HandClock()
    bench.clock = clock  # type: ignore[assignment]
    run: Run = planned(folder).job.start(bench, RunFolder.create(runs))
    run.take(Event("power", "power.action", "power on", {"action": "on"}, clock.now))
    run.take(Event("power", "power.state", "on", {"state": "on"}, clock.now))
    for seen in LOADED:
        if isinstance(seen, Seen):
            run.take(Event("http", seen.kind, seen.text, seen.data, clock.now + seen.at_s))
    clock.now += 2 + stood_still_s
    clock.later = [partial(hear, run, kind, data) for kind, data in then]
    return run.watch(), clock


def hear(run: Run, kind: str, data: dict[str, Any]) -> None:
    run.take(Event("console", kind, kind, data, run.clock.now_s()))


GAP = ("console.gap", {"seconds": STOOD_STILL_S + 2})
DOWN = ("console.stage", {"stage": "user-space", "marker": "x", "line": "dropped to user space"})


def test_what_was_lost_while_the_process_stood_still_is_told_before_silence_counts(
    in_folder: Path, tmp_path: Path
) -> None:
    verdict, _ = watched(in_folder, tmp_path / "runs", stood_still_s=STOOD_STILL_S, then=[GAP])
    assert (verdict.kind, verdict.code) == ("undecided", "console-gap")


def test_what_came_while_the_process_stood_still_counts(in_folder: Path, tmp_path: Path) -> None:
    verdict, _ = watched(in_folder, tmp_path / "runs", stood_still_s=STOOD_STILL_S, then=[DOWN])
    assert (verdict.kind, str(verdict.stage)) == ("ok", "user-space")


def test_who_looks_in_time_is_not_held_up_and_a_late_one_not_for_long(
    in_folder: Path, tmp_path: Path
) -> None:
    silent, late = (
        watched(in_folder, tmp_path / str(still_s), stood_still_s=still_s) for still_s in (0.0, STOOD_STILL_S)
    )
    assert silent[0].code == late[0].code == "console-silent"
    assert silent[0].at_s == late[0].at_s
    assert late[1].waited_s < 6
