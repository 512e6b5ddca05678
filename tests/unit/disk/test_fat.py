"""File systems, held against fsck.vfat and mtools, and read back from any bytes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.disk.fat.make import FatFile, FatImage, FatShape, make_fat
from bringup.disk.fat.volume import FatError, FatVolume
from bringup.disk.pieces import FileSpan, Pieces
from tests.unit.disk.disks import MemoryDisk, tool

MIB = 1 << 20
# Size, sector, cluster: every kind, and sizes just at the borders between kinds.
SHAPES = [
    (2 * MIB, 512, 4096),
    (2 * MIB, 4096, 4096),
    (64 * MIB, 512, 512),
    (64 * MIB, 4096, 4096),
    (1024 * MIB, 512, 32768),
    (1024 * MIB, 4096, 32768),
    (5 << 30, 512, 32768),
    (4105 * 4096, 512, 4096),
    (65530 * 4096, 512, 4096),
]


def files() -> list[FatFile]:
    return [
        FatFile("state1.env", Pieces.of(b"x" * 1024)),
        FatFile("EFI/BOOT/BOOTX64.EFI", Pieces.of(bytes(range(256)) * 400)),
        FatFile("empty.txt", Pieces.of()),
        FatFile("EFI/b.c", Pieces.of(b"hi")),
    ]


def on_disk(image: FatImage, at: int = 0) -> MemoryDisk:
    disk = MemoryDisk(at + image.size)
    disk.write(at, image.used.read(0, image.used.size))
    return disk


@pytest.mark.parametrize(("size", "sector", "cluster"), SHAPES)
def test_fsck_finds_nothing_wrong(tmp_path: Path, size: int, sector: int, cluster: int) -> None:
    image = make_fat(files(), FatShape(size, sector, cluster))
    path = tmp_path / "fat"
    with path.open("wb") as file:
        file.writelines(image.used.blocks())
        file.truncate(size)
    done = subprocess.run([tool("fsck.vfat"), "-n", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("size", "sector", "cluster"), [each for each in SHAPES if each[1] == 512])
def test_mtools_reads_what_was_put_in(tmp_path: Path, size: int, sector: int, cluster: int) -> None:
    image = make_fat(files(), FatShape(size, sector, cluster))
    path = tmp_path / "fat"
    with path.open("wb") as file:
        file.writelines(image.used.blocks())
        file.truncate(size)
    for each in files():
        words = ["mcopy", "-i", path, f"::{each.path}", "-"]
        done = subprocess.run(words, capture_output=True, check=True)
        assert done.stdout == each.content.read(0, 1 << 20)


@pytest.mark.parametrize(("size", "sector", "cluster"), SHAPES)
def test_files_are_read_back_and_lie_where_it_says(size: int, sector: int, cluster: int) -> None:
    image = make_fat(files(), FatShape(size, sector, cluster))
    disk = on_disk(image, at=5 * MIB)
    volume = FatVolume(disk.read, 5 * MIB)
    for each in files():
        data = each.content.read(0, 1 << 20)
        assert volume.file(each.path.upper()) == data
        if data:
            at, length = image.places[each.path]
            assert volume.runs(each.path) == [(5 * MIB + at, length)]
            assert at % cluster == 0


def test_a_file_of_the_host_is_not_copied_into_memory(tmp_path: Path) -> None:
    source = tmp_path / "big"
    source.write_bytes(b"m" * 3 * MIB)
    span = FileSpan(source, 3 * MIB)
    image = make_fat([FatFile("module1.img", Pieces.of(span))], FatShape(16 * MIB))
    assert span in image.used.parts
    at, length = image.places["module1.img"]
    assert image.used.read(at, length) == source.read_bytes()


def test_what_does_not_fit_or_has_another_name_is_refused() -> None:
    with pytest.raises(ValueError, match="clusters, and"):
        make_fat([FatFile("a", Pieces.of(bytes(2 * MIB)))], FatShape(MIB))
    for name in ("kernel-x86_64", "a.json", "ä.txt", "", "a b", "../a"):
        with pytest.raises(ValueError, match="not a name"):
            make_fat([FatFile(name, Pieces.of(b"x"))], FatShape(MIB))


@given(st.data())
def test_damage_is_an_error_and_never_another(data: st.DataObject) -> None:
    image = make_fat(files(), FatShape(2 * MIB))
    disk = on_disk(image)
    end = image.used.size - 100_000
    for at in data.draw(st.lists(st.integers(0, end), min_size=1, max_size=8)):
        disk.write(at, bytes([data.draw(st.integers(0, 255))]))
    try:
        volume = FatVolume(disk.read)
        assert len(volume.file("EFI/BOOT/BOOTX64.EFI", 8 * MIB)) <= 8 * MIB
    except FatError:
        pass


@given(st.binary(max_size=600))
def test_any_bytes_are_no_file_system(data: bytes) -> None:
    with pytest.raises(FatError):
        FatVolume(lambda at, length: data[at : at + length]).file("a")


def test_a_ring_of_clusters_is_not_followed_for_more_than_was_asked_for() -> None:
    image = make_fat([FatFile("a", Pieces.of(b"x"))], FatShape(64 * MIB, 512, 512))
    ((at, _),) = (image.places["a"],)
    data = bytearray(image.used.read(0, image.used.size))
    entry = data.index(b"A          ")
    data[entry + 28 : entry + 32] = b"\xff\xff\xff\xff"  # its size
    reserved, sectors = int.from_bytes(data[14:16], "little"), int.from_bytes(data[36:40], "little")
    cluster = 2 + (at - (reserved + 2 * sectors) * 512) // 512
    table = reserved * 512 + 4 * cluster
    data[table : table + 4] = cluster.to_bytes(4, "little")
    reads = 0

    def read(offset: int, length: int) -> bytes:
        nonlocal reads
        reads += 1
        assert reads < 100, "the ring is followed"
        return bytes(data[offset : offset + length]).ljust(length, b"\0")

    with pytest.raises(FatError, match="a has more than 1048576 bytes"):
        FatVolume(read).file("a")
