"""A real board, read only: `pytest --hardware tests/hardware`, BRINGUP_HARDWARE_BOARD naming it in lab.toml.

Nothing here changes power, boot override or anything else of the board.
"""

from __future__ import annotations

import os

import pytest

from bringup.lab.inventory import load_lab
from bringup.power.actions import confirmed_state
from bringup.power.base import PowerState
from bringup.power.open import open_power

pytestmark = pytest.mark.hardware


@pytest.fixture
def board_name() -> str:
    name = os.environ.get("BRINGUP_HARDWARE_BOARD")
    if not name:
        pytest.skip("BRINGUP_HARDWARE_BOARD names no board of lab.toml")
    return name


def test_the_bmc_says_on_or_off(board_name: str) -> None:
    power = open_power(load_lab().board(board_name))
    try:
        assert confirmed_state(power) in (PowerState.ON, PowerState.OFF)
    finally:
        power.close()


def test_the_boot_override_can_be_read(board_name: str) -> None:
    power = open_power(load_lab().board(board_name))
    try:
        assert power.read_override().device
    finally:
        power.close()
