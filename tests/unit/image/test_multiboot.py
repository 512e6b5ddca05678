"""Multiboot headers in files built here, with GRUB's own `grub-file` as the second opinion."""

from __future__ import annotations

import gzip
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bringup.image.multiboot import (
    Miss,
    Multiboot2Header,
    Tag,
    find_multiboot1,
    find_multiboot2,
    find_near_miss,
    unknown_to_grub,
)
from tests.growth import growth

XEN = sorted(Path("/boot").glob("xen-*.gz"))
END_TAG = struct.pack("<HHI", 0, 0, 8)


def multiboot1(flags: int = 3, *, wrong: int = 0) -> bytes:
    """A multiboot 1 header; `wrong` is added to its checksum."""
    magic = 0x1BADB002
    return struct.pack("<III", magic, flags, (-magic - flags + wrong) % 2**32)


def tag(kind: int, *words: int, optional: bool = False, size: int | None = None) -> bytes:
    """A tag of a multiboot 2 header, padded to 8 bytes."""
    size = 8 + 4 * len(words) if size is None else size
    out = struct.pack(f"<HHI{len(words)}I", kind, int(optional), size, *words)
    return out + bytes(-len(out) % 8)


def multiboot2(tags: bytes = END_TAG, *, architecture: int = 0, wrong: int = 0) -> bytes:
    """A multiboot 2 header with these tags."""
    magic, length = 0xE85250D6, 16 + len(tags)
    checksum = (-magic - architecture - length + wrong) % 2**32
    return struct.pack("<IIII", magic, architecture, length, checksum) + tags


def grub_says(path: Path, kind: str) -> bool:
    """What `grub-file` thinks of a file; skips the test where it is not installed."""
    try:
        done = subprocess.run(["grub-file", f"--is-x86-{kind}", str(path)], timeout=20, check=False)
    except FileNotFoundError:
        pytest.skip("grub-file (package grub-common) is not installed")
    return done.returncode == 0


@given(offset=st.integers(0, 9000), flags=st.integers(0, 2**32 - 1), tail=st.integers(0, 64))
def test_version_1_is_found_where_loaders_look(offset: int, flags: int, tail: int) -> None:
    data = bytes(offset) + multiboot1(flags) + bytes(tail)
    header = find_multiboot1(data)
    if offset % 4 == 0 and offset + 12 <= 8192 and len(data) >= 32:
        assert header is not None
        assert (header.offset, header.flags) == (offset, flags)
        assert header.raw == bool(flags & 0x10000)
        assert header.unknown_requirements == flags & 0xFFF8
    else:
        assert header is None


@pytest.mark.parametrize(
    ("offset", "seen"), [(0, True), (8180, True), (8184, False), (8192, False), (2, False), (4, True)]
)
def test_the_limit_of_version_1_is_exact(offset: int, seen: bool) -> None:
    data = bytes(offset) + multiboot1() + bytes(100)
    assert (find_multiboot1(data) is not None) is seen


@pytest.mark.parametrize(
    ("offset", "seen"), [(0, True), (32752, True), (32760, False), (32768, False), (4, False), (8, True)]
)
def test_the_limit_of_version_2_is_exact(offset: int, seen: bool) -> None:
    data = bytes(offset) + multiboot2() + bytes(100)
    assert (find_multiboot2(data) is not None) is seen


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    version=st.sampled_from([1, 2]),
    offset=st.one_of(
        st.sampled_from([0, 2, 4, 8, 8176, 8180, 8184, 8192, 32744, 32752, 32760, 32768]),
        st.integers(0, 33000),
    ),
    tail=st.integers(0, 40),
    wrong=st.sampled_from([0, 0, 0, 1]),
)
def test_grub_agrees(tmp_path: Path, version: int, offset: int, tail: int, wrong: int) -> None:
    header = multiboot1(wrong=wrong) if version == 1 else multiboot2(wrong=wrong)
    data = b"\xaa" * offset + header + b"\xaa" * tail
    path = tmp_path / "kernel"
    path.write_bytes(data)
    assert (find_multiboot1(data) is not None) == grub_says(path, "multiboot")
    assert (find_multiboot2(data) is not None) == grub_says(path, "multiboot2")


@pytest.mark.skipif(not XEN, reason="no Xen in /boot")
def test_a_real_xen_has_both_headers() -> None:
    data = gzip.decompress(XEN[0].read_bytes())
    one, two = find_multiboot1(data), find_multiboot2(data)
    assert one is not None
    assert two is not None
    assert two.fault is None
    assert two.tags
    assert unknown_to_grub(two) is None
    assert grub_says(XEN[0], "multiboot")
    assert grub_says(XEN[0], "multiboot2")


@given(st.binary(max_size=2000))
def test_noise_has_no_header(noise: bytes) -> None:
    assert find_multiboot1(noise) is None
    assert find_multiboot2(noise) is None
    assert find_near_miss(noise, 1) is None


