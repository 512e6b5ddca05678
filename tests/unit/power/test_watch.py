"""What watches the power during a boot: a BMC that cannot tell, one that restarts, one that is gone."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from bringup.base.clock import Clock
from bringup.base.errors import (
    AuthenticationError,
    BmcBusyError,
    BmcTimeoutError,
    LabError,
    UnclearStateError,
)
from bringup.base.events import Event
from bringup.power.base import Power, PowerState
from bringup.power.watch import PowerWatch

Answer = PowerState | LabError


class Hours(Clock):
    """Time that passes at once where somebody waits for it, until `end_s`: then `over` is set."""

    def __init__(self, end_s: float, over: threading.Event) -> None:
        self._now_s, self._end_s, self._over = 0.0, end_s, over

    def now_s(self) -> float:
        return self._now_s

    def wait(self, waiter: Callable[[float], object], seconds: float) -> None:
        if self._now_s + seconds < self._end_s:
            self._now_s += seconds
        else:
            self._over.set()
            waiter(60.0)


class Board(Power):
    """A power switch that answers by the clock."""

    def __init__(self, clock: Clock, answers: Callable[[float], Answer]) -> None:
        self._clock, self._answers = clock, answers

    def describe(self) -> str:
        return "the BMC of a test"

    def state(self) -> PowerState:
        answer = self._answers(self._clock.now_s())
        if isinstance(answer, LabError):
            raise answer
        return answer


class Watched:
    """A watch of `for_s` made-up seconds, and what came of it."""

    def __init__(self, answers: Callable[[float], Answer], for_s: float, *, exists: bool = True) -> None:
        self.events: list[Event] = []
        self.errors: list[LabError] = []
        self.backs = 0
        over = threading.Event()
        clock = Hours(for_s, over)

        def tell(error: LabError) -> None:
            self.errors.append(error)
            over.set()

        def back() -> None:
            self.backs += 1

        watch = PowerWatch(
            Board(clock, answers),
            "b1",
            tell,
            every_s=3.0,
            exists=lambda: exists,
            clock=clock,
            emit=self.events.append,
            back=back,
        )
        with watch:
            assert over.wait(60.0)
        self.took_s = clock.now_s()

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


@pytest.mark.parametrize(
    "error",
    [UnclearStateError("refused, 0xff"), UnclearStateError("0xd3"), BmcBusyError("busy")],
)
def test_an_answer_that_tells_nothing_ends_no_boot(error: LabError) -> None:
    watched = Watched(lambda s: error if s < 50 else PowerState.ON, for_s=60)
    assert (watched.errors, watched.kinds) == ([], [])


@pytest.mark.parametrize(
    "error", [BmcTimeoutError("no answer"), AuthenticationError("knows no user yet"), LabError("unreachable")]
)
@pytest.mark.parametrize("away_s", [30, 60])
def test_a_bmc_that_restarts_is_waited_for_told_and_what_it_kept_is_looked_at(
    error: LabError, away_s: float
) -> None:
    watched = Watched(lambda s: error if 5 < s < 5 + away_s else PowerState.ON, for_s=away_s + 20)
    assert (watched.errors, watched.kinds, watched.backs) == ([], ["bmc.silent", "bmc.back"], 1)
    assert "waited for, up to 5 min" in watched.events[0].text


def test_a_silence_of_a_moment_is_not_told() -> None:
    watched = Watched(lambda s: BmcTimeoutError("no answer") if 5 < s < 11 else PowerState.ON, for_s=20)
    assert (watched.kinds, watched.backs) == ([], 0)


def test_a_bmc_that_stays_away_ends_the_boot_after_minutes_with_its_own_words() -> None:
    watched = Watched(lambda _s: BmcTimeoutError("no answer from the BMC"), for_s=400)
    assert [error.message for error in watched.errors] == ["no answer from the BMC"]
    assert watched.took_s > 290


def test_two_reads_find_a_board_off_and_one_does_not() -> None:
    watched = Watched(lambda s: PowerState.OFF if 8 < s < 11 else PowerState.ON, for_s=20)
    assert watched.errors == []
    watched = Watched(lambda s: PowerState.OFF if s > 8 else PowerState.ON, for_s=30)
    assert "b1 went off while it was booting" in watched.errors[0].message


def test_an_off_before_and_after_an_answer_that_tells_nothing_is_not_two_in_a_row() -> None:
    def answers(at_s: float) -> Answer:
        if 4 < at_s < 7 or 10 < at_s < 13:
            return PowerState.OFF
        return UnclearStateError("0xff") if 7 < at_s < 10 else PowerState.ON

    assert Watched(answers, for_s=20).errors == []


def test_a_twin_that_was_ended_is_told() -> None:
    watched = Watched(lambda _s: PowerState.ON, for_s=20, exists=False)
    assert "the twin b1 was ended" in watched.errors[0].message
