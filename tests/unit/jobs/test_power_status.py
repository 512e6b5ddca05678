"""Many boards' power, asked together: who agrees at once, who is read by itself, and who cannot be asked."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from bringup.base.errors import BringupError
from bringup.jobs.power_status import power_state, power_states
from bringup.lab.inventory import Board
from bringup.power.base import PowerState
from tests.unit.lab.test_inventory import BMC, MACS, lab_of

pytestmark = pytest.mark.usefixtures("home", "lamps")

LAMPS = """
from concurrent.futures import Future
from bringup.base.errors import BmcTimeoutError, LabError
from bringup.power.base import Drivers, Power, PowerState

STATES = {"on": PowerState.ON, "off": PowerState.OFF, "unknown": PowerState.UNKNOWN}

OPEN, MOST = set(), [0]

class Lamp(Power):
    def __init__(self, reads, ahead):
        self.reads, self.ahead = reads, ahead
        OPEN.add(self)
        MOST[0] = max(MOST[0], len(OPEN))

    def close(self):
        OPEN.discard(self)

    def describe(self):
        return f"a lamp, read {self.count} times"

    count = 0

    def state(self):
        self.count += 1
        said = self.reads.pop(0) if len(self.reads) > 1 else self.reads[0]
        if said == "silent":
            raise BmcTimeoutError("no answer from a lamp")
        return STATES[said]

    def ask_ahead(self):
        found = Future()
        said = self.ahead.pop(0)
        if said == "refused":
            raise LabError("the lamp has no password")
        if said != "silent":
            found.set_result(STATES[said])
        return found

def open_drivers(board, emit, person):
    table = dict(board.power_table)
    lamp = Lamp(list(table["reads"]), list(table.get("ahead", ())))
    return Drivers(lamp, ahead=lamp if lamp.ahead else None)
"""


@pytest.fixture
def lamps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with a driver whose reads are written in the lab file."""
    site = tmp_path / "site"
    info = site / "lamps-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "lamps_power.py").write_text(LAMPS)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lamps\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[bringup.power]\nlamps = lamps_power:open_drivers\n")
    monkeypatch.syspath_prepend(site)


def boards_with(folder: Path, *lamps: str) -> tuple[Board, ...]:
    """Return boards whose lamps read so, each "AHEAD / READS"."""
    text = ""
    for number, lamp in enumerate(lamps):
        ahead, reads = (part.split() for part in lamp.split("/"))
        macs, bmc = MACS.replace("0e:", f"{number:02x}:").replace("0E-", f"{number:02X}-"), BMC
        text += f'[boards.lamp-{number}]\nprofile = "supermicro-e300-9d"\n{macs}'
        text += bmc.replace("0.17", f"0.{number + 1}")
        text += f'power = {{ driver = "lamps", ahead = {ahead}, reads = {reads} }}\n'.replace("'", '"')
    return tuple(lab_of(folder, text).boards.values())


@pytest.mark.parametrize(
    ("lamp", "state", "reads"),
    [
        ("on on / silent", "on", 0),
        ("off off / silent", "off", 0),
        ("/ on", "on", 2),
        ("on off / off", "off", 2),
        ("unknown / on", "on", 2),
        ("on unknown / off on on", "on", 3),
        ("unknown / on off off", "off", 3),
    ],
)
def test_two_reads_in_succession_agree_whoever_reads(
    tmp_path: Path, lamp: str, state: str, reads: int
) -> None:
    [board] = boards_with(tmp_path, lamp)
    assert power_state(board) == (PowerState(state), f"a lamp, read {reads} times")


def test_one_that_says_nothing_stops_nobody(tmp_path: Path) -> None:
    lamps = ("on on / silent", "silent / silent", "off off / silent", "refused / on", "on silent / on")
    found = [
        said.message if isinstance(said, BringupError) else str(state)
        for _, state, said in power_states(boards_with(tmp_path, *lamps))
    ]
    assert found == ["on", "no answer from a lamp", "off", "the lamp has no password", "on"]


def test_boards_are_told_in_their_order(tmp_path: Path) -> None:
    boards = boards_with(tmp_path, *["off off / silent", "/ on"] * 12)
    found = power_states(boards, at_once=3)
    assert [board.name for board, _, _ in found] == [board.name for board in boards]
    assert [str(state) for _, state, _ in found] == ["off", "on"] * 12


@pytest.mark.parametrize(("at_once", "most"), [(1, 1), (3, 3), (64, 7)])
def test_no_more_are_asked_at_a_time_than_was_said(tmp_path: Path, at_once: int, most: int) -> None:
    boards = boards_with(tmp_path, *["on on / silent"] * 7)
    driver = import_module("lamps_power")
    driver.OPEN.clear()
    driver.MOST[0] = 0
    assert [str(state) for _, state, _ in power_states(boards, at_once=at_once)] == ["on"] * 7
    assert (driver.MOST[0], driver.OPEN) == (most, set())
