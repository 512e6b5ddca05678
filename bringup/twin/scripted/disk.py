"""The disk of a scripted board: a sparse file, told of as /sys would, read and hashed by pieces."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PIECE = 256 << 10
"""How much of a disk is in memory at a time, in bytes: a shelf has many boards."""
NAME = "sda"
_PLACE = f"/sys/devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/{NAME}"
_KERNEL_SECTOR = 512
_VPD_HEADER = b"\x00\x80\x00\x14"


@dataclass(frozen=True, slots=True)
class BoardDisk:
    """A disk; every method raises OSError where its file does, and past its end."""

    file: str
    serial: str
    sector_bytes: int = 512

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return Path(self.file).stat().st_size

    def told(self) -> str:
        """Return it as the maintenance ramdisk tells of a disk (`probe.disk_text` reads it)."""
        facts = {
            "size": f"{self.size // _KERNEL_SECTOR}\n".encode(),
            "ro": b"0\n",
            "removable": b"0\n",
            "queue/logical_block_size": f"{self.sector_bytes}\n".encode(),
            "device/model": b"SCRIPTED DISK\n",
            "device/vpd_pg80": _VPD_HEADER + self.serial.encode("ascii", "replace"),
            "ata/port_no": b"1\n",
        }
        lines = [f"{NAME} path {_PLACE}", *(f"{NAME} {key} {value.hex()}" for key, value in facts.items())]
        return "\n".join(lines) + "\n"

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes, fewer at the end."""
        with Path(self.file).open("rb", buffering=0) as file:
            return os.pread(file.fileno(), length, offset)

    def pieces(self, offset: int, length: int) -> Iterator[bytes]:
        """Yield a range."""
        if offset + length > self.size:
            raise OSError("past the end of the disk")
        for at in range(offset, offset + length, PIECE):
            yield self.read(at, min(PIECE, offset + length - at))

    def sha256(self, offset: int, length: int) -> str:
        """Return the SHA-256 of a range."""
        digest = hashlib.sha256()
        for piece in self.pieces(offset, length):
            digest.update(piece)
        return digest.hexdigest()

    def write(self, offset: int, data: bytes) -> None:
        """Write bytes."""
        if offset + len(data) > self.size:
            raise OSError("past the end of the disk")
        with Path(self.file).open("r+b", buffering=0) as file:
            os.pwrite(file.fileno(), data, offset)
