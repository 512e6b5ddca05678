"""Power by hand: what is known is what the person said, and nobody is waited for without need."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from bringup.base.errors import LabError, ProfileError
from bringup.base.events import Event
from bringup.lab.inventory import Board
from bringup.power.actions import confirmed_state, cycle, ensure_off, ensure_on, reset, soft_off
from bringup.power.base import PowerState
from bringup.power.drivers.manual import ManualPower
from bringup.power.open import has_override, open_drivers
from tests.unit.lab.test_inventory import BOARD, lab_of
from tests.unit.power.test_actions import Clock

pytestmark = pytest.mark.usefixtures("home")

ON, OFF = PowerState.ON, PowerState.OFF


class Helper:
    """A person who does what they are asked, in a minute each, until they leave."""

    def __init__(self, finds: str, clock: Clock, *, leaves: bool = False) -> None:
        self.asked: list[tuple[str, bool]] = []
        self._finds = finds
        self._clock = clock
        self._leaves = leaves

    def hear(self, _event: Event) -> None:
        return

    def ask(self, question: str, *, or_console: bool = False) -> None:
        self._clock.now_s += 60.0
        if self._leaves:
            raise LabError(f"nobody answered within 1 min: {question}")
        self.asked.append((question, or_console))

    def choose(self, question: str, answers: Sequence[str]) -> str:
        self._clock.now_s += 60.0
        assert self._finds in answers
        self.asked.append((question, False))
        return self._finds


def ignore(_event: Event) -> None:
    return


def at_hand(finds: str, *, leaves: bool = False) -> tuple[ManualPower, Helper, Clock]:
    clock = Clock()
    helper = Helper(finds, clock, leaves=leaves)
    return ManualPower("e300-1", helper, ignore), helper, clock


def test_the_state_is_asked_for_once_however_long_it_takes() -> None:
    power, helper, clock = at_hand("off")
    assert confirmed_state(power, clock.pace(confirm_timeout_s=5.0)) is OFF
    assert confirmed_state(power, clock.pace()) is OFF
    assert [question for question, _ in helper.asked] == ["Is e300-1 on or off? Its power LED tells."]


@pytest.mark.parametrize(
    ("action", "finds", "asked"),
    [
        (ensure_on, "off", ["Switch e300-1 on"]),
        (ensure_on, "on", []),
        (ensure_off, "on", ["Switch e300-1 off"]),
        (cycle, "on", ["Switch e300-1 off", "Switch e300-1 on"]),
        (reset, "on", ["Press the reset button of e300-1"]),
        (soft_off, "on", ["Shut down e300-1 from its system and wait until its LED is off"]),
    ],
)
def test_each_action_asks_for_what_is_needed(action, finds: str, asked: list[str]) -> None:  # type: ignore[no-untyped-def]
    power, helper, clock = at_hand(finds)
    action(power, ignore, clock.pace())
    assert [question for question, _ in helper.asked[1:]] == asked


def test_only_switching_on_can_be_told_by_the_console() -> None:
    power, helper, _ = at_hand("on")
    for act in (power.off, power.on, power.reset, power.soft):
        act()
    assert [question for question, or_console in helper.asked if or_console] == ["Switch e300-1 on"]


def test_what_nobody_confirmed_is_asked_for_again() -> None:
    power, helper, clock = at_hand("on", leaves=True)
    assert confirmed_state(power, clock.pace()) is ON
    with pytest.raises(LabError, match="nobody answered within 1 min: Switch e300-1 off"):
        ensure_off(power, ignore, clock.pace())
    assert power.state() is ON
    assert len(helper.asked) == 2


def test_every_question_is_an_event() -> None:
    clock, events = Clock(), list[Event]()
    ensure_on(ManualPower("e300-1", Helper("off", clock), events.append), ignore, clock.pace())
    assert [(event.kind, event.text) for event in events] == [
        ("power.ask", "Is e300-1 on or off? Its power LED tells."),
        ("power.ask", "Switch e300-1 on"),
    ]


def board_of(folder: Path, power: str) -> Board:
    return lab_of(folder, BOARD + f"power = {power}\n").board("e300-1")


def test_where_there_is_no_person_nothing_is_known_and_nothing_done(tmp_path: Path) -> None:
    board = board_of(tmp_path, '"manual"')
    assert not has_override(board)
    power = open_drivers(board).power
    for call in (power.state, power.on, power.off, power.reset, power.soft):
        with pytest.raises(LabError, match="e300-1 is switched by hand, and nobody can be asked here: "):
            call()


def test_opened_from_the_lab_file(tmp_path: Path) -> None:
    drivers = open_drivers(board_of(tmp_path, '"manual"'), person=Helper("on", Clock()))
    assert (drivers.power.state(), drivers.override) == (ON, None)
    assert drivers.power.describe() == "the person at e300-1"


def test_it_has_no_settings(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"lab\.toml:5: unknown key `on` in \[boards\.e300-1\.power\]"):
        open_drivers(board_of(tmp_path, '{ driver = "manual", on = "x" }'), person=Helper("on", Clock()))
