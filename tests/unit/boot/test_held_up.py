"""A machine that this host emulates is judged by the time it had, not by that in which it waited."""

from __future__ import annotations

from pathlib import Path

import pytest

from bringup.base.events import Event
from bringup.boot.engine import Run
from bringup.boot.folders import RunFolder
from bringup.boot.verdict import Verdict
from tests.doubles.equipment import Bench, Seen
from tests.unit.boot.jobs import LOADED, planned
from tests.unit.boot.test_late_watch import DOWN, HandClock, hear

pytestmark = pytest.mark.usefixtures("home")


class Waiting:
    """A machine that has a processor for one part in `of` of the time."""

    def __init__(self, clock: HandClock, of: float) -> None:
        self._clock, self._of = clock, of
        self._then_s = clock.now

    def __call__(self) -> float:
        passed_s, self._then_s = self._clock.now - self._then_s, self._clock.now
        return passed_s * (1 - 1 / self._of)


def watched(folder: Path, runs: Path, *, of: float, up_after_s: float) -> tuple[Verdict, float]:
    """Watch a loaded image come up after so long; returns the verdict, and how long it was waited for."""
    bench, clock = Bench(), HandClock()
    bench.clock = clock  # type: ignore[assignment]
    run: Run = planned(folder).job.start(bench, RunFolder.create(runs))
    run.take(Event("power", "power.action", "power on", {"action": "on"}, clock.now))
    run.take(Event("power", "power.state", "on", {"state": "on"}, clock.now))
    for seen in LOADED:
        if isinstance(seen, Seen):
            run.take(Event("http", seen.kind, seen.text, seen.data, clock.now + seen.at_s))
    clock.now += 2
    began_s = clock.now
    bench.held_up_s = Waiting(clock, of)

    def come_up() -> None:
        if clock.now - began_s < up_after_s:
            clock.later.append(come_up)
        else:
            hear(run, *DOWN)

    clock.later = [come_up]
    return run.watch(), clock.now - began_s


def test_a_machine_without_a_processor_is_waited_for(in_folder: Path, tmp_path: Path) -> None:
    verdict, limit_s = watched(in_folder, tmp_path / "alone", of=1, up_after_s=1e9)
    assert verdict.code == "console-silent"
    late, _ = watched(in_folder, tmp_path / "late", of=1, up_after_s=2 * limit_s)
    assert late.code == "console-silent"
    held_up, _ = watched(in_folder, tmp_path / "held-up", of=4, up_after_s=2 * limit_s)
    assert (held_up.kind, str(held_up.stage)) == ("ok", "user-space")


def test_a_machine_that_had_its_time_is_not_waited_for(in_folder: Path, tmp_path: Path) -> None:
    _, limit_s = watched(in_folder, tmp_path / "alone", of=1, up_after_s=1e9)
    verdict, waited_s = watched(in_folder, tmp_path / "slow", of=2, up_after_s=1e9)
    assert verdict.code == "console-silent"
    assert waited_s == pytest.approx(2 * limit_s, rel=0.1)


def test_a_host_without_any_processor_ends_the_wait_all_the_same(in_folder: Path, tmp_path: Path) -> None:
    _, limit_s = watched(in_folder, tmp_path / "alone", of=1, up_after_s=1e9)
    verdict, waited_s = watched(in_folder, tmp_path / "still", of=1e6, up_after_s=1e9)
    assert verdict.code == "console-silent"
    assert waited_s < 6 * limit_s
