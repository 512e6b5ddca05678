"""ELF as loaders read it, against files built here; and VMs counted in root tasks built here."""

from __future__ import annotations

import re
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bringup.base.errors import ImageError
from bringup.image.elf import VMM_TEXT, Elf, LoadSegment, VmCounter, against_grub, against_ipxe, parse_elf

PAGE = 4096
LOAD = 0x100000


def build_elf(
    payload: bytes = b"",
    *,
    bits: int = 32,
    load: int = LOAD,
    entry: int | None = None,
    at: int | None = None,
    machine: int | None = None,
    kind: int = 2,
    segments: Sequence[LoadSegment] | None = None,
    table: int | None = None,
) -> bytes:
    """An executable whose one segment is `payload`, at file offset `at` (default: behind the headers)."""
    sizes = (52, 32) if bits == 32 else (64, 56)
    table = sizes[0] if table is None else table
    count = 1 if segments is None else len(segments)
    behind = table + count * sizes[1]
    at = behind + -behind % 16 if at is None else at
    if segments is None:
        segments = [LoadSegment(at, len(payload), load, load, len(payload) + PAGE)]
    ident = b"\x7fELF" + bytes([1 if bits == 32 else 2, 1, 1]) + bytes(9)
    machine = machine if machine is not None else (3 if bits == 32 else 62)
    wide = "IIIIIHHHHHH" if bits == 32 else "IQQQIHHHHHH"
    fields = (1, load if entry is None else entry, table, 0, 0, sizes[0], sizes[1], count, 0, 0, 0)
    out = ident + struct.pack("<HH" + wide, kind, machine, *fields)
    out = out.ljust(table, b"\0")
    for each in segments:
        words = (each.offset, each.virtual, each.physical, each.file_size, each.memory_size)
        if bits == 32:
            out += struct.pack("<8I", 1, *words, 7, 16)
        else:
            out += struct.pack("<IIQQQQQQ", 1, 7, *words, 16)
    return out.ljust(at, b"\0") + payload


def cpio_entry(name: str, data: bytes) -> bytes:
    """One entry of a cpio archive in the "newc" format."""
    fields = [0] * 13
    fields[6], fields[11] = len(data), len(name) + 1
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    padded = head + bytes(-len(head) % 4)
    return padded + data + bytes(-len(data) % 4)


def root_task(vms: int, *, bits: int = 64) -> bytes:
    """A root task with that many VMMs in its archive, each with a guest's archive inside."""
    ramdisk = cpio_entry("bin/sh", b"sh" * 50) + cpio_entry("TRAILER!!!", b"")
    vmm = build_elf(b"x" * 33 + VMM_TEXT + b" 0x%x.\0" + ramdisk + VMM_TEXT + b"\0")
    archive = b"".join(cpio_entry(f"vm{number}_group_bin", vmm) for number in range(vms))
    archive += cpio_entry("serial_group_bin", build_elf(b"serial")) + cpio_entry("TRAILER!!!", b"")
    return build_elf(b"capDL" + archive, bits=bits, load=0x400000)


def parsed(data: bytes) -> Elf:
    elf = parse_elf(data, "kernel")
    assert elf is not None
    return elf


@given(
    bits=st.sampled_from([32, 64]),
    payload=st.binary(max_size=200),
    load=st.integers(0, 2**31),
    machine=st.integers(0, 65535),
    kind=st.integers(0, 5),
)
def test_what_was_built_is_read(bits: int, payload: bytes, load: int, machine: int, kind: int) -> None:
    elf = parsed(build_elf(payload, bits=bits, load=load, machine=machine, kind=kind, entry=load + 4))
    assert (elf.bits, elf.machine, elf.type, elf.entry) == (bits, machine, kind, load + 4)
    (segment,) = elf.segments
    assert (segment.physical, segment.virtual) == (load, load)
    assert (segment.file_size, segment.memory_size) == (len(payload), len(payload) + PAGE)


def test_binutils_reads_the_built_files_the_same_way(tmp_path: Path) -> None:
    for bits in (32, 64):
        path = tmp_path / f"elf{bits}"
        path.write_bytes(build_elf(b"code", bits=bits, load=0x123000))
        told = subprocess.run(
            ["readelf", "-h", "-l", "-W", str(path)], capture_output=True, text=True, check=True, timeout=20
        ).stdout
        assert f"ELF{bits}" in told
        assert re.search("LOAD +0x0*[68]0 0x0*123000 0x0*123000 0x0*4 0x0*1004 ", told)


def test_a_real_program_is_read() -> None:
    elf = parsed(Path("/bin/true").read_bytes())
    assert elf.bits == 64
    assert elf.segments


