"""Long contents as pieces: bytes, zeros, and spans of files, so that 512 MiB are written without a copy."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bringup.base.errors import ImageError, reason_of
from bringup.base.hashed_file import HashedFile
from bringup.image.model import BootFile

_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class FileSpan:
    """`size` bytes of a file from `start` on, which are read each time that they are needed.

    `hashed` is the whole file as it was when it was chosen, None where nobody looked.
    """

    path: Path
    size: int
    start: int = 0
    hashed: HashedFile | None = field(default=None, compare=False)

    @classmethod
    def all_of(cls, file: BootFile) -> FileSpan:
        """Return a file of an image from its first byte to its last."""
        return cls(file.path, file.size, hashed=HashedFile(file.sha256, file.changed_ns))


@dataclass(frozen=True, slots=True)
class Zeros:
    """`size` bytes of zero."""

    size: int


Piece = bytes | FileSpan | Zeros


def piece_size(piece: Piece) -> int:
    """Return the length of a piece in bytes."""
    return len(piece) if isinstance(piece, bytes) else piece.size


@dataclass(frozen=True, slots=True)
class Pieces:
    """Pieces one after the other."""

    parts: tuple[Piece, ...]

    @classmethod
    def of(cls, *parts: Piece) -> Pieces:
        """Return these pieces as one content."""
        return cls(tuple(part for part in parts if piece_size(part)))

    @property
    def size(self) -> int:
        """The length of all pieces, in bytes."""
        return sum(piece_size(part) for part in self.parts)

    def blocks(self, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield the bytes of a range in blocks of at most a MiB; the whole content by default.

        Raises ImageError when a file is shorter than it was, has changed, or cannot be read.
        """
        end = self.size if length is None else min(offset + length, self.size)
        start = 0
        for part in self.parts:
            size = piece_size(part)
            first, last = max(offset, start), min(end, start + size)
            if first < last:
                yield from _blocks(part, first - start, last - first)
            start += size

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes of a range, fewer at the end; raises ImageError as `blocks` does."""
        return b"".join(self.blocks(offset, length))

    def sha256(self, offset: int = 0, length: int | None = None) -> str:
        """Return the SHA-256 of a range in hexadecimal digits; raises ImageError as `blocks` does."""
        digest = hashlib.sha256()
        for block in self.blocks(offset, length):
            digest.update(block)
        return digest.hexdigest()


def joined(contents: Sequence[Pieces]) -> Pieces:
    """Return several contents as one."""
    return Pieces(tuple(part for content in contents for part in content.parts))


def _blocks(part: Piece, offset: int, length: int) -> Iterator[bytes]:
    if isinstance(part, bytes):
        yield part[offset : offset + length]
    elif isinstance(part, Zeros):
        while length:
            step = min(length, _READ_BYTES)
            yield bytes(step)
            length -= step
    else:
        yield from _file_blocks(part, part.start + offset, length)


def _file_blocks(span: FileSpan, offset: int, length: int) -> Iterator[bytes]:
    path = span.path
    try:
        with path.open("rb") as file:
            file.seek(offset)
            while length:
                block = file.read(min(length, _READ_BYTES))
                if not block:
                    raise ImageError(f"{path.name} became shorter while it was read", hint="start again")
                if span.hashed is not None and not span.hashed.is_same(file.fileno()):
                    raise ImageError(f"{path.name} changed while it was in use", hint="start again")
                yield block
                length -= len(block)
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {reason_of(error)}") from None
