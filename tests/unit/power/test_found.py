"""A board is left as it was found; a board that does not let itself is told, not hidden."""

from __future__ import annotations

import pytest

from bringup.base.errors import LabError
from bringup.base.events import Event
from bringup.power.base import PowerState
from bringup.power.found import FoundPower
from tests.unit.power.test_actions import OFF, ON, Board, Clock


def told(state: PowerState) -> tuple[Board, list[Event]]:
    return Board(state), []


def found(board: Board, events: list[Event]) -> FoundPower:
    return FoundPower(board, events.append, Clock().pace())


def test_off_before_is_off_after() -> None:
    board, events = told(OFF)
    before = found(board, events)
    before.require_off("e300")
    before.tell()
    board.on()
    assert before.put_back() is None
    assert (board.real, board.commands) == (OFF, ["on", "off"])
    assert events[0].text == "off; switched off again afterwards"


def test_on_before_is_reset_so_that_its_own_system_starts() -> None:
    board, events = told(ON)
    before = found(board, events)
    assert before.put_back() is None
    assert (board.real, board.commands) == (ON, ["reset"])


def test_a_board_that_died_meanwhile_is_switched_on_again() -> None:
    board, events = told(ON)
    before = found(board, events)
    board.off()
    assert before.put_back() is None
    assert (board.real, board.commands) == (ON, ["off", "on"])


def test_a_running_board_is_refused_before_anything_is_done() -> None:
    board, events = told(ON)
    with pytest.raises(LabError, match="e300-1 is on") as refusal:
        found(board, events).require_off("e300-1")
    assert "--restart" in str(refusal.value.hint)
    assert board.commands == []


def test_a_board_that_stays_on_is_told() -> None:
    board, events = told(OFF)
    before = found(board, events)
    board.on()
    board.ignores = True
    why = before.put_back()
    assert why is not None
    assert "still on" in why
    assert events[-1].kind == "power.left"


@pytest.mark.parametrize(("was", "left"), [(True, ["reset"]), (False, ["off"])])
def test_a_board_that_was_used_twice_is_put_back_as_it_was_at_first(was: bool, left: list[str]) -> None:
    board, events = told(ON)  # the first use left it on
    assert FoundPower(board, events.append, Clock().pace(), running=was).put_back() is None
    assert board.commands == left
