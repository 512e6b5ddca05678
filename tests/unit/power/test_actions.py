"""Power sequences against boards that behave, flap, ignore and fall silent; no clock but a made-up one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.errors import AuthenticationError, BmcBusyError, BmcTimeoutError, LabError
from bringup.base.events import Event
from bringup.power import actions
from bringup.power.actions import Pace, confirmed_state, cycle, ensure_off, ensure_on, reset, soft_off
from bringup.power.base import PowerState

ON, OFF, UNKNOWN = PowerState.ON, PowerState.OFF, PowerState.UNKNOWN


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def pace(self, **changes: float) -> Pace:
        return Pace(now=lambda: self.now_s, sleep=self._sleep, **changes)

    def _sleep(self, seconds: float) -> None:
        self.now_s += seconds


class Board:
    """A power switch: what it reads is scripted first, then follows the commands after `delay` reads."""

    def __init__(self, state: PowerState, *, script: list[PowerState | Exception] | None = None) -> None:
        self.real = state
        self.script = list(script or [])
        self.delay = 0
        self.ignores = False
        self.commands: list[str] = []
        self.read_before_command: list[PowerState] = []
        self._reads: list[PowerState] = []
        self._next: PowerState | None = None

    def describe(self) -> str:
        return "the BMC of a test"

    def trouble(self) -> str | None:
        return None

    def state(self) -> PowerState:
        read = self._read()
        self._reads.append(read)
        return read

    def _read(self) -> PowerState:
        if self.script:
            read = self.script.pop(0)
            if isinstance(read, Exception):
                raise read
            return read
        if self._next is not None:
            self.delay -= 1
            if self.delay < 0:
                self.real, self._next = self._next, None
        return self.real

    def _command(self, name: str, becomes: PowerState) -> None:
        self.commands.append(name)
        self.read_before_command = self._reads[-2:]
        if not self.ignores:
            self._next = becomes

    def on(self) -> None:
        self._command("on", ON)

    def off(self) -> None:
        self._command("off", OFF)

    def reset(self) -> None:
        self._command("reset", ON)

    def soft(self) -> None:
        self._command("soft", OFF)

    def close(self) -> None:
        return


def run(action: Callable[..., actions.PowerResult], board: Board, **pace: float) -> tuple:
    events: list[Event] = []
    result = action(board, events.append, Clock().pace(**pace))
    return result, [(event.kind, *event.data.values()) for event in events]


@pytest.mark.parametrize(
    ("action", "before", "after", "commands"),
    [
        (ensure_on, OFF, ON, ["on"]),
        (ensure_on, ON, ON, []),
        (ensure_off, ON, OFF, ["off"]),
        (ensure_off, OFF, OFF, []),
        (cycle, ON, ON, ["off", "on"]),
        (cycle, OFF, ON, ["on"]),
        (reset, ON, ON, ["reset"]),
        (soft_off, ON, OFF, ["soft"]),
        (soft_off, OFF, OFF, []),
    ],
)
def test_each_action_from_each_state(
    action: Callable[..., actions.PowerResult], before: PowerState, after: PowerState, commands: list[str]
) -> None:
    board = Board(before)
    result, events = run(action, board)
    assert board.commands == commands
    assert (result.before, result.after, result.changed) == (before, after, bool(commands))
    assert events[-1] == ("power.state", str(after))
    assert [event[1] for event in events if event[0] == "power.action"] == commands


def test_a_running_board_is_never_cycled_by_on() -> None:
    board = Board(ON)
    result, events = run(ensure_on, board)
    assert str(result) == "already on"
    assert events == [("power.state", "on")]


def test_cycle_tells_the_off_in_between_and_waits_before_on() -> None:
    clock, events = Clock(), []
    cycle(Board(ON), events.append, clock.pace(off_pause_s=7.0))
    states = [event.data["state"] for event in events if event.kind == "power.state"]
    assert states == ["off", "on"]
    assert clock.now_s - 100.0 >= 7.0


def test_reset_of_a_board_that_is_off_is_refused() -> None:
    board = Board(OFF)
    with pytest.raises(LabError, match="a reset needs it on"):
        run(reset, board)
    assert board.commands == []


@pytest.mark.parametrize("action", [ensure_on, ensure_off, cycle, reset, soft_off])
def test_nothing_is_switched_while_the_state_is_unknown(action: Callable[..., actions.PowerResult]) -> None:
    board = Board(UNKNOWN)
    with pytest.raises(LabError, match="no steady power state"):
        run(action, board)
    assert board.commands == []


def test_nothing_is_switched_while_the_state_flaps() -> None:
    board = Board(ON, script=[ON, OFF] * 500)
    with pytest.raises(LabError, match="no steady power state"):
        run(ensure_off, board)
    assert board.commands == []


@pytest.mark.parametrize(
    ("reads", "state", "left"),
    [
        ([OFF, ON], OFF, 1),  # one is enough for what it is enough for
        ([ON, ON, OFF], ON, 1),  # and two are needed for the other
        ([ON, OFF], OFF, 0),
        ([UNKNOWN, BmcBusyError("busy"), OFF, ON], OFF, 1),
    ],
)
def test_one_read_is_enough_where_it_says_so(
    reads: list[PowerState | Exception], state: PowerState, left: int
) -> None:
    board = Board(ON, script=list(reads))
    assert confirmed_state(board, Clock().pace(), enough=OFF) is state
    assert len(board.script) == left


def test_one_unknown_read_between_two_equal_ones_does_not_confirm() -> None:
    board = Board(ON, script=[OFF, UNKNOWN, OFF, ON])
    assert confirmed_state(board, Clock().pace()) is ON


def test_a_bmc_that_ignores_commands_is_named_and_was_asked_three_times() -> None:
    board = Board(OFF)
    board.ignores = True
    with pytest.raises(
        LabError, match="accepted the command and the board is still off after 60 s"
    ) as caught:
        run(ensure_on, board)
    assert board.commands == ["on", "on", "on"]
    assert caught.value.hint


def test_what_is_set_is_looked_at_before_a_board_is_switched_on_once_more() -> None:
    """A board that was on for a moment has used up a boot override that holds once."""
    board = Board(OFF)
    board.ignores = True
    looked: list[int] = []

    def back() -> None:
        looked.append(len(board.commands))
        board.ignores = False

    ensure_on(board, lambda _event: None, Clock().pace(), back=back)
    assert (looked, board.commands) == ([1], ["on", "on"])


def test_an_operating_system_that_does_not_shut_down_is_named() -> None:
    board = Board(ON)
    board.ignores = True
    with pytest.raises(LabError, match="operating system did not switch the board off within 180 s"):
        run(soft_off, board)


def test_a_slow_board_is_waited_for() -> None:
    board = Board(OFF)
    board.delay = 40
    result, _ = run(ensure_on, board)
    assert result.after is ON
    assert result.seconds >= 40 * Pace().poll_s


def test_busy_and_silent_answers_are_passed_over() -> None:
    board = Board(ON, script=[BmcBusyError("busy"), ON, BmcTimeoutError("silent"), ON, ON])
    result, _ = run(ensure_off, board)
    assert result.before is ON and result.after is OFF


def test_a_bmc_that_stays_silent_ends_with_its_own_error() -> None:
    board = Board(ON, script=[BmcTimeoutError("no answer from the BMC of a test")] * 1000)
    with pytest.raises(BmcTimeoutError, match="no answer"):
        run(ensure_off, board)
    assert board.commands == []


def test_a_refused_password_is_not_retried() -> None:
    board = Board(ON, script=[AuthenticationError("refused"), ON, ON])
    with pytest.raises(AuthenticationError):
        run(ensure_off, board)
    assert len(board.script) == 2


@given(st.lists(st.sampled_from([ON, OFF, UNKNOWN]), max_size=60))
def test_whatever_is_read_a_command_follows_two_equal_reads(reads: list[PowerState]) -> None:
    board = Board(OFF, script=list(reads))
    with contextlib.suppress(LabError):
        run(ensure_on, board)
    assert board.commands in ([], ["on"])
    if board.commands:
        assert board.read_before_command == [OFF, OFF]
