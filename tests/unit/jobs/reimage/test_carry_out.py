"""Writes are carried out in their order, verified, not sent twice, and failures end them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bringup.base.errors import DiskError
from bringup.disk.commit import Compare, Flush, Write
from bringup.disk.pieces import FileSpan, Pieces
from bringup.jobs.reimage.carry_out import CarryOut, Reached
from tests.unit.jobs.reimage.disk_file import DiskFile

CHUNK = 256 << 10
SIZE = 5 * CHUNK


@pytest.fixture
def disk(tmp_path: Path) -> DiskFile:
    path = tmp_path / "disk"
    path.touch()
    os.truncate(path, SIZE)
    return DiskFile(path)


def small(offset: int, data: bytes) -> tuple[Write, Flush, Compare]:
    content = Pieces.of(data)
    return (
        Write(offset, content, "state"),
        Flush(),
        Compare(offset, content.size, content.sha256(), "state"),
    )


@pytest.fixture
def large(tmp_path: Path) -> tuple[Write, Flush, Compare]:
    """Three whole parts and a bit, each other than the next."""
    path = tmp_path / "image"
    with path.open("wb") as file:
        for number in (1, 2, 3):
            file.write(bytes([number]) * CHUNK)
        file.write(b"end" * 100)
    content = Pieces.of(FileSpan(path, path.stat().st_size))
    return Write(4096, content, "slot A"), Flush(), Compare(4096, content.size, content.sha256(), "slot A")


def carry(
    disk: DiskFile, *actions: Write | Flush | Compare, sector: int = 512
) -> tuple[CarryOut, list[Reached]]:
    told: list[Reached] = []
    work = CarryOut(disk, "sda", sector, told.append, chunk_bytes=CHUNK)
    work.all(actions)
    return work, told


def test_everything_is_written_flushed_and_read_back_in_order(disk: DiskFile) -> None:
    carry(disk, *small(8192, b"x" * 4096))
    assert [act for act, _, _ in disk.calls] == ["write", "flush", "hash"]
    assert disk.path.read_bytes()[8192:12288] == b"x" * 4096


def test_the_last_sector_is_filled_up(disk: DiskFile) -> None:
    carry(disk, *small(4096, b"core"), sector=4096)
    assert disk.calls[0] == ("write", 4096, 4096)
    assert disk.calls[-1] == ("hash", 4096, 4096)
    assert disk.path.read_bytes()[4096:8192] == b"core".ljust(4096, b"\0")


def test_a_large_write_goes_in_parts_and_tells_how_far_it_is(
    disk: DiskFile, large: tuple[Write, Flush, Compare]
) -> None:
    work, told = carry(disk, *large)
    assert disk.acts("write") == [4096 + number * CHUNK for number in range(4)]
    assert [(each.phase, each.done == each.size) for each in told] == [
        *[("writing", False)] * 3,
        ("writing", True),
        ("reading back", True),
    ]
    assert work.sent_bytes == 3 * CHUNK + 512
    assert work.skipped_bytes == 0


def test_four_parts_are_read_back_by_one_order_and_only_the_wrong_one_is_sent_again(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.touch()
    os.truncate(path, 9 * CHUNK)
    spoilt: list[int] = []

    def spoil_once(offset: int, data: bytes) -> bytes:
        first = offset == 5 * CHUNK and offset not in spoilt
        spoilt.append(offset)
        return b"?" + data[1:] if first else data

    disk = DiskFile(path)
    disk.spoil = spoil_once
    content = Pieces.of(b"".join(bytes([number]) * CHUNK for number in range(1, 10)))
    write, compare = Write(0, content, "slot A"), Compare(0, content.size, content.sha256(), "slot A")
    _, told = carry(disk, write, Flush(), compare)
    assert [each.done for each in told if each.phase == "reading back"] == [4 * CHUNK, 8 * CHUNK, 9 * CHUNK]
    assert disk.acts("write") == [number * CHUNK for number in (*range(9), 5)]
    assert path.read_bytes() == content.read(0, content.size)


def test_what_is_there_already_is_not_sent_again(disk: DiskFile, large: tuple[Write, Flush, Compare]) -> None:
    carry(disk, *large)
    disk.calls.clear()
    with disk.path.open("r+b") as file:
        file.seek(4096 + 2 * CHUNK + 100_000)
        file.write(b"a flipped bit")
    work, told = carry(disk, *large)
    assert disk.acts("write") == [4096 + 2 * CHUNK, 4096 + 3 * CHUNK]
    assert work.skipped_bytes == 2 * CHUNK
    assert told[3].skipped == 2 * CHUNK


def test_a_second_run_goes_on_where_the_first_was_cut(
    tmp_path: Path, disk: DiskFile, large: tuple[Write, Flush, Compare]
) -> None:
    cut = DiskFile(disk.path, fail=lambda act, at: "write" if act == "write" and at > 2 * CHUNK else None)
    with pytest.raises(DiskError):
        carry(cut, *large)
    carry(disk, *large)
    assert disk.acts("write")[0] == 4096 + 2 * CHUNK


def test_what_reads_back_wrong_is_sent_once_more(disk: DiskFile) -> None:
    spoilt: list[int] = []

    def spoil_once(offset: int, data: bytes) -> bytes:
        spoilt.append(offset)
        return data if len(spoilt) > 1 else b"?" + data[1:]

    disk.spoil = spoil_once
    carry(disk, *small(4096, b"y" * 512))
    assert [act for act, _, _ in disk.calls] == ["write", "flush", "hash", "write", "flush", "hash"]
    assert disk.path.read_bytes()[4096:4608] == b"y" * 512


def test_a_disk_that_keeps_other_bytes_ends_the_job(disk: DiskFile) -> None:
    disk.spoil = lambda _offset, data: b"?" + data[1:]
    with pytest.raises(DiskError, match="state reads back as other bytes") as error:
        carry(disk, *small(4096, b"y" * 512), *small(8192, b"z" * 512))
    assert error.value.hint is not None
    assert 8192 not in disk.acts("write"), "nothing that follows is written"


@pytest.mark.parametrize("why", ["write", "read", "flush"])
def test_an_error_of_the_disk_ends_the_job_at_once(disk: DiskFile, why: str) -> None:
    act = {"read": "hash"}.get(why, why)
    failing = DiskFile(disk.path, fail=lambda name, _at: why if name == act else None)
    with pytest.raises(DiskError) as error:
        carry(failing, *small(4096, b"y" * 512), *small(8192, b"z" * 512))
    assert error.value.why == why
    assert 8192 not in failing.acts("write")


def test_a_part_that_did_not_arrive_is_fetched_again(disk: DiskFile) -> None:
    failures = iter(["fetch", "fetch", None])
    failing = DiskFile(disk.path, fail=lambda act, _at: next(failures) if act == "write" else None)
    carry(failing, *small(4096, b"y" * 512))
    assert failing.acts("write") == [4096] * 3


def test_a_comparison_of_what_was_not_written_here(disk: DiskFile) -> None:
    content = Pieces.of(bytes(512))
    carry(disk, Compare(0, 512, content.sha256(), "first sector"))
    with pytest.raises(DiskError, match="first sector"):
        carry(disk, Compare(0, 512, Pieces.of(b"x" * 512).sha256(), "first sector"))


def test_rate_and_time_left() -> None:
    reached = Reached("writing", "slot A", 300, 900, began_s=10.0, skipped=100)
    assert reached.rate(12.0) == 100.0
    assert reached.left_s(12.0) == 6.0
    assert Reached("writing", "slot A", 100, 900, 10.0, 100).left_s(11.0) is None
