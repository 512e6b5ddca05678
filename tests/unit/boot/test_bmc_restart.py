"""A BMC that restarts while the image boots takes the console with it: its silence proves nothing."""

from __future__ import annotations

import pytest

from bringup.base.events import Event
from bringup.base.stage import Stage
from tests.unit.boot.test_verdict import BIOS, SERVED, decide, event, progress, said

KERNEL = said(6.0, Stage.KERNEL, "Boot config: parsing cmdline", 7)
LOST = event(11.0, "console", "console.lost", "no sign of life from the BMC", reason="silence")
SILENT = event(16.0, "power", "bmc.silent", "no answer from the BMC")
AWAY = [*SERVED, KERNEL, LOST, SILENT]
USER_SPACE_S = BIOS.limits[Stage.USER_SPACE]


def back(at_s: float) -> list[Event]:
    gap = event(at_s + 2, "console", "console.gap", "SOL lost", seconds=at_s - 9)
    return [event(at_s, "power", "bmc.back", "answers again"), gap]


def test_while_the_bmc_and_its_console_are_away_nothing_is_overdue() -> None:
    assert progress(AWAY).next_deadline_s is None
    assert progress(AWAY).decide(1000.0) is None


@pytest.mark.parametrize("away_s", [20.0, 60.0, 240.0])
def test_what_comes_after_it_is_back_counts(away_s: float) -> None:
    late = said(16 + away_s + 4, Stage.USER_SPACE, "Booting all finished, dropped to user space", 9)
    verdict, _ = decide([*AWAY, *back(16 + away_s), late])
    assert verdict.kind == "ok"


def test_a_console_that_is_back_shows_that_the_bmc_is() -> None:
    gap = event(80.0, "console", "console.gap", "SOL lost", seconds=71.0)
    late = said(80.2, Stage.USER_SPACE, "Booting all finished, dropped to user space", 9)
    assert progress([*AWAY, gap]).decide(80.0) is None
    assert decide([*AWAY, gap, late])[0].kind == "ok"
    assert decide([*AWAY, gap])[0].code == "console-gap"


def test_what_a_bmc_kept_is_waited_for_when_the_console_is_back_after_the_limit() -> None:
    gap = event(60.0, "console", "console.gap", "SOL lost", seconds=51.0)
    assert progress([*SERVED, KERNEL, LOST, gap]).decide(60.0) is None
    assert decide([*SERVED, KERNEL, LOST, gap])[0].code == "console-gap"


@pytest.mark.parametrize("away_s", [20.0, 60.0])
def test_what_does_not_come_then_may_have_come_in_the_gap(away_s: float) -> None:
    verdict, now_s = decide([*AWAY, *back(16 + away_s)])
    assert (verdict.kind, verdict.code) == ("undecided", "console-gap")
    assert now_s >= 16 + away_s + USER_SPACE_S


def test_a_console_that_is_lost_while_the_bmc_answers_is_overdue_as_ever() -> None:
    verdict, now_s = decide([*SERVED, KERNEL, LOST])
    assert verdict.code == "console-lost"
    assert now_s <= KERNEL.at_s + USER_SPACE_S + 1


def test_what_the_network_tells_is_overdue_whatever_the_bmc_says() -> None:
    early = [
        *SERVED[:6],
        event(3.5, "power", "bmc.silent"),
        event(3.6, "console", "console.lost", reason="x"),
    ]
    verdict, _ = decide(early)
    assert verdict.code == "loader-not-fetched"
