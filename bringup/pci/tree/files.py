"""A captured tree as named bytes: one reader for a live root, a folder, a tar and a test.

Paths are relative to the machine's root and written with `/`: `sys/bus/pci/devices/0000:17:00.0/config`.
What cannot be read is a `Missing` with its reason, never empty bytes (an empty file is empty bytes).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from bringup.pci.model import Missing

# No input of a capture is larger: a dmesg of a big server is 2 MiB, ACPI tables together 1 MiB.
FILE_LIMIT = 16 << 20

DEVICES = "sys/bus/pci/devices"
"""Where a Linux tree has its PCI functions (Documentation/ABI/testing/sysfs-bus-pci)."""


class Files(Protocol):
    """A tree of files, read only."""

    def read(self, path: str) -> bytes | Missing:
        """Return a file's bytes, following links inside the tree."""

    def children(self, path: str) -> tuple[str, ...]:
        """Return the sorted names in a folder; empty when it is absent or no folder."""

    def link(self, path: str) -> str | None:
        """Return what a symbolic link points at as written in the tree, None when it is not a link."""

    def is_folder(self, path: str) -> bool:
        """Whether a folder is there, empty or not."""


def names_in(files: Files, path: str) -> tuple[str, ...] | None:
    """Return the names in a folder, told by a folder or by a capture's list; None when there is neither."""
    names = files.children(path)
    if names:
        return names
    text = files.read(path)
    if isinstance(text, bytes):
        return tuple(text.decode("utf-8", "replace").split())
    return () if files.is_folder(path) else None


class MemoryFiles:
    """A tree held in memory: path to bytes, path to link target, path to the reason a file is missing."""

    def __init__(
        self,
        files: Mapping[str, bytes],
        links: Mapping[str, str] | None = None,
        missing: Mapping[str, str] | None = None,
    ) -> None:
        self._files = dict(files)
        self._links = dict(links or {})
        self._missing = dict(missing or {})
        # Folders are asked for again and again through the same links: sysfs is full of them.
        self._real: dict[str, str | None] = {}
        self._children: dict[str, set[str]] = {}
        for path in (*self._files, *self._links):
            parent = path
            while parent:
                parent, _, name = parent.rpartition("/")
                names = self._children.setdefault(parent, set())
                if name in names:
                    break
                names.add(name)

    def read(self, path: str) -> bytes | Missing:
        """Return a file's bytes, following links inside the tree."""
        data = self._files.get(path)
        if data is not None:
            return data
        parent, _, name = path.rpartition("/")
        folder = self._folder(parent)
        if folder is None:
            return Missing(path, "absent")
        real: str | None = f"{folder}/{name}" if folder else name
        if real in self._links or name in ("", ".", ".."):
            real = self._resolve(path)
        data = None if real is None else self._files.get(real)
        if data is not None:
            return data
        return Missing(path, self._missing.get(path) or self._missing.get(real or path, "absent"))

    def children(self, path: str) -> tuple[str, ...]:
        """Return the sorted names in a folder."""
        path = path.strip("/")
        names = self._children.get(path)
        if names is None and (real := self._folder(path)) is not None:
            names = self._children.get(real)
        return tuple(sorted(names or ()))

    def link(self, path: str) -> str | None:
        """Return what a symbolic link points at."""
        if path in self._links:
            return self._links[path]
        parent, _, name = path.rpartition("/")
        real = self._folder(parent)
        return None if real is None else self._links.get(f"{real}/{name}" if real else name)

    def is_folder(self, path: str) -> bool:
        """Whether files are below this path: a tree in memory keeps no empty folders."""
        return bool(self.children(path))

    def _folder(self, path: str) -> str | None:
        if path not in self._real:
            self._real[path] = self._resolve(path)
        return self._real[path]

    def _resolve(self, path: str) -> str | None:
        """Return the path with every link replaced; None where it leaves the tree or goes round."""
        hops = 0
        done: list[str] = []
        todo = [part for part in path.split("/") if part not in ("", ".")][::-1]
        while todo:
            part = todo.pop()
            if part == "..":
                if not done:
                    return None
                done.pop()
                continue
            done.append(part)
            target = self._links.get("/".join(done))
            if target is None:
                continue
            hops += 1
            if hops > 40:
                return None
            done = [] if target.startswith("/") else done[:-1]
            todo.extend([part for part in target.split("/") if part not in ("", ".")][::-1])
        return "/".join(done)


