"""What is on a disk, by its ends: held against the tools that make such contents, and for any bytes."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.disk.contents import LOOK_BYTES, Contents, Found, Kind, judge, judge_whole
from bringup.disk.layout import MIB
from tests.unit.disk.disks import SMALL, installed, tool

SIZE = 64 * MIB


def look(path: Path, sector_bytes: int = 512) -> Contents:
    data = path.read_bytes()
    return judge(data[:LOOK_BYTES], data[-LOOK_BYTES:], sector_bytes, len(data))


def names(contents: Contents) -> list[str]:
    return [str(each) for each in contents.found]


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk"
    with path.open("wb") as file:
        file.truncate(SIZE)
    return path


def run(*words: str | Path) -> None:
    subprocess.run([tool(str(words[0])), *words[1:]], check=True, capture_output=True)


def test_zeros_are_empty(disk: Path) -> None:
    contents = look(disk)
    assert contents.is_empty
    assert str(contents) == "empty"


def test_bytes_that_mean_nothing_are_not_empty(disk: Path) -> None:
    with disk.open("r+b") as file:
        file.seek(SIZE - 5)
        file.write(b"x")
    assert names(look(disk)) == ["data of an unknown kind"]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["mke2fs", "-q", "-t", "ext4"], "file system (ext4)"),
        (["mke2fs", "-q", "-t", "ext3"], "file system (ext3)"),
        (["mke2fs", "-q", "-t", "ext2"], "file system (ext2)"),
        (["mkfs.vfat"], "file system (FAT)"),
        (["mkfs.vfat", "-F", "32", "-S", "4096", "-s", "1"], "file system (FAT)"),
        (["mkswap"], "swap space"),
    ],
)
def test_what_a_tool_made_is_told(disk: Path, words: list[str], name: str) -> None:
    run(*words, disk)
    assert names(look(disk)) == [name]
    assert not look(disk).is_empty


def test_partition_tables_are_told(disk: Path) -> None:
    run("sgdisk", "-n", "1:0:+10M", "-n", "2:0:+10M", disk)
    assert names(look(disk)) == ["GPT (2 partitions)"]
    assert [part.number for part in look(disk).parts()] == [1, 2]
    assert names(look(disk, 4096)) == ["GPT (made for sectors of 512 bytes)"] * 1 + [
        "GPT (only its second copy)"
    ]
    with disk.open("r+b") as file:
        file.write(bytes(4096))
    assert names(look(disk)) == ["GPT (only its second copy)"]


def test_an_mbr_is_told_and_no_boot_sector_of_a_file_system_is_one(disk: Path) -> None:
    entry = struct.pack("<B3sB3sII", 0x80, b"", 0x83, b"", 2048, 20480)
    with disk.open("r+b") as file:
        file.write(bytes(446) + entry + bytes(48) + b"\x55\xaa")
    assert names(look(disk)) == ["MBR partition table (1 partition, 10 MiB)"]
    with disk.open("r+b") as file:
        file.write(bytes(510) + b"\x55\xaa")
    assert names(look(disk)) == ["MBR partition table (without partitions)"]


def test_our_own_layout_is_ours_until_something_else_is_written(tmp_path: Path) -> None:
    written = installed(tmp_path)

    def now() -> Contents:
        return judge(written.read(0, MIB), written.read(written.size - MIB, MIB), 512, written.size)

    assert now().is_ours
    assert now().layout == SMALL
    written.write(2 * 512 * 512, bytes(1))
    written.write(4096, struct.pack("<II", 0xA92B4EFC, 1))
    assert not now().is_ours
    assert "RAID" in str(now())


# What no tool here makes without root: (bytes from the start, from the end, what is written, what it is).
PLANTED = [
    (512, None, b"LABELONE" + bytes(16) + b"LVM2 001", "LVM physical volume"),
    (0, None, struct.pack("<II", 0xA92B4EFC, 1), "member of a RAID (Linux md)"),
    (4096, None, struct.pack("<II", 0xA92B4EFC, 1), "member of a RAID (Linux md)"),
    (None, 8192, struct.pack("<II", 0xA92B4EFC, 1), "member of a RAID (Linux md)"),
    (None, 65536, struct.pack("<II", 0xA92B4EFC, 0), "member of a RAID (Linux md)"),
    (None, 65536, struct.pack(">II", 0xA92B4EFC, 0), "member of a RAID (Linux md)"),
    (None, 1024, b"Intel Raid ISM Cfg Sig. 1.3.00", "member of a RAID (Intel)"),
    (None, 8192, b"Intel Raid ISM Cfg Sig. 1.3.00", "member of a RAID (Intel)"),
    (None, 512, b"\xde\x11\xde\x11", "member of a RAID (DDF, of a RAID controller)"),
    (128 << 10, None, struct.pack("<Q", 0x00BAB10C), "member of a ZFS pool"),
    ((128 << 10) + 5120, None, struct.pack(">Q", 0x00BAB10C), "member of a ZFS pool"),
    (None, 128 << 10, struct.pack("<Q", 0x00BAB10C), "member of a ZFS pool"),
    (0, None, b"LUKS\xba\xbe\x00\x02", "encrypted volume (LUKS)"),
    (0, None, b"XFSB", "file system (XFS)"),
    (0x10040, None, b"_BHRfS_M", "file system (btrfs)"),
    (3, None, b"NTFS    ", "file system (NTFS)"),
    (0, None, b"\xebR\x90NTFS    ".ljust(446) + b"code" * 16 + b"\x55\xaa", "file system (NTFS)"),
    (0x8001, None, b"CD001", "file system (ISO 9660)"),
    (0x10000 + 1372, None, struct.pack("<I", 0x19540119), "file system (UFS2)"),
    (0, None, b"bluestore block device\n", "member of a storage pool (Ceph)"),
]


@pytest.mark.parametrize(("at", "from_end", "data", "name"), PLANTED)
def test_a_signature_is_told(
    disk: Path, at: int | None, from_end: int | None, data: bytes, name: str
) -> None:
    with disk.open("r+b") as file:
        file.seek(at if at is not None else SIZE - (from_end or 0))
        file.write(data)
    assert names(look(disk)) == [name]


def test_what_partitions_hold_is_told_with_their_number() -> None:
    outer = Contents((Found(Kind.GPT, "1 partition"),))
    whole = judge_whole(outer, {3: Contents((Found(Kind.LVM),)), 1: Contents()})
    assert str(whole) == "GPT (1 partition), LVM physical volume (in partition 3)"


@given(st.binary(max_size=2048), st.binary(max_size=2048), st.sampled_from([512, 4096]))
def test_any_bytes_are_judged(head: bytes, tail: bytes, sector_bytes: int) -> None:
    contents = judge(head, tail, sector_bytes)
    assert contents.is_empty == (not any(head) and not any(tail))
    assert not contents.is_ours


@given(st.data())
def test_bytes_around_signatures_are_judged(data: st.DataObject) -> None:
    head, tail = bytearray(LOOK_BYTES // 4), bytearray(70_000)
    for at, from_end, planted, _ in data.draw(st.lists(st.sampled_from(PLANTED), max_size=4)):
        if at is not None:
            head[at : at + len(planted)] = planted
        elif from_end and from_end <= len(tail):
            tail[-from_end : len(planted) - from_end or None] = planted
    for at in data.draw(st.lists(st.integers(0, 2000), max_size=5)):
        head[at] = data.draw(st.integers(0, 255))
    contents = judge(bytes(head), bytes(tail))
    assert contents.is_empty == (not any(head) and not any(tail))
