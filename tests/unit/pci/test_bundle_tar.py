"""Archives from strangers: read in memory, refused in one sentence, never unpacked to disk."""

from __future__ import annotations

import gzip
import io
import random
import tarfile

import pytest

from bringup.base.errors import BringupError, UsageError
from bringup.pci.tree.bundle import is_archive, read_archive
from bringup.pci.tree.files import MemoryFiles
from tests.machines.sysfs import DEVICES
from tests.machines.views import View, recordings, views

TREES = [*views("lan-on-motherboard", "sysfs.tar.bz2", "user-bundle.tar.gz"), *recordings("sysfs-*")]


def tar(*members: tuple[str, bytes, str]) -> bytes:
    """Return a tar of (name, content or link target, type: one of tarfile's type bytes as text)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content, kind in members:
            info = tarfile.TarInfo(name)
            info.type = kind.encode()
            if kind == "0":
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            else:
                info.linkname = content.decode()
                archive.addfile(info)
    return buffer.getvalue()


def test_files_and_links_are_read() -> None:
    tree = read_archive(gzip.compress(tar(("sys/a", b"1", "0"), ("sys/b", b"a", "2"))), "x.tar.gz")
    files = MemoryFiles(tree.files, tree.links)
    assert files.read("sys/a") == b"1" and files.read("sys/b") == b"1"


@pytest.mark.parametrize(
    "member",
    [("../x", b"1", "0"), ("/x", b"1", "0"), ("x", b"y", "1"), ("x", b"", "6"), ("x", b"", "3")],
    ids=["parent", "absolute", "hard link", "fifo", "device"],
)
def test_what_no_capture_holds_is_refused(member: tuple[str, bytes, str]) -> None:
    with pytest.raises(UsageError, match=r"x\.tar"):
        read_archive(tar(("ok", b"1", "0"), member), "x.tar")


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8\xff\xe0 a JPEG", b"text\n" * 200], ids=["empty", "jpeg", "text"]
)
def test_what_is_no_archive_is_told_from_one(data: bytes) -> None:
    assert not is_archive(data)
    with pytest.raises(UsageError):
        read_archive(data, "x")


def test_a_cut_archive_is_refused() -> None:
    whole = gzip.compress(tar(("sys/a", bytes(100_000), "0")))
    with pytest.raises(UsageError):
        read_archive(whole[: len(whole) // 2], "x.tar.gz")


def test_a_compression_bomb_ends_at_the_limit() -> None:
    with pytest.raises(UsageError):
        read_archive(gzip.compress(bytes(100 << 20)), "bomb.gz")


def test_damaged_archives_raise_nothing_else() -> None:
    chance = random.Random(20261124)
    whole = tar(("sys/a", bytes(2000), "0"), ("sys/b", b"a", "2"))
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(5):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            tree = read_archive(bytes(damaged), "x.tar")
        except BringupError as error:
            assert error.message
            continue
        assert sum(map(len, tree.files.values())) <= len(damaged)


@pytest.mark.parametrize("view", TREES, ids=str)
def test_a_whole_tree_is_read_through_its_links(view: View) -> None:
    tree = read_archive(view.data(), view.name)
    files = MemoryFiles(tree.files, tree.links)
    paths = [path for path in (*tree.files, *tree.links) if DEVICES in path]
    (devices,) = {path[: path.index(DEVICES) + len(DEVICES)] for path in paths}
    names = files.children(devices)
    assert len(names) == len(view.machine().functions)
    config = files.read(f"{devices}/{names[0]}/config")
    assert isinstance(config, bytes) and len(config) in (64, 4096)
