"""A tar as named bytes in memory, under limits; nothing is ever extracted (pure).

The limit counts the unpacked archive with its headers, so a compression bomb ends there.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from dataclasses import dataclass, field

from bringup.base.errors import MissingProgramError, UsageError
from bringup.pci.tree.files import FILE_LIMIT
from bringup.pci.tree.tar import Member, members
from bringup.pci.tree.zstd import unpack_zstd

UNPACKED_LIMIT = 64 << 20
# A server with 300 functions gives 9,000 members.
MEMBER_LIMIT = 100_000
_XZ_MEMORY_LIMIT = 128 << 20

_GZIP, _BZIP2, _XZ, _ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
_PACKED = (_GZIP, _BZIP2, _XZ, _ZSTD)
# What the decompressors raise for damaged input.
_DAMAGE = (EOFError, OSError, ValueError, zlib.error, lzma.LZMAError)


@dataclass(slots=True)
class Tree:
    """Paths (no leading slash) to bytes, and symbolic links to their target text."""

    files: dict[str, bytes] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    size: int = 0

    def add(self, path: str, data: bytes, name: str) -> None:
        """Keep a file; raises UsageError when the tree gets too large."""
        self.size += len(data)
        if self.size > UNPACKED_LIMIT:
            raise too_large(name)
        self.files[path] = data


def is_archive(data: bytes) -> bool:
    """Whether the first 512 bytes or more of a file are those of a tar or of something compressed."""
    return data.startswith(_PACKED) or data[257:262] == b"ustar"


def unpacked_text(data: bytes, name: str) -> bytes:
    """Return what is in a compressed file that holds no tar, such as `dmesg.gz`; anything else as it is.

    Raises UsageError for one that is damaged or unpacks to too much.
    """
    if not data.startswith(_PACKED):
        return data
    # A tar's first header tells it, and then the whole is unpacked elsewhere, once.
    start = _decompress(data, name, limit=512)
    return data if b"\0" in start or len(start) < 2 else _decompress(data, name)


def read_archive(data: bytes, name: str) -> Tree:
    """Return what is in a tar (plain, gzip, bzip2, xz or zstd); raises UsageError that calls it `name`."""
    plain = _decompress(data, name)
    tree = Tree()
    try:
        for count, member in enumerate(members(plain)):
            if count >= MEMBER_LIMIT:
                raise too_large(name)
            _take(tree, plain, member, name)
    except ValueError as error:
        raise _damaged(name) from error
    return tree


def too_large(name: str) -> UsageError:
    """Return the refusal of something beyond the limits."""
    return UsageError(
        f"{name} unpacks to more than {UNPACKED_LIMIT >> 20} MiB or {MEMBER_LIMIT} files: this is no capture",
        hint="capture again with the collector script",
    )


def _damaged(name: str) -> UsageError:
    return UsageError(
        f"{name} is no tar, or it is cut short or damaged", hint="copy it again from where it was made"
    )


def _decompress(data: bytes, name: str, limit: int | None = None) -> bytes:
    """Return the first `limit` bytes of what is compressed; without one all, and then too much is refused."""
    whole, limit = limit is None, limit or UNPACKED_LIMIT + 1
    try:
        if data.startswith(_GZIP):
            plain = gzip.GzipFile(fileobj=io.BytesIO(data)).read(limit)
        elif data.startswith(_BZIP2):
            plain = bz2.BZ2File(io.BytesIO(data)).read(limit)
        elif data.startswith(_XZ):
            plain = lzma.LZMADecompressor(memlimit=_XZ_MEMORY_LIMIT).decompress(data, limit)
        elif data.startswith(_ZSTD):
            plain = unpack_zstd(data, limit)
        else:
            plain = data
    except MissingProgramError:
        raise UsageError(
            f"{name} is compressed with zstd, and there is no program zstd here",
            hint="unpack it first, or apt install zstd",
        ) from None
    except _DAMAGE as error:
        raise _damaged(name) from error
    if whole and len(plain) >= limit:
        raise too_large(name)
    return plain


def _take(tree: Tree, plain: bytes, member: Member, name: str) -> None:
    path = _clean(member.path, name)
    if member.kind == "folder":
        return
    if path in tree.files or path in tree.links:
        raise UsageError(f"{name} holds {path!r} twice", hint="capture again with the collector script")
    if member.kind == "link":
        tree.links[path] = member.target
    elif member.kind != "file":
        raise UsageError(
            f"{name} holds {path!r}, which is neither file, folder nor symbolic link",
            hint="make the archive without hard links, devices and pipes",
        )
    elif member.size > FILE_LIMIT:
        raise UsageError(f"{name} holds {path!r} of more than {FILE_LIMIT >> 20} MiB: this is no capture")
    else:
        tree.add(path, plain[member.start : member.start + member.size], name)


def _clean(path: str, name: str) -> str:
    """Return a member's path without `./`; raises UsageError for one that leads out of the archive."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts:
        raise UsageError(
            f"{name} holds {path!r}, which leads out of the archive",
            hint="make the archive with relative paths",
        )
    return "/".join(parts)
