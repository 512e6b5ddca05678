"""Modules of the stand-in image: format, determinism, bounds and behaviour on a broken file system."""

from __future__ import annotations

import resource
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bringup.base.errors import LabError, UsageError
from bringup.image.standin import MAX_MODULE_BYTES, standin_module, write_module

MIB = 1 << 20


def check_module(data: bytes, size: int) -> None:
    """Read the header by its written description, not by the module's own struct."""
    magic, total, crc, version, reserved = struct.unpack("<8sQIIQ", data[:32])
    assert (magic, total, version, reserved) == (b"BRINGUP1", size, 1, 0)
    assert len(data) == size
    assert crc == zlib.crc32(data[32:])


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=st.integers(32, 4096) | st.integers(MIB - 40, MIB + 72) | st.integers(2 * MIB - 40, 2 * MIB + 72))
def test_header_describes_the_payload_for_every_size(tmp_path: Path, size: int) -> None:
    path = tmp_path / "module"
    write_module(path, size)
    check_module(path.read_bytes(), size)


def test_same_size_same_bytes_and_no_two_blocks_alike(tmp_path: Path) -> None:
    write_module(tmp_path / "a", 5 * MIB)
    write_module(tmp_path / "b", 5 * MIB)
    data = (tmp_path / "a").read_bytes()
    assert data == (tmp_path / "b").read_bytes()
    pages = [data[at : at + 4096] for at in range(32, len(data), MIB)]
    assert len(set(pages)) == len(pages)
    assert len(zlib.compress(data, 1)) > len(data) // 6  # a link that compresses must not look fast


@pytest.mark.parametrize("size", [-1, 0, 31, MAX_MODULE_BYTES + 1])
def test_impossible_size_is_refused_and_leaves_nothing(tmp_path: Path, size: int) -> None:
    with pytest.raises(UsageError, match=str(size)) as caught:
        write_module(tmp_path / "module", size)
    assert caught.value.hint is not None
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_half_way_is_a_sentence_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "module"
    write_module(path, 100)
    before = path.read_bytes()

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        with pytest.raises(LabError, match=r"cannot write .*: File too large"):
            write_module(path, 3 << 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="cannot write"):
        write_module(tmp_path / "absent" / "module", 100)


def test_cached_module_is_written_once_and_again_when_cut(home: Path) -> None:
    path = standin_module(5000)
    assert path.is_relative_to(home)
    first = path.stat().st_ino
    assert standin_module(5000).stat().st_ino == first
    path.write_bytes(path.read_bytes()[:1000])
    check_module(standin_module(5000).read_bytes(), 5000)
