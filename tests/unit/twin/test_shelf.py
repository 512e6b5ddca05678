"""A shelf: what stands on it, and what is refused."""

from __future__ import annotations

import pytest

from bringup.base.errors import UsageError
from bringup.twin.shelf.client import PlannedBoard, plan_shelf
from bringup.twin.shelf.process import Slot


def test_full_twins_come_first_and_faults_go_to_their_boards() -> None:
    boards = plan_shelf(4, full=1, faults={"shelf-03": ["bmc-silent"]})
    assert boards == (
        PlannedBoard("shelf-01", True),
        PlannedBoard("shelf-02", False),
        PlannedBoard("shelf-03", False, ("bmc-silent",)),
        PlannedBoard("shelf-04", False),
    )


@pytest.mark.parametrize(
    ("count", "full", "faults", "says"),
    [
        (0, 0, {}, "1 to 128 boards, not 0"),
        (129, 0, {}, "1 to 128 boards, not 129"),
        (2, 3, {}, "3 of 2 boards cannot be full twins"),
        (2, 0, {"shelf-03": ["bmc-silent"]}, "no board shelf-03 on this shelf"),
        (2, 0, {"shelf-01": ["gremlins"]}, "gremlins"),
    ],
)
def test_what_cannot_stand_there_is_refused(
    count: int, full: int, faults: dict[str, list[str]], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        plan_shelf(count, full=full, faults=faults)


def test_no_two_boards_share_a_mac_or_an_address() -> None:
    slots = [Slot(number, f"b{number}", (), 0) for number in range(128)]
    assert len({slot.mac for slot in slots}) == len({slot.address for slot in slots}) == 128
    assert all(int(slot.address.rpartition(".")[2]) < 255 for slot in slots)