# O_NONBLOCK: a FIFO or a device put in the way must not be waited for.
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
# What lies deeper, or goes round, is left to the library.
_REMEMBERED_DEPTH = 100
_LEADS_OUT = "link that leads out of the tree"


class FolderFiles:
    """A tree on disk, confined to its root: a link that leads out of it counts as absent.

    The live machine is `FolderFiles(Path("/"))`.
    """

    def __init__(self, root: Path) -> None:
        self._root = str(root.resolve())
        self._inside = "" if self._root == "/" else self._root
        self._folders: dict[str, str | None] = {}
        self._links: dict[str, str] = {}
        self._there: dict[str, bool] = {}

    def read(self, path: str) -> bytes | Missing:
        """Return a file's bytes, at most `FILE_LIMIT`."""
        folder, _, name = path.rpartition("/")
        inside = self._folder(folder)
        if inside is None:
            return Missing(path, _LEADS_OUT)
        try:
            handle = os.open(f"{inside}/{name}", _READ | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno != errno.ELOOP and name not in ("", ".", ".."):
                return Missing(path, _reason(error))
            return self._read_link(path)
        return _contents(handle, path)

    def _read_link(self, path: str) -> bytes | Missing:
        real = self._folder(path)
        if real is None:
            return Missing(path, _LEADS_OUT)
        try:
            return _contents(os.open(real, _READ), path)
        except OSError as error:
            return Missing(path, _reason(error))

    def _folder(self, path: str) -> str | None:
        """Return the path without links, None where it leads out of the tree."""
        if path not in self._folders:
            real = self._real(f"{self._root}/{path}".rstrip("/") or "/")
            self._folders[path] = real if (real + "/").startswith(self._inside + "/") else None
        return self._folders[path]

    def _real(self, path: str, depth: int = 0) -> str:
        """Return an absolute path without links, as `os.path.realpath`, but each folder is asked once.

        All functions' folders are links to far below the same few: sysfs is full of them. What the system
        would not follow (links that go round, `..` of no folder) stays in the path, and is nothing there.
        """
        if path == "/":
            return path
        if path in self._links:
            return self._links[path]
        if depth > _REMEMBERED_DEPTH:
            try:
                return os.path.realpath(path, strict=True)
            except OSError:
                return path
        parent, _, name = path.rpartition("/")
        parent = self._real(parent or "/", depth + 1)
        if name in ("", "."):
            return parent
        if name == "..":
            return (parent.rpartition("/")[0] or "/") if self._is_there(parent) else f"{parent}/.."
        real = f"{parent.rstrip('/')}/{name}"
        try:
            target = os.readlink(real)  # noqa: PTH115  str paths
        except OSError:
            pass
        else:
            inside = target if target.startswith("/") else f"{parent}/{target}"
            real = self._real(inside.rstrip("/") or "/", depth + 1)
        self._links[path] = real
        return real

    def _is_there(self, folder: str) -> bool:
        if folder not in self._there:
            self._there[folder] = os.path.isdir(folder)  # noqa: PTH112  str paths
        return self._there[folder]

    def children(self, path: str) -> tuple[str, ...]:
        """Return the sorted names in a folder."""
        real = self._folder(path)
        if real is None:
            return ()
        try:
            return tuple(sorted(entry.name for entry in os.scandir(real)))
        except OSError:
            return ()

    def link(self, path: str) -> str | None:
        """Return what a symbolic link points at."""
        try:
            return os.readlink(f"{self._root}/{path}")  # noqa: PTH115  str paths
        except OSError:
            return None

    def is_folder(self, path: str) -> bool:
        """Whether a folder is there, empty or not."""
        real = self._folder(path)
        return real is not None and os.path.isdir(real)  # noqa: PTH112  str paths


def _contents(handle: int, path: str) -> bytes | Missing:
    try:
        return _read_all(handle, path)
    except OSError as error:
        return Missing(path, _reason(error))
    finally:
        os.close(handle)


def _read_all(handle: int, path: str) -> bytes | Missing:
    if not _is_regular(handle):
        return Missing(path, "no regular file")
    chunks = []
    size = 0
    # sysfs files tell no true size: read until nothing comes.
    while chunk := os.read(handle, 1 << 16):
        chunks.append(chunk)
        size += len(chunk)
        if size > FILE_LIMIT:
            return Missing(path, f"larger than {FILE_LIMIT >> 20} MiB")
    return b"".join(chunks)


def _is_regular(handle: int) -> bool:
    return (os.fstat(handle).st_mode & 0o170000) == 0o100000


def _reason(error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return "absent"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "permission denied"
    return (error.strerror or "unreadable").lower()
