"""What is on a disk, held against util-linux: whatever tools make, what blkid names is never called empty.

Of the tools those are used that are installed; only mke2fs, mkfs.vfat, mkswap and sgdisk are everywhere.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bringup.disk.contents import LOOK_BYTES, Contents, between, contents_of
from bringup.disk.layout import MIB
from tests.unit.disk.disks import tool

SIZE = 320 * MIB
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
LUKS = "echo -n word | cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 DISK -"
FILES, COPY = "mkdir DISK.d && echo word >DISK.d/file", "dd if=DISK.x of=DISK conv=notrunc bs=1M"
# What is run on DISK.
CORPUS = (
    "mke2fs -q -F -t ext4 DISK",
    "mke2fs -q -F -t ext2 DISK",
    "mke2fs -q -F -O journal_dev DISK",
    "mkfs.vfat DISK",
    "mkfs.exfat DISK",
    "mkfs.ntfs -Q -F DISK",
    "mkfs.xfs -q -f DISK",
    "mkfs.btrfs -q -f DISK",
    "mkfs.f2fs -f DISK",
    "mkfs.minix -3 DISK",
    "mkfs.bfs DISK",
    "mkfs.jfs -q DISK",
    "mkfs.nilfs2 -f DISK",
    "mkfs.reiserfs -ff -q DISK",
    "mkudffs -b 512 DISK",
    "mkudffs -b 4096 DISK",
    "mkswap DISK",
    "mkswap -p 65536 DISK",
    f"{LUKS} --type luks1",
    f"{LUKS} --type luks2",
    f"veritysetup format DISK DISK.x && {COPY}",
    "make-bcache -B DISK",
    "make-bcache -C DISK",
    "yes | drbdmeta --force 0 v08 DISK internal create-md",
    f"{FILES} && xorriso -as mkisofs -o DISK.x DISK.d && {COPY}",
    f"{FILES} && mksquashfs DISK.d DISK.x && {COPY}",
    f"{FILES} && mkfs.erofs DISK.x DISK.d && {COPY}",
    "sgdisk -n 1:0:+64M DISK",
    "sgdisk -n 1:0:+64M DISK && dd if=/dev/zero of=DISK bs=512 count=34 conv=notrunc",
    "sgdisk -n 1:0:+64M DISK && mke2fs -qFt ext4 -E offset=1048576 DISK 64M && sgdisk -Z DISK",
    "echo ,64M | sfdisk -q DISK",
    "printf ',50M\\n,,5\\n,20M\\n' | sfdisk -q DISK",
    "echo ,64M | sfdisk -q -X sun DISK",
    "echo ,64M | sfdisk -q -X sgi DISK",
)
# Whose superblocks or data have copies elsewhere, whatever the version of the tool.
TELL = ("mke2fs -q -F -t", "mkfs.xfs", "mkfs.btrfs", "mkfs.reiserfs", "sgdisk", "yes | drbdmeta")
_EVERYWHERE = ("mke2fs", "mkfs.vfat", "mkswap", "sgdisk")


def look(path: Path) -> Contents:
    with path.open("rb") as file:

        def read(at: int, length: int) -> bytes:
            file.seek(at)
            return file.read(length)

        return contents_of(read, SIZE, 512)


def make(command: str, disk: Path) -> None:
    with disk.open("wb") as file:
        file.truncate(SIZE)
    done = subprocess.run(
        ["sh", "-e", "-c", command.replace("DISK", str(disk))],
        env={**os.environ, "PATH": PATH},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode == 127 and not command.startswith(_EVERYWHERE):
        pytest.skip(f"not installed: {command}")
    assert done.returncode == 0, done.stderr


def named_by_blkid(disk: Path) -> bool:
    done = subprocess.run(
        [tool("blkid"), "-p", "-o", "export", disk], capture_output=True, text=True, check=False
    )
    return "TYPE=" in done.stdout


@pytest.mark.parametrize("command", CORPUS)
def test_what_blkid_names_is_never_empty_nor_free(tmp_path: Path, command: str) -> None:
    disk = tmp_path / "disk"
    make(command, disk)
    contents = look(disk)
    assert not contents.is_empty
    assert not contents.is_free
    with disk.open("r+b") as file:
        file.write(bytes(LOOK_BYTES))
    if command.startswith(TELL) or named_by_blkid(disk):
        assert not look(disk).is_free


def test_what_is_left_of_a_disk_whose_ends_were_cleared_is_told(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    for at, _ in between(SIZE):
        with disk.open("wb") as file:
            file.truncate(SIZE)
            file.seek(at)
            file.write(b"x")
        assert str(look(disk)) == "data of an unknown kind (behind a cleared begin)"


@pytest.mark.parametrize("size", [0, 1 << 20, 2 << 20, (2 << 20) + 512, 3 << 20, 1 << 30, (4 << 40) + 512])
def test_places_between_the_ends_lie_on_the_disk_and_are_few(size: int) -> None:
    places = between(size)
    assert len(places) <= 32
    assert len(set(places)) == len(places)
    assert all(at >= LOOK_BYTES and at + length <= size - LOOK_BYTES for at, length in places)
    assert all(at % 4096 == 0 and length % 4096 == 0 for at, length in places)
