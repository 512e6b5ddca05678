"""Long contents as pieces: any range of them, and files that must stay what they were."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.errors import ImageError
from bringup.disk.pieces import FileSpan, Pieces, Zeros, joined
from bringup.image.model import BootFile

FILE = bytes(range(256)) * 40


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pieces") / "file"
    path.write_bytes(FILE)
    return path


@given(
    start=st.integers(0, 300), size=st.integers(0, 700), at=st.integers(0, 2000), length=st.integers(0, 2000)
)
def test_a_range_is_that_of_the_whole(source: Path, start: int, size: int, at: int, length: int) -> None:
    pieces = joined([Pieces.of(b"head", Zeros(100)), Pieces.of(FileSpan(source, size, start), b"tail")])
    whole = b"head" + bytes(100) + FILE[start : start + size] + b"tail"
    assert pieces.size == len(whole)
    assert pieces.read(at, length) == whole[at : at + length]
    assert pieces.sha256(at, length) == hashlib.sha256(whole[at : at + length]).hexdigest()


def boot_file(path: Path) -> BootFile:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return BootFile(path, path.name, path.stat().st_size, digest, changed_ns=path.stat().st_ctime_ns)


def test_a_link_to_a_file_that_is_written_does_not_stop_the_writing(tmp_path: Path) -> None:
    path = tmp_path / "module"
    path.write_bytes(FILE)
    pieces = Pieces.of(FileSpan.all_of(boot_file(path)))
    time.sleep(0.02)  # the kernel's clock of files ticks every few milliseconds
    (tmp_path / "backup").hardlink_to(path)
    assert pieces.read(5, 10) == FILE[5:15]
    assert pieces.read(0, pieces.size) == FILE


def test_a_file_with_other_bytes_is_not_read_on(tmp_path: Path) -> None:
    path = tmp_path / "module"
    path.write_bytes(FILE)
    pieces = Pieces.of(FileSpan.all_of(boot_file(path)))
    time.sleep(0.02)
    path.write_bytes(FILE[::-1])
    with pytest.raises(ImageError, match="module changed while it was in use"):
        pieces.read(0, 10)


def test_a_file_that_became_shorter_is_told(tmp_path: Path) -> None:
    path = tmp_path / "module"
    path.write_bytes(FILE)
    pieces = Pieces.of(FileSpan(path, len(FILE)))
    path.write_bytes(FILE[:100])
    with pytest.raises(ImageError, match="became shorter"):
        pieces.read(0, len(FILE))
