"""`power` in lab.toml: a driver's name, or a table with what the driver alone understands."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from bringup.base.errors import ProfileError
from bringup.lab.inventory import Board
from bringup.power.settings import power_settings
from tests.unit.lab.test_inventory import BMC, BOARD, lab_of

pytestmark = pytest.mark.usefixtures("home")

SERIAL = BOARD.replace(BMC, 'serial = "/dev/ttyUSB0"\n')


def own_serial(folder: Path) -> str:
    """Return a board on a serial line of its test's own: who works on a line holds it for this whole host."""
    return SERIAL.replace("/dev/ttyUSB0", str(folder / "ttyUSB0"))


class Outlet(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    host: str
    outlet: int = 1


def board_of(folder: Path, text: str) -> Board:
    return lab_of(folder, text).board("e300-1")


@pytest.mark.parametrize(
    ("power", "driver", "table"),
    [
        ("", "ipmi", {}),
        ('power = "manual"\n', "manual", {}),
        ('power = { on = "pdu on" }\n', "command", {"on": "pdu on"}),
        ('[boards.e300-1.power]\ndriver = "pdu"\nhost = "10.0.0.3"\n', "pdu", {"host": "10.0.0.3"}),
    ],
)
def test_a_name_or_a_table(tmp_path: Path, power: str, driver: str, table: dict[str, str]) -> None:
    board = board_of(tmp_path, BOARD + power)
    assert (board.power, board.power_table) == (driver, table)
    assert board.to_dict()["power"] == driver


def test_without_ipmi_and_sol_no_bmc_is_needed(tmp_path: Path) -> None:
    assert board_of(tmp_path, SERIAL + 'power = "manual"\n').bmc is None


@pytest.mark.parametrize(
    ("text", "power", "serial"),
    [
        (SERIAL, True, False),
        (BOARD.replace(BMC, "") + 'power = "manual"\n', False, True),
        (BOARD.replace(BMC, ""), True, True),
    ],
)
def test_without_a_bmc_what_it_would_do_has_to_be_said(
    tmp_path: Path, text: str, power: bool, serial: bool
) -> None:
    with pytest.raises(
        ProfileError, match="a board that is not a twin needs `bmc`, or where it has none"
    ) as caught:
        board_of(tmp_path, text)
    assert ("`power`" in caught.value.message, "`serial`" in caught.value.message) == (power, serial)


def test_a_driver_reads_its_own_settings(tmp_path: Path) -> None:
    board = board_of(tmp_path, BOARD + 'power = { driver = "pdu", host = "10.0.0.3" }\n')
    assert power_settings(board, Outlet) == Outlet(host="10.0.0.3", outlet=1)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ("", ":5: [boards.e300-1.power] has no `host`"),
        (
            ', host = "a"\n, outlet = "3"',
            '`boards.e300-1.power.outlet` is "3" (a text): expected a whole number',
        ),
        (', hosts = "a"', ":5: unknown key `hosts` in [boards.e300-1.power]; did you mean `host`?"),
    ],
)
def test_a_mistake_in_them_is_told_with_its_line(tmp_path: Path, settings: str, sentence: str) -> None:
    text = 'power = { driver = "pdu"' + settings.replace("\n", "") + " }\n"
    with pytest.raises(ProfileError) as caught:
        power_settings(board_of(tmp_path, BOARD + text), Outlet)
    assert sentence in caught.value.message