@pytest.mark.parametrize("bits", [32, 64])
def test_every_cut_is_refused_by_name(bits: int) -> None:
    whole = build_elf(b"some code", bits=bits)
    for size in range(4, len(whole)):
        with pytest.raises(ImageError, match=r"^kernel is a"):
            parse_elf(whole[:size], "kernel")
    assert parse_elf(whole[:3], "kernel") is None


@given(st.binary(max_size=300))
def test_damaged_files_are_refused_or_read(noise: bytes) -> None:
    for data in (noise, b"\x7fELF" + noise, b"\x7fELF\x01\x01" + noise, b"\x7fELF\x02\x01" + noise):
        try:
            parse_elf(data, "kernel")
        except ImageError as error:
            assert error.message.startswith("kernel is a")


@given(st.integers(0, 200), st.binary(min_size=1, max_size=8))
def test_a_flipped_header_never_surprises(at: int, noise: bytes) -> None:
    for bits in (32, 64):
        data = bytearray(build_elf(b"code" * 20, bits=bits))
        data[at : at + len(noise)] = noise
        try:
            elf = parse_elf(bytes(data), "kernel")
        except ImageError:
            continue
        for segment in elf.segments if elf else ():
            assert segment.offset + segment.file_size <= len(data)


def test_a_segment_larger_in_the_file_than_in_memory_is_damage() -> None:
    data = build_elf(b"code", segments=[LoadSegment(96, 4, LOAD, LOAD, 3)])
    with pytest.raises(ImageError, match="more bytes in the file than in memory"):
        parse_elf(data, "kernel")


def test_what_loads_raises_no_objection() -> None:
    for bits in (32, 64):
        assert against_grub(parsed(build_elf(b"code", bits=bits)), 8192) is None
    assert against_ipxe(parsed(build_elf(b"code"))) is None


GOOD = parsed(build_elf(b"code"))


@pytest.mark.parametrize(
    ("elf", "words"),
    [
        (replace(GOOD, type=1), "not an executable"),
        (replace(GOOD, segments=()), "nothing to load"),
        (replace(GOOD, segments=(LoadSegment(0, 4, LOAD, 0xFFFFF000, 0x1001),)), "above 4 GiB"),
        (replace(GOOD, entry=LOAD + 2 * PAGE), "in none of its segments"),
        (replace(GOOD, entry=LOAD - 1), "in none of its segments"),
    ],
)
def test_what_no_loader_takes(elf: Elf, words: str) -> None:
    assert words in str(against_grub(elf, 8192))
    assert words in str(against_ipxe(elf))


def test_grub_is_stricter_about_processor_table_and_entry() -> None:
    assert "machine 8" in str(against_grub(replace(GOOD, machine=8), 8192))
    far = parsed(build_elf(b"code", table=8192))
    assert "behind the first 8192 bytes" in str(against_grub(far, 8192))
    assert against_grub(far, 32768) is None
    assert against_ipxe(far) is None
    physical_entry = replace(GOOD, entry=0x5000, segments=(LoadSegment(96, 4, 0xC0005000, 0x5000, 4),))
    assert "in none" in str(against_grub(physical_entry, 8192))
    assert against_ipxe(physical_entry) is None


def test_ipxe_loads_nothing_to_address_0() -> None:
    low = replace(GOOD, entry=0, segments=(LoadSegment(96, 4, 0, 0, 4),))
    assert "address 0" in str(against_ipxe(low))
    assert against_grub(low, 8192) is None


def counted(data: bytes, step: int) -> int | None:
    counter = VmCounter()
    for at in range(0, len(data), step):
        counter.feed(data[at : at + step])
    return counter.finish()


@pytest.mark.parametrize("vms", [1, 2, 3, 12])
def test_each_vmm_in_the_archive_is_one_vm(vms: int) -> None:
    assert counted(root_task(vms), 1 << 20) == vms


@given(vms=st.integers(1, 3), step=st.integers(1, 400))
def test_counting_does_not_depend_on_how_the_file_is_cut(vms: int, step: int) -> None:
    assert counted(root_task(vms), step) == vms


def test_no_vmm_is_unknown_and_not_zero() -> None:
    assert counted(root_task(0), 4096) is None
    assert counted(b"", 1) is None


def test_vmms_outside_of_an_archive_count_each() -> None:
    assert counted(b"a" + VMM_TEXT + b"b" + VMM_TEXT, 7) == 2


@given(st.binary(max_size=400), st.integers(1, 64))
def test_noise_is_counted_without_fault(noise: bytes, step: int) -> None:
    assume(VMM_TEXT not in noise)
    assert counted(noise, step) is None
    assert counted(b"070701" + noise, step) is None
