"""Root file systems as archives: written here and by cpio, compressed, in a row, damaged."""

from __future__ import annotations

import bz2
import gzip
import lzma
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.image.archive import ArchiveError, make_cpio, members, unpacked

FILES = {"init": b"#!/bin/sh\n", "bin/busybox": b"\x7fELF", "lib/modules/6.1/a.ko": b"x" * 5}


def read(data: bytes) -> dict[str, bytes]:
    return {member.name: member.data for member in members(data) if member.is_file}


def test_what_is_written_is_read_again_and_by_cpio(tmp_path: Path) -> None:
    archive = make_cpio(FILES, {"sbin/init": "../init"})
    assert read(archive) == FILES
    done = subprocess.run(
        ["cpio", "-idm", "--quiet"], input=archive, cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "lib/modules/6.1/a.ko").read_bytes() == b"xxxxx"
    assert (tmp_path / "sbin/init").readlink() == Path("../init")
    assert (tmp_path / "init").stat().st_mode & 0o111


def test_what_cpio_writes_is_read(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/issue").write_bytes(b"hello")
    names = b"./etc\n./etc/issue\n"
    command = ["cpio", "-o", "-H", "newc", "--quiet"]
    made = subprocess.run(command, input=names, cwd=tmp_path, capture_output=True, check=True).stdout
    assert read(made) == {"etc/issue": b"hello"}


def _alone(data: bytes) -> bytes:
    return lzma.compress(data, lzma.FORMAT_ALONE)


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress, _alone])
def test_every_compression_is_taken_off(pack: object) -> None:
    archive = make_cpio(FILES)
    packed = pack(archive)  # type: ignore[operator]
    assert read(packed) == FILES
    # Linux takes several in a row: early microcode, then the rest.
    assert read(make_cpio({"kernel/microcode": b"m"}) + bytes(512) + packed) == {
        "kernel/microcode": b"m",
        **FILES,
    }


def test_zstd_is_unpacked_by_its_program(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(make_cpio(FILES))
    packed = subprocess.run(["zstd", "-qc", str(tmp_path / "a")], capture_output=True, check=True).stdout
    assert read(packed) == FILES


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"#!/bin/sh\n", "no cpio archive"),
        (make_cpio(FILES)[:300], "breaks off"),
        (b"070701" + b"zz" * 60, "no header of an entry"),
        (gzip.compress(b"x", mtime=0)[:5] + b"junk", "gzip stream is damaged"),
    ],
)
def test_what_is_none_or_damaged_is_said(data: bytes, said: str) -> None:
    with pytest.raises(ArchiveError, match=said):
        list(members(data))


def test_what_unpacks_without_end_is_refused() -> None:
    with pytest.raises(ArchiveError, match="more than 1 MiB"):
        unpacked(gzip.compress(bytes(3 << 20)), most=1 << 20)


@given(st.binary(max_size=400), st.integers(0, 500))
def test_no_bytes_are_too_strange(noise: bytes, at: int) -> None:
    archive = make_cpio(FILES)
    for data in (noise, archive[:at] + noise + archive[at:], b"070701" + noise):
        try:
            found = list(members(data))
        except ArchiveError as error:
            assert str(error)
            continue
        assert sum(len(each.data) for each in found) <= len(data)
