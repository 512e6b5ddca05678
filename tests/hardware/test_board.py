"""A real board, read only: `pytest --hardware tests/hardware`, BRINGUP_HARDWARE_BOARD naming it in lab.toml.

Nothing here changes power, boot override or anything else of the board.
"""

from __future__ import annotations

import os
from contextlib import closing

import pytest

from bringup.lab.find import load_lab
from bringup.power.actions import confirmed_state
from bringup.power.base import PowerState
from bringup.power.open import open_drivers

pytestmark = pytest.mark.hardware


@pytest.fixture
def board_name() -> str:
    name = os.environ.get("BRINGUP_HARDWARE_BOARD")
    if not name:
        pytest.skip("BRINGUP_HARDWARE_BOARD names no board of lab.toml")
    return name


def test_the_switch_says_on_or_off(board_name: str) -> None:
    with closing(open_drivers(load_lab().board(board_name))) as drivers:
        assert confirmed_state(drivers.power) in (PowerState.ON, PowerState.OFF)


def test_the_boot_override_can_be_read(board_name: str) -> None:
    with closing(open_drivers(load_lab().board(board_name))) as drivers:
        assert drivers.override is None or drivers.override.read().device
