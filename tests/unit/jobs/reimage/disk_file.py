"""A file as a disk: what the ramdisk would do to it, done at once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from bringup.base.errors import DiskError


class DiskFile:
    """Reads, writes and hashes one file. `calls` are the acts; `fail` says for one what it fails with."""

    def __init__(
        self,
        path: Path,
        listing: str = "",
        fail: Callable[[str, int], str | None] = lambda _act, _offset: None,
    ) -> None:
        self.path = path
        self.calls: list[tuple[str, int, int]] = []
        self.spoil: Callable[[int, bytes], bytes] = lambda _offset, data: data
        self._listing = listing
        self._fail = fail

    def _note(self, act: str, offset: int, length: int) -> None:
        self.calls.append((act, offset, length))
        why = self._fail(act, offset)
        if why is not None:
            raise DiskError(f"sda at {offset}: no", why)

    def disks(self) -> str:
        return self._listing

    def read(self, disk: str, offset: int, length: int) -> bytes:
        self._note("read", offset, length)
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(length)

    def write(self, disk: str, offset: int, length: int, content: Callable[[], bytes]) -> None:
        self._note("write", offset, length)
        data = b"".join(content())
        assert len(data) == length
        with self.path.open("r+b") as file:
            file.seek(offset)
            file.write(self.spoil(offset, data))

    def hashes(self, disk: str, ranges: Sequence[tuple[int, int]]) -> tuple[str, ...]:
        for offset, length in ranges:
            self._note("hash", offset, length)
        with self.path.open("rb") as file:

            def digest(offset: int, length: int) -> str:
                file.seek(offset)
                return hashlib.sha256(file.read(length)).hexdigest()

            return tuple(digest(*each) for each in ranges)

    def flush(self, disk: str) -> None:
        self._note("flush", -1, 0)

    def acts(self, name: str) -> list[int]:
        """Return where something was done."""
        return [offset for act, offset, _ in self.calls if act == name]
