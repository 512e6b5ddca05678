"""Whether a console is alive, by times alone: what is asked when, what is told, what leaves a doubt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.console.sol.vigil import EXPIRED_S, STALL_S, Act, Vigil

STEP_S = 0.1


class Watched:
    """A vigil looked at ten times a second, by a clock of its own."""

    def __init__(self, probe_after_s: float = 5.0) -> None:
        self.now = 100.0
        self.vigil = Vigil(self.now, probe_after_s=probe_after_s)
        self.acts: list[tuple[float, Act]] = []

    def silence(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += STEP_S
            self.vigil.turn(self.now)
            act = self.vigil.tick(self.now)
            if act is not None:
                self.acts.append((round(self.now - 100.0, 1), act))

    def stall(self, seconds: float) -> None:
        self.now += seconds
        self.vigil.turn(self.now)

    def packet(self) -> None:
        self.vigil.turn(self.now)
        self.vigil.heard(self.now)

    def kinds(self) -> list[Act]:
        return [act for _, act in self.acts]


def test_a_board_that_talks_is_never_asked() -> None:
    watched = Watched()
    for _ in range(30):
        watched.silence(1.0)
        watched.packet()
    assert watched.acts == []
    assert watched.vigil.doubt is None


def test_silence_is_asked_about_and_an_answer_settles_it() -> None:
    watched = Watched()
    watched.silence(5.3)
    assert watched.kinds() == [Act.ASK]
    watched.packet()
    assert watched.vigil.doubt is None
    watched.silence(4.0)
    assert watched.kinds() == [Act.ASK]


@pytest.mark.parametrize("probe_after_s", [1.0, 5.0, 30.0])
def test_a_console_nobody_vouches_for_is_told_within_ten_seconds(probe_after_s: float) -> None:
    watched = Watched(probe_after_s)
    watched.silence(10.0)
    told = [at for at, act in watched.acts if act is Act.TELL]
    assert len(told) == 1 and told[0] < 10.0
    assert Act.POKE in watched.kinds()
    assert watched.vigil.silent
    watched.packet()
    assert not watched.vigil.silent


def test_a_late_answer_leaves_a_doubt_as_long_as_the_silence() -> None:
    watched = Watched()
    watched.silence(8.0)
    watched.packet()
    doubt = watched.vigil.settle()
    assert doubt is not None
    assert doubt.at_s - doubt.since_s == pytest.approx(8.0, abs=0.2)
    assert (doubt.before, doubt.behind) == (True, False)
    assert watched.vigil.settle() is None


def test_a_minute_of_silence_takes_less_packets_than_a_bmc_counts() -> None:
    watched = Watched()
    watched.silence(60.0)
    assert len([act for act in watched.kinds() if act is Act.ASK]) <= 10
    assert len(watched.acts) <= 20
    watched.silence(EXPIRED_S - 60.0 + 1.0)
    assert watched.kinds()[-1] is Act.END


def test_a_stall_of_this_process_is_a_doubt_and_no_silence_of_the_bmc() -> None:
    watched = Watched()
    watched.silence(1.0)
    watched.packet()
    watched.stall(20.0)
    watched.silence(0.2)
    assert watched.acts == []
    doubt = watched.vigil.settle()
    assert doubt is not None
    assert doubt.at_s - doubt.since_s >= 20.0
    assert "stood still for 20.0 s" in doubt.reason
    assert (doubt.before, doubt.behind) == (False, True)


def test_a_session_that_slept_longer_than_it_lives_is_given_up() -> None:
    watched = Watched()
    watched.stall(600.0)
    watched.silence(STEP_S)
    assert watched.kinds() == [Act.END]


@given(st.lists(st.tuples(st.sampled_from(["silence", "stall", "packet"]), st.floats(0.0, 8.0)), max_size=40))
def test_every_stall_and_every_unanswered_question_is_covered(moves: list[tuple[str, float]]) -> None:
    watched = Watched()
    for move, seconds in moves:
        before, heard = watched.now, watched.vigil.heard_s
        if move == "packet":
            asked = [100.0 + at for at, _ in watched.acts if 100.0 + at > heard]
            watched.packet()
            late = bool(asked) and watched.now - asked[0] > 2.0
            assert not late or watched.vigil.doubt is not None
        else:
            getattr(watched, move)(seconds)
        if move == "stall" and seconds > STALL_S:
            doubt = watched.vigil.doubt
            assert doubt is not None and doubt.since_s <= before and doubt.at_s >= watched.now
