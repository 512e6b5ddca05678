"""Linux kernels and initrds: the ones of this machine, built ones, cut ones; `grub-file` is asked too."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.image.linux import archive_format, parse_linux
from tests.unit.image.test_multiboot import grub_says

KERNELS = sorted(Path("/boot").glob("vmlinuz-*"))
INITRDS = sorted(Path("/boot").glob("initrd.img-*"))


def bzimage(
    *, protocol: int = 0x20F, sectors: int = 4, system: bytes = b"code" * 64, efi: bool = True, flags: int = 1
) -> bytes:
    """A bzImage with nothing that runs in it: setup header, setup part, system part."""
    data = bytearray(512 * (sectors + 1))
    data[0:2] = b"MZ" if efi else b"\xeb\x3c"
    data[0x1F1] = sectors
    struct.pack_into("<I", data, 0x1F4, len(system) // 16)
    data[0x1FE:0x200] = b"\x55\xaa"
    data[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", data, 0x206, protocol)
    struct.pack_into("<H", data, 0x20E, 0x300 - 0x200)
    data[0x211] = flags
    data[0x234] = 1
    struct.pack_into("<H", data, 0x236, 1)
    struct.pack_into("<I", data, 0x238, 255)
    struct.pack_into("<II", data, 0x248, 16, 32)
    data[0x300:0x310] = b"6.1.0-test (x) #".ljust(16, b"\0")[:16]
    return bytes(data) + system


def test_the_header_is_read() -> None:
    header = parse_linux(bzimage())
    assert header is not None
    assert header.protocol == (2, 15)
    assert header.version == "6.1.0-test"
    assert header.file_size == len(bzimage())
    assert header.loaded_high
    assert header.efi_stub
    assert header.command_line_max == 255
    assert header.payload == (16, 32)


def test_what_an_old_protocol_does_not_say_is_unknown() -> None:
    header = parse_linux(bzimage(protocol=0x203))
    assert header is not None
    assert header.file_size is None
    assert header.payload is None


@pytest.mark.skipif(not KERNELS, reason="no Linux kernel in /boot")
def test_a_real_kernel() -> None:
    data = KERNELS[-1].read_bytes()
    header = parse_linux(data)
    assert header is not None
    assert header.version == KERNELS[-1].name.removeprefix("vmlinuz-")
    assert header.efi_stub
    assert header.file_size is not None
    # Debian's signature follows what the header counts.
    assert 0 <= len(data) - header.file_size < 16384
    assert header.payload is not None
    setup = 512 * (data[0x1F1] + 1)
    assert archive_format(data[setup + header.payload[0] :][:16]) is not None
    assert grub_says(KERNELS[-1], "linux")


@pytest.mark.skipif(not INITRDS, reason="no initrd in /boot")
def test_a_real_initrd_is_an_archive() -> None:
    with INITRDS[-1].open("rb") as file:
        assert archive_format(file.read(64)) is not None


@pytest.mark.parametrize("protocol", [0x0, 0x1FF, 0x200, 0x203, 0x20F])
@pytest.mark.parametrize("sectors", [1, 64, 65, 255])
@pytest.mark.parametrize("broken", [None, 0x1FE, 0x202, 0x205])
def test_grub_agrees(tmp_path: Path, protocol: int, sectors: int, broken: int | None) -> None:
    data = bytearray(bzimage(protocol=protocol, sectors=sectors))
    if broken is not None:
        data[broken] ^= 0xFF
    path = tmp_path / "bzImage"
    path.write_bytes(data)
    assert (parse_linux(bytes(data)) is not None) == grub_says(path, "linux")


@given(st.integers(0, 0x26B))
def test_a_cut_header_is_no_kernel(size: int) -> None:
    assert parse_linux(bzimage()[:size]) is None


@given(st.binary(max_size=300), st.integers(0, 0x300))
def test_noise_never_surprises(noise: bytes, at: int) -> None:
    assert parse_linux(noise) is None
    data = bytearray(bzimage())
    data[at : at + len(noise)] = noise
    header = parse_linux(bytes(data))
    assert header is None or header.version is None or header.version.isprintable()


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"070701000", "cpio"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"\xfd7zXZ\x00\x00", "xz"),
        (b"\x28\xb5\x2f\xfd\x04", "zstd"),
        (b"\x7fELF", None),
        (b"", None),
        (b"\x1f", None),
    ],
)
def test_archives_by_their_first_bytes(head: bytes, name: str | None) -> None:
    assert archive_format(head) == name
