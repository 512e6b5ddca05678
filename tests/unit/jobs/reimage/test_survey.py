"""What is on a board's disks, seen through a ramdisk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bringup.base.errors import DiskError, LabError
from bringup.disk.choose import Disk
from bringup.disk.commit import install, update
from bringup.disk.contents import LOOK_BYTES, Kind, between
from bringup.disk.layout import LETTERS, MIB, make_layout
from bringup.jobs.reimage.survey import slots_of, slots_to_update, survey
from tests.unit.disk.disks import LOADER, SMALL, MemoryDisk, installed, slot_image
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
    ends = [("read", 0, 1 << 20), ("read", SIZE - (1 << 20), 1 << 20)]
    assert agent.calls == [*ends, *(("hash", *place) for place in between(SIZE))]


def test_a_disk_whose_partition_table_was_cleared_is_not_taken_for_empty(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(MIB)
        file.write(b"XFSB")
    contents = survey(DiskFile(path, LISTING))[0].contents
    assert (contents.is_free, [found.kind for found in contents.found]) == (False, [Kind.UNKNOWN])


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


def board_with(disk: MemoryDisk, path: Path) -> tuple[DiskFile, Disk]:
    path.write_bytes(disk.read(0, disk.size))
    agent = DiskFile(path, f"sda size {str(disk.size // 512).encode().hex()}\n")
    return agent, survey(agent)[0]


def test_the_slot_that_should_start_and_cannot_is_the_one_to_write_to(tmp_path: Path) -> None:
    disk = installed(tmp_path)
    disk.perform(update(disk.slots(), slot_image(tmp_path, "new")))
    agent, seen = board_with(disk, tmp_path / "whole")
    slots = slots_to_update(agent, seen)
    assert (slots.good, slots.slot("A").intact, slots.slot("B").intact) == ("A", True, None)
    assert max(length for act, _, length in agent.calls if act == "read") <= LOOK_BYTES

    disk.flip(SMALL.slot("A").start + slot_image(tmp_path, "old").places["module1.img"][0])
    slots = slots_to_update(*board_with(disk, tmp_path / "damaged"))
    assert (slots.good, slots.slot("A").problem) == ("B", "module1.img is not what was written")

    disk.flip(SMALL.slot("B").start + slot_image(tmp_path, "new").places["kernel.elf"][0])
    assert slots_to_update(*board_with(disk, tmp_path / "both")).good is None


def test_a_slot_is_hashed_where_it_is_and_not_fetched(tmp_path: Path) -> None:
    size = 8 << 20
    layout = make_layout(2 * (16 << 20) + 69 * MIB, slot_bytes=16 << 20)
    disk = MemoryDisk(layout.disk_bytes)
    slot = slot_image(tmp_path, "large", size=size, slot_bytes=16 << 20)
    disk.perform(install(layout, LOADER, slot))
    agent, seen = board_with(disk, tmp_path / "sda")
    agent.calls.clear()
    assert slots_of(agent, seen, LETTERS).slot("A").intact
    assert sum(length for act, _, length in agent.calls if act == "read") < size // 4
    assert ("hash", layout.slot("A").start + slot.places["module1.img"][0], size) in agent.calls


def test_a_file_of_a_slot_that_the_disk_cannot_read_is_damage(tmp_path: Path) -> None:
    agent, seen = board_with(installed(tmp_path), tmp_path / "sda")
    failing = DiskFile(agent.path, fail=lambda act, _at: "read" if act == "hash" else None)
    assert slots_of(failing, seen, LETTERS).slot("A").intact is False
    lost = DiskFile(agent.path, fail=lambda act, _at: "gone" if act == "hash" else None)
    with pytest.raises(DiskError):
        slots_of(lost, seen, LETTERS)