@pytest.mark.parametrize(
    ("data", "version", "offset", "reason"),
    [
        (bytes(12288) + multiboot1() + bytes(9), 1, 12288, Miss.BEYOND),
        (bytes(8188) + multiboot1() + bytes(9), 1, 8188, Miss.BEYOND),
        (bytes(64) + multiboot1(wrong=1) + bytes(40), 1, 64, Miss.CHECKSUM),
        (bytes(66) + multiboot1() + bytes(40), 1, 66, Miss.MISALIGNED),
        (bytes(40960) + multiboot2(), 2, 40960, Miss.BEYOND),
        (bytes(64) + multiboot2(wrong=5), 2, 64, Miss.CHECKSUM),
        (bytes(68) + multiboot2(), 2, 68, Miss.MISALIGNED),
        (bytes(64) + multiboot2(architecture=4), 2, 64, Miss.ARCHITECTURE),
        (bytes(64) + multiboot1(wrong=1) + bytes(10000) + multiboot1(), 1, 10076, Miss.BEYOND),
    ],
)
def test_a_header_that_loaders_miss_is_named(data: bytes, version: int, offset: int, reason: Miss) -> None:
    assert (find_multiboot1(data) if version == 1 else find_multiboot2(data)) is None
    miss = find_near_miss(data, 1 if version == 1 else 2)
    assert miss is not None
    assert (miss.offset, miss.reason) == (offset, reason)
    assert f"at byte {offset}" in miss.sentence("kernel")
    assert miss.cure


def test_a_magic_number_far_inside_is_not_taken_for_a_header() -> None:
    assert find_near_miss(bytes(20000) + multiboot1(wrong=1) + bytes(9), 1) is None
    assert find_near_miss(multiboot1()[:6], 1) is None


def test_a_file_full_of_magic_numbers_costs_little() -> None:
    data = struct.pack("<I", 0x1BADB002) * (1 << 20)
    assert find_multiboot1(data) is None
    assert find_near_miss(data, 1) is not None
    assert growth(lambda size: (find_multiboot1(data[:size]), find_near_miss(data[:size], 1)), 1 << 16) < 8


def test_tags_are_read_in_order() -> None:
    tags = tag(1, 4, 6, 8) + tag(6, optional=True) + tag(3, 0x100000) + END_TAG
    header = find_multiboot2(bytes(24) + multiboot2(tags))
    assert header is not None
    assert header.fault is None
    assert header.tags == (Tag(1, False, (4, 6, 8)), Tag(6, True, ()), Tag(3, False, (0x100000,)))
    assert not header.raw


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        (b"", "no end tag"),
        (tag(6), "no end tag"),
        (tag(6, size=0) + END_TAG, "claims 0 bytes"),
        (tag(6, size=7) + END_TAG, "claims 7 bytes"),
        (tag(6, size=4096) + END_TAG, "claims 4096 bytes"),
        (tag(6, size=0xFFFFFFFF) + END_TAG, "claims 4294967295 bytes"),
    ],
)
def test_tags_that_cannot_be_walked_are_told(tags: bytes, words: str) -> None:
    header = find_multiboot2(multiboot2(tags) + bytes(100))
    assert header is not None
    assert words in str(header.fault)


def test_a_length_beyond_the_file_is_bounded_by_the_file() -> None:
    data = bytearray(multiboot2(tag(6)) + bytes(8))
    struct.pack_into("<II", data, 8, 0x40000000, (-0xE85250D6 - 0x40000000) % 2**32)
    header = find_multiboot2(bytes(data))
    assert header is not None
    assert header.fault is None


def two(*tags: Tag) -> Multiboot2Header:
    return Multiboot2Header(0, tags)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (two(), None),
        (two(Tag(1, False, (4, 6, 21))), None),
        (two(Tag(1, False, (13,))), "boot information 13"),
        (two(Tag(1, True, (13,))), None),
        (two(Tag(11, False, ())), "header tag 11"),
        (two(Tag(11, True, ())), None),
        (two(Tag(8, False, (0,))), "header tag 8"),
        (two(Tag(2, False, (0, 0, 0, 0))), "no entry address"),
        (two(Tag(2, False, (0, 0, 0, 0)), Tag(3, False, (0,))), None),
        (two(Tag(2, False, (0, 0, 0, 0)), Tag(7, False, ()), Tag(9, False, (0,))), None),
    ],
)
def test_what_grub_refuses_in_a_header(header: Multiboot2Header, words: str | None) -> None:
    told = unknown_to_grub(header)
    assert told is None if words is None else words in str(told)


@given(st.binary(max_size=120))
def test_tags_of_noise_end(noise: bytes) -> None:
    header = find_multiboot2(multiboot2(noise) + bytes(32))
    assert header is not None
    assert unknown_to_grub(header) is None or header.tags
