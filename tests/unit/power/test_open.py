"""From the name in lab.toml to a driver: of this tool, of another package, or of nobody."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bringup.base.errors import LabError, ProfileError
from bringup.lab.inventory import Board
from bringup.power.base import PowerState
from bringup.power.open import driver_names, open_drivers
from tests.unit.lab.test_inventory import BOARD, lab_of

pytestmark = pytest.mark.usefixtures("home")

MINE = """
from bringup.power.base import Drivers, Power, PowerState

class Lamp(Power):
    lit = False
    def describe(self): return "a lamp"
    def state(self): return PowerState.ON if self.lit else PowerState.OFF
    def on(self): self.lit = True
    def off(self): self.lit = False

def open_drivers(board, emit, person):
    return Drivers(Lamp())
"""


@pytest.fixture
def other_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package as pip leaves it, which names two drivers; the second is not there."""
    site = tmp_path / "site"
    info = site / "lamp_power-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "lamp_power.py").write_text(MINE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lamp-power\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[bringup.power]\nlamp = lamp_power:open_drivers\nbroken = lamp_power:opens\n"
    )
    monkeypatch.syspath_prepend(site)


def board_with(folder: Path, power: str) -> Board:
    return lab_of(folder, f"{BOARD}power = {power}\n").board("e300-1")


def test_ipmi_gives_power_and_override_and_sends_nothing(tmp_path: Path) -> None:
    drivers = open_drivers(board_with(tmp_path, '"ipmi"'))
    assert drivers.override is not None
    assert drivers.power.describe() == drivers.override.describe() == "the BMC at 10.0.0.17 port 623"
    drivers.close()


@pytest.mark.usefixtures("other_package")
def test_a_driver_of_another_package(tmp_path: Path) -> None:
    drivers = open_drivers(board_with(tmp_path, '"lamp"'))
    drivers.power.on()
    assert (drivers.power.state(), drivers.override) == (PowerState.ON, None)
    with pytest.raises(LabError, match="a lamp has no reset"):
        drivers.power.reset()
    with pytest.raises(LabError, match="a lamp cannot ask the operating system to shut down"):
        drivers.power.soft()


@pytest.mark.usefixtures("other_package")
def test_a_package_that_does_not_keep_its_word_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="the power driver broken of lamp-power cannot be loaded"):
        open_drivers(board_with(tmp_path, '"broken"'))


@pytest.mark.usefixtures("other_package")
def test_an_unknown_name_is_told_with_its_line_and_what_is_near(tmp_path: Path) -> None:
    with pytest.raises(ProfileError) as caught:
        open_drivers(board_with(tmp_path, '{ driver = "lmap" }'))
    assert caught.value.message.endswith('lab.toml:5: there is no power driver "lmap"; did you mean lamp?')
    assert caught.value.hint == f"power drivers: {', '.join(driver_names())}"
    assert {"ipmi", "lamp"} < set(driver_names())


@pytest.mark.parametrize("name", ["os", "..base", "__init__", "drivers.ipmi", "/etc/passwd"])
def test_a_name_is_never_a_way_to_another_module(tmp_path: Path, name: str) -> None:
    with pytest.raises(ProfileError, match="there is no power driver"):
        open_drivers(board_with(tmp_path, f'"{name}"'))


def test_only_the_driver_that_is_used_is_imported() -> None:
    code = (
        "import sys, bringup.power.open; print([m for m in sys.modules if 'pyghmi' in m or '.drivers.' in m])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"
