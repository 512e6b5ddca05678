"""Root file systems as guests of a VMM take them: cpio archives (newc), compressed or several in a row.

Linux Documentation/driver-api/early-userspace/buffer-format.rst. Limits keep a damaged archive from filling
the memory.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bringup.base.errors import LabError, MissingProgramError
from bringup.base.program import run_program
from bringup.image.linux import archive_format

_HEADER_BYTES = 110
_TRAILER = "TRAILER!!!"
_MOST_BYTES = 1 << 30
_UNPACK_TIMEOUT_S = 60.0
_DIRECTORY, _REGULAR, _PROGRAM, _LINK, _TYPE = 0o040755, 0o100644, 0o100755, 0o120777, 0o170000


class ArchiveError(ValueError):
    """An archive that cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of an archive: its name without a leading slash, its mode, its bytes."""

    name: str
    mode: int
    data: bytes

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return self.mode & _TYPE == _REGULAR & _TYPE


def unpacked(data: bytes, most: int = _MOST_BYTES) -> tuple[bytes, bytes]:
    """Return what one compressed stream holds, and what follows it; raises ArchiveError.

    What is not compressed is returned as it is. zstd, lz4 and lzo are unpacked by their programs.
    """
    kind = archive_format(data[:8])
    try:
        if kind == "gzip":
            return _all(zlib.decompressobj(31), data, most)
        if kind == "xz":
            return _all(lzma.LZMADecompressor(lzma.FORMAT_XZ), data, most)
        if kind == "lzma":
            return _all(lzma.LZMADecompressor(lzma.FORMAT_ALONE), data, most)
        if kind == "bzip2":
            return _all(bz2.BZ2Decompressor(), data, most)
    except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
        raise ArchiveError(f"its {kind} stream is damaged: {error}") from None
    if kind in (None, "cpio"):
        return data, b""
    return _by_program(kind, data)


def _all(stream: Any, data: bytes, most: int) -> tuple[bytes, bytes]:
    out = stream.decompress(data, most)
    if len(out) >= most:
        raise ArchiveError(f"it unpacks to more than {most >> 20} MiB")
    if not stream.eof:
        raise EOFError("it breaks off")
    return out, bytes(stream.unused_data)


def _by_program(kind: str, data: bytes) -> tuple[bytes, bytes]:
    program = {"lzo": "lzop"}.get(kind, kind)
    try:
        return run_program([program, "-dcq"], program, timeout_s=_UNPACK_TIMEOUT_S, data=data), b""
    except MissingProgramError as error:
        raise ArchiveError(f"it is packed with {kind}: {error.hint}") from None
    except LabError as error:
        raise ArchiveError(f"its {kind} stream is damaged: {error.message}") from None


def members(data: bytes) -> Iterator[Member]:
    """Yield the entries of an initramfs: archives and compressed archives in a row; raises ArchiveError."""
    while data := data.lstrip(b"\0"):
        if data.startswith((b"070701", b"070702")):
            data = yield from _cpio(data)
            continue
        inner, rest = unpacked(data)
        if inner is data:
            raise ArchiveError("it is no cpio archive (newc)")
        yield from members(inner)
        data = rest


def _cpio(data: bytes) -> Generator[Member, None, bytes]:
    """Yield the entries of one archive and return what follows it."""
    at = 0
    while True:
        header = data[at : at + _HEADER_BYTES]
        if len(header) < _HEADER_BYTES:
            raise ArchiveError("it breaks off")
        try:
            fields = [int(header[6 + 8 * i : 14 + 8 * i], 16) for i in range(13)]
        except ValueError:
            raise ArchiveError(f"no header of an entry at byte {at}") from None
        mode, size, name_size = fields[1], fields[6], fields[11]
        body = _aligned(at + _HEADER_BYTES + name_size)
        if body + size > len(data):
            raise ArchiveError("it breaks off")
        name = data[at + _HEADER_BYTES : at + _HEADER_BYTES + name_size - 1].decode("utf-8", "replace")
        at = _aligned(body + size)
        if name == _TRAILER:
            return data[at:]
        yield Member(name.removeprefix("./").lstrip("/"), mode, data[body : body + size])


def _aligned(at: int) -> int:
    return (at + 3) & ~3


def make_cpio(files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> bytes:
    """Return an archive of files and symbolic links; `init`, libraries and programs may be run."""
    links = links or {}
    parts = [name.split("/") for name in (*files, *links)]
    folders = {"/".join(each[:depth]) for each in parts for depth in range(1, len(each))}
    entries = [(name, _DIRECTORY, b"") for name in sorted(folders)]
    entries += [
        (name, _PROGRAM if _is_program(name) else _REGULAR, data) for name, data in sorted(files.items())
    ]
    entries += [(name, _LINK, target.encode()) for name, target in sorted(links.items())]
    out = bytearray()
    for number, (name, mode, data) in enumerate([*entries, (_TRAILER, 0, b"")]):
        word = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(word), 0)
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + word
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return bytes(out)


def _is_program(name: str) -> bool:
    return name == "init" or "bin/" in f"/{name}".rpartition("/")[0] + "/" or ".so" in name
