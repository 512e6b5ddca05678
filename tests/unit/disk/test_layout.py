"""The partition table, held against sgdisk, and read back from any bytes."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.errors import LabError, UsageError
from bringup.disk.layout import (
    MIB,
    SLOT_BYTES,
    backup_table,
    least_disk_bytes,
    make_layout,
    primary_table,
    protective_mbr,
    read_layout,
)
from tests.unit.disk.disks import SMALL, tool

GIB = 1 << 30


def written(path: Path, disk_bytes: int, *, bootable: bool = False) -> Path:
    layout = make_layout(disk_bytes, bootable=bootable)
    at, backup = backup_table(layout)
    with path.open("wb") as file:
        file.write(protective_mbr(layout) + primary_table(layout))
        file.truncate(disk_bytes)
        file.seek(at)
        file.write(backup)
    return path


@pytest.mark.parametrize("disk_bytes", [least_disk_bytes(), 8 * GIB + 512, 3 << 40])
def test_sgdisk_finds_nothing_wrong(tmp_path: Path, disk_bytes: int) -> None:
    path = written(tmp_path / "disk", disk_bytes, bootable=True)
    done = subprocess.run([tool("sgdisk"), "-v", "-p", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "No problems found" in done.stdout
    assert "problem:" not in done.stdout.lower()
    rows = [line.split() for line in done.stdout.splitlines() if "bringup-" in line]
    assert [(row[1], row[-2], row[-1]) for row in rows] == [
        ("2048", "EF02", "bringup-bios"),
        ("4096", "8300", "bringup-state"),
        ("8192", "EF00", "bringup-esp"),
        ("139264", "8300", "bringup-a"),
        (str(139264 + SLOT_BYTES // 512), "8300", "bringup-b"),
    ]


@pytest.mark.parametrize("sector_bytes", [512, 4096])
def test_a_table_is_read_back_as_it_was_made(sector_bytes: int) -> None:
    layout = make_layout(4 * GIB, sector_bytes)
    head = protective_mbr(layout, b"code") + primary_table(layout)
    assert len(protective_mbr(layout)) == sector_bytes
    assert read_layout(head, 4 * GIB, sector_bytes) == layout
    assert layout.is_ours
    assert read_layout(head, 4 * GIB, 4608 - sector_bytes) is None
    # Byte offsets do not depend on the size of sectors.
    assert [part.start for part in layout.partitions] == [
        part.start for part in make_layout(4 * GIB).partitions
    ]


def test_guids_are_never_those_of_another_disk() -> None:
    layouts = [make_layout(4 * GIB) for _ in range(2)]
    guids = [guid for each in layouts for guid in (each.disk_guid, *(part.guid for part in each.partitions))]
    assert len(set(guids)) == len(guids)


def test_a_disk_that_is_too_small_or_odd_is_refused() -> None:
    with pytest.raises(LabError, match="2000 MiB, and two slots of 1024 MiB need 2117 MiB"):
        make_layout(2000 * MIB)
    with pytest.raises(LabError, match="sectors of 520 bytes"):
        make_layout(4 * GIB, 520)
    with pytest.raises(UsageError, match="whole number of MiB"):
        make_layout(4 * GIB, slot_bytes=MIB + 1)
    assert (
        make_layout(least_disk_bytes()).partitions[-1].end <= backup_table(make_layout(least_disk_bytes()))[0]
    )


@given(st.data())
def test_any_bytes_are_a_table_or_none(data: st.DataObject) -> None:
    layout = make_layout(4 * GIB)
    head = bytearray(protective_mbr(layout) + primary_table(layout))
    for at, value in data.draw(st.lists(st.tuples(st.integers(512, len(head) - 1), st.integers(0, 255)))):
        head[at] = value
    found = read_layout(bytes(head), 4 * GIB, 512)
    assert found is None or found == layout
    assert read_layout(data.draw(st.binary(max_size=2000)), 4 * GIB, 512) is None


@pytest.mark.parametrize(
    ("number", "start", "size"),
    [
        (5, SMALL.slot("A").start, MIB),
        (5, SMALL.disk_bytes, MIB),
        (4, 4 * MIB, MIB),
        (2, MIB, 2 * MIB),
        (5, 513, 9),
    ],
    ids=["B over A", "B behind the end", "A over the loader", "states over the loader", "odd"],
)
def test_a_table_whose_partitions_were_moved_over_each_other_is_not_ours(
    number: int, start: int, size: int
) -> None:
    """An update writes to one slot and must not reach the other."""
    parts = [
        replace(part, start=start, size=size) if part.number == number else part for part in SMALL.partitions
    ]
    moved = replace(SMALL, partitions=tuple(parts))
    assert SMALL.is_ours
    assert not moved.is_ours
