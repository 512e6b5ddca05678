"""Whether a file is still the one that was hashed."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bringup.base.hashed_file import HashedFile

CONTENT = b"kernel" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


@contextmanager
def opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def touch_nothing_but_the_inode(path: Path) -> None:
    time.sleep(0.02)  # the kernel's clock of files ticks every few milliseconds
    path.chmod(0o600)


def test_another_mode_is_no_change_where_the_bytes_are_known(path: Path) -> None:
    changed_ns = path.stat().st_ctime_ns
    touch_nothing_but_the_inode(path)
    with opened(path) as descriptor:
        assert HashedFile(DIGEST, changed_ns).is_same(descriptor)
        assert not HashedFile(None, changed_ns).is_same(descriptor)
        assert HashedFile(None, None).is_same(descriptor)


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"x", CONTENT[:-1] + b"x", b""])
def test_other_bytes_are_a_change(path: Path, content: bytes) -> None:
    hashed = HashedFile(DIGEST, path.stat().st_ctime_ns)
    time.sleep(0.02)
    path.write_bytes(content)
    with opened(path) as descriptor:
        assert not hashed.is_same(descriptor)


def test_what_changes_after_a_look_is_found_at_the_next(path: Path) -> None:
    hashed = HashedFile(DIGEST, path.stat().st_ctime_ns)
    touch_nothing_but_the_inode(path)
    with opened(path) as descriptor:
        assert hashed.is_same(descriptor)
        time.sleep(0.02)
        path.write_bytes(CONTENT[::-1])
        assert not hashed.is_same(descriptor)


def test_a_reader_keeps_its_place(path: Path) -> None:
    hashed = HashedFile(DIGEST, path.stat().st_ctime_ns)
    touch_nothing_but_the_inode(path)
    with path.open("rb", buffering=0) as file:
        file.read(10)
        assert hashed.is_same(file.fileno())
        assert file.read(3) == CONTENT[10:13]
