"""A file system read where it lies on a disk: any bytes are taken."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from bringup.disk.fat.entries import (
    DIRECTORY,
    ENTRY_BYTES,
    FAT12_CLUSTERS,
    FAT16_CLUSTERS,
    LABEL,
    NAME,
    short_name,
)

Reader = Callable[[int, int], bytes]
"""Reads (offset, length) in bytes; raises OSError where the disk does, and returns less at its end."""

_FREE = 0xE5
_FOLDER_MAX = 1 << 20


class FatError(ValueError):
    """The bytes are no FAT file system, or not one that has what was asked for."""


class FatVolume:
    """A FAT file system that somebody else may have damaged, read where it lies on a disk.

    Raises FatError for bytes that are none, and OSError from the reader.
    """

    def __init__(self, read: Reader, at: int = 0) -> None:
        self._read, self._at = read, at
        boot = self._bytes(0, 512)
        sector, per_cluster, reserved, copies, root, small, _, fat16 = struct.unpack_from(
            "<HBHBHHBH", boot, 11
        )
        (large,) = struct.unpack_from("<I", boot, 32)
        (fat32,) = struct.unpack_from("<I", boot, 36)
        powers = (sector, per_cluster)
        if (
            boot[510:] != b"\x55\xaa"
            or any(n == 0 or n & (n - 1) for n in powers)
            or not 512 <= sector <= 4096
        ):
            raise FatError("no FAT file system")
        sectors, fat = small or large, fat16 or fat32
        root_sectors = -(-root * ENTRY_BYTES // sector)
        self._cluster_bytes = sector * per_cluster
        self._fat_at, self._root_at = reserved * sector, (reserved + copies * fat) * sector
        self._data_at = self._root_at + root_sectors * sector
        self._root_bytes = root * ENTRY_BYTES
        self._clusters = (sectors - self._data_at // sector) // per_cluster
        if self._clusters < 1 or not fat or not copies or not reserved:
            raise FatError("a damaged FAT file system")
        self._bits = 12 if self._clusters < FAT12_CLUSTERS else 16 if self._clusters < FAT16_CLUSTERS else 32
        self._root = struct.unpack_from("<I", boot, 44)[0] if self._bits == 32 else 0

    def runs(self, path: str) -> list[tuple[int, int]]:
        """Return where a file lies: (offset on the disk, length) of each run, in bytes, in order.

        Raises FatError when it is not there or its chain is damaged, OSError from the reader.
        """
        return self._runs(*self._start(path))

    def blocks(self, path: str, step: int = 1 << 20) -> Iterator[bytes]:
        """Yield a file's bytes; raises as `runs` does, and FatError where the disk ends inside of it."""
        for offset, length in self.runs(path):
            for at in range(offset, offset + length, step):
                want = min(step, offset + length - at)
                yield self._bytes(at - self._at, want)

    def file(self, path: str, limit: int = 1 << 20) -> bytes:
        """Return a file's bytes; raises as `blocks` does, and FatError for more than `limit`."""
        # By its folder's word, before its chain is followed: that may be one ring of 4 GiB.
        if self._start(path)[1] > limit:
            raise FatError(f"{path} has more than {limit} bytes")
        return b"".join(self.blocks(path))

    def _start(self, path: str) -> tuple[int, int]:
        """Return the first cluster of a file and its size in bytes."""
        *folders, name = path.split("/")
        cluster = self._root
        for folder in folders:
            attributes, cluster, _ = self._find(cluster, folder)
            if not attributes & DIRECTORY:
                raise FatError(f"{folder} is not a folder")
        attributes, cluster, size = self._find(cluster, name)
        if attributes & DIRECTORY:
            raise FatError(f"{name} is a folder")
        return cluster, size

    def _bytes(self, offset: int, length: int) -> bytes:
        data = self._read(self._at + offset, length)
        if len(data) != length:
            raise FatError("the disk ends inside of the file system")
        return data

    def _find(self, folder: int, name: str) -> tuple[int, int, int]:
        """Return (attributes, first cluster, size) of a name in a folder, any case."""
        if not NAME.fullmatch(name):
            raise FatError(f"{name} is not there")
        wanted = short_name(name)
        for entry in self._entries(folder):
            if entry[:11] == wanted and not entry[11] & LABEL:
                high, low, size = *struct.unpack_from("<H", entry, 20), *struct.unpack_from("<HI", entry, 26)
                cluster = low | (high << 16 if self._bits == 32 else 0)
                return entry[11], cluster, size
        raise FatError(f"{name} is not there")

    def _entries(self, folder: int) -> Iterator[bytes]:
        if folder == 0 and self._bits != 32:
            data = self._bytes(self._root_at, self._root_bytes)
        else:
            data = b"".join(
                self._bytes(at - self._at, length)
                for at, length in self._follow(folder, _FOLDER_MAX, whole=False)
            )
        for at in range(0, len(data) - ENTRY_BYTES + 1, ENTRY_BYTES):
            if data[at] == 0:
                return
            if data[at] != _FREE:
                yield data[at : at + ENTRY_BYTES]

    def _runs(self, cluster: int, size: int) -> list[tuple[int, int]]:
        runs = self._follow(cluster, size, whole=True) if size else []
        if runs:
            offset, length = runs[-1]
            runs[-1] = (offset, length - (sum(each for _, each in runs) - size))
        return runs

    def _follow(self, cluster: int, size: int, *, whole: bool) -> list[tuple[int, int]]:
        if whole and size > self._clusters * self._cluster_bytes:
            # Its chain would be a ring.
            raise FatError("a file larger than its file system")
        runs: list[tuple[int, int]] = []
        got = 0
        while got < size:
            if not 2 <= cluster < self._clusters + 2:
                if whole or not runs:
                    raise FatError("a damaged chain of clusters")
                break
            at = self._at + self._data_at + (cluster - 2) * self._cluster_bytes
            if runs and sum(runs[-1]) == at:
                runs[-1] = (runs[-1][0], runs[-1][1] + self._cluster_bytes)
            else:
                runs.append((at, self._cluster_bytes))
            got += self._cluster_bytes
            if got < size:
                cluster = self._next(cluster)
        return runs

    def _next(self, cluster: int) -> int:
        if self._bits == 12:
            pair = int.from_bytes(self._bytes(self._fat_at + cluster * 3 // 2, 2), "little")
            return pair >> 4 if cluster % 2 else pair & 0xFFF
        width = self._bits // 8
        value = int.from_bytes(self._bytes(self._fat_at + cluster * width, width), "little")
        return value & 0xFFFFFFF
