"""The distance between commands: the profile's with a BMC that labours, a moment's with one that does not."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.errors import LabError
from bringup.ipmi.pacing import QUICK_S, Kind
from tests.doubles.scripted_bmc import CHASSIS, STATUS, Says, ScriptedBmc


def gaps(bmc: ScriptedBmc) -> list[float]:
    return [after.at_s - before.at_s for before, after in pairwise(bmc.sent)]


def ask(bmc: ScriptedBmc, times: int, kind: Kind = Kind.READ) -> None:
    for _ in range(times):
        bmc.exchange(CHASSIS, STATUS, b"", "status", kind=kind)


@pytest.mark.parametrize(("kind", "gap_s"), [(Kind.READ, 0.1), (Kind.STORE, 0.25), (Kind.SWITCH, 0.55)])
def test_a_quick_bmc_rests_a_moment_by_what_it_did(kind: Kind, gap_s: float) -> None:
    bmc = ScriptedBmc(spacing_s=5.0)
    ask(bmc, 4, kind)
    assert gaps(bmc) == pytest.approx([gap_s] * 3)


@pytest.mark.parametrize("answer_s", [QUICK_S + 0.01, 1.0, 4.0])
def test_a_bmc_that_labours_is_never_asked_more_often_than_its_profile_says(answer_s: float) -> None:
    bmc = ScriptedBmc(spacing_s=5.0, answer_s=answer_s)
    ask(bmc, 5)
    assert gaps(bmc) == pytest.approx([5.0] * 4)


def test_one_slow_answer_costs_the_whole_distance_until_two_are_quick() -> None:
    bmc = ScriptedBmc(spacing_s=5.0, answer_s=lambda number: 1.0 if number == 2 else 0.05)
    ask(bmc, 6)
    assert gaps(bmc) == pytest.approx([0.1, 5.0, 5.0, 0.1, 0.1])


@pytest.mark.parametrize("code", [0xC0, 0xD2, 0xFF])
def test_a_bmc_that_cannot_just_now_gets_the_whole_distance(code: int) -> None:
    bmc = ScriptedBmc([Says(CHASSIS, STATUS, code, times=1)], spacing_s=5.0)
    ask(bmc, 2)
    assert gaps(bmc)[0] == pytest.approx(5.0)


def test_a_silent_bmc_gets_the_whole_distance() -> None:
    bmc = ScriptedBmc([Says(CHASSIS, STATUS, None, times=1)], spacing_s=9.0)
    with pytest.raises(LabError):
        ask(bmc, 1)
    ask(bmc, 2)
    assert gaps(bmc) == pytest.approx([9.0, 9.0])


def test_a_profile_that_asks_for_less_than_a_moment_gets_less() -> None:
    bmc = ScriptedBmc(spacing_s=0.0)
    ask(bmc, 3, Kind.SWITCH)
    assert gaps(bmc) == pytest.approx([0.05] * 2)


@given(st.lists(st.floats(0.0, 3.0), min_size=2, max_size=12))
def test_after_any_slow_answer_the_next_command_keeps_the_profile_s_distance(times: list[float]) -> None:
    bmc = ScriptedBmc(spacing_s=5.0, answer_s=lambda number: times[number - 1])
    ask(bmc, len(times))
    for took, gap in zip(times, gaps(bmc), strict=False):
        assert gap >= (5.0 if took > QUICK_S + 1e-6 else took) - 1e-6
        assert gap <= 5.0 + 1e-6
