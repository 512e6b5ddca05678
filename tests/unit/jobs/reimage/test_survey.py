"""What is on a board's disks, seen through a ramdisk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bringup.base.errors import DiskError, LabError
from bringup.disk.commit import update
from bringup.disk.contents import Kind
from bringup.jobs.reimage.survey import slots_of, survey
from tests.unit.disk.disks import SMALL, installed, slot_image
from tests.unit.jobs.reimage.disk_file import DiskFile

SIZE = 64 << 20
LISTING = f"sda size {str(SIZE // 512).encode().hex()}\nsda device/serial {b'S1'.hex()}\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "disk"
    path.touch()
    os.truncate(path, SIZE)
    return path


def test_an_empty_disk(path: Path) -> None:
    agent = DiskFile(path, LISTING)
    (disk,) = survey(agent)
    assert (disk.name, disk.serial, disk.contents.is_empty) == ("sda", "S1", True)
    assert agent.calls == [("read", 0, 1 << 20), ("read", SIZE - (1 << 20), 1 << 20)]


def test_both_ends_tell(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"XFSB")
    assert str(survey(DiskFile(path, LISTING))[0].contents) == "file system (XFS)"


def test_a_disk_that_cannot_be_read_is_not_taken_for_empty(path: Path) -> None:
    (disk,) = survey(DiskFile(path, LISTING, fail=lambda _act, _at: "read"))
    assert [found.kind for found in disk.contents.found] == [Kind.UNKNOWN]
    assert "cannot be read" in str(disk.contents)


def test_a_network_that_fails_is_no_matter_of_the_disk(path: Path) -> None:
    with pytest.raises(DiskError):
        survey(DiskFile(path, LISTING, fail=lambda _act, _at: "send"))


def test_a_disk_of_others_has_no_slots(path: Path) -> None:
    agent = DiskFile(path, LISTING)
    with pytest.raises(LabError, match="not written by bringup: empty"):
        slots_of(agent, survey(agent)[0])


def test_without_any_state_the_slot_that_is_whole_is_good(tmp_path: Path) -> None:
    disk = installed(tmp_path)
    disk.perform(update(disk.slots(), slot_image(tmp_path, "new")))
    for place in disk.slots().places:
        disk.write(place, b"\xff" * 512)
    disk.flip(SMALL.slot("A").start + slot_image(tmp_path, "old").places["module1.img"][0])
    path = tmp_path / "sda"
    path.write_bytes(disk.read(0, disk.size))
    agent = DiskFile(path, f"sda size {str(disk.size // 512).encode().hex()}\n")
    slots = slots_of(agent, survey(agent)[0])
    assert (slots.state, slots.good, slots.slot("A").intact) == (None, "B", False)
