"""Finds the machine in a folder or an archive: where its root is, and whether it is as it was packed.

A tree may be a machine's root, lie one or two folders deep, be its `sys`, or be its `sys/bus/pci/devices`.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from bringup.base.errors import UsageError, reason_of
from bringup.pci.model import Missing
from bringup.pci.tree.bundle import Tree
from bringup.pci.tree.files import DEVICES, Files, FolderFiles, MemoryFiles

SUMS = "SHA256SUMS"
_SUM = re.compile(r"([0-9a-f]{64}) [ *](?:\./)?(.{1,1024})")
_FUNCTION = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
T = TypeVar("T", bytes, str)
_PREFIX_DEPTH = 2
_PREFIX_FOLDERS = 256
_HINT = "give the folder that holds sys/bus/pci/devices, or a bundle of the collector script"


@dataclass(slots=True)
class Mounted:
    """Files as they would be at another place: a `sys` or a `devices` folder that was given alone."""

    files: Files
    place: str

    def read(self, path: str) -> bytes | Missing:
        """Return a file's bytes."""
        below = self._below(path)
        return Missing(path, "absent") if below is None else self.files.read(below)

    def children(self, path: str) -> tuple[str, ...]:
        """Return the sorted names in a folder."""
        below = self._below(path)
        return () if below is None else self.files.children(below)

    def link(self, path: str) -> str | None:
        """Return what a symbolic link points at."""
        below = self._below(path)
        return None if below is None else self.files.link(below)

    def is_folder(self, path: str) -> bool:
        """Whether a folder is there."""
        below = self._below(path)
        return below is not None and self.files.is_folder(below)

    def _below(self, path: str) -> str | None:
        if path == self.place:
            return ""
        return path[len(self.place) + 1 :] if path.startswith(self.place + "/") else None


@dataclass(slots=True)
class Hashed:
    """Files whose bytes are counted into one sha256 as they are read."""

    files: Files
    _sum: hashlib._Hash = field(default_factory=hashlib.sha256)

    def read(self, path: str) -> bytes | Missing:
        """Return a file's bytes."""
        data = self.files.read(path)
        if isinstance(data, bytes):
            self._sum.update(b"%d %s\n" % (len(data), os.fsencode(path)))
            self._sum.update(data)
        return data

    def children(self, path: str) -> tuple[str, ...]:
        """Return the sorted names in a folder."""
        return self.files.children(path)

    def link(self, path: str) -> str | None:
        """Return what a symbolic link points at."""
        return self.files.link(path)

    def is_folder(self, path: str) -> bool:
        """Whether a folder is there."""
        return self.files.is_folder(path)

    def hexdigest(self) -> str:
        """Return the sum of everything read so far."""
        return self._sum.hexdigest()


def open_folder(folder: Path) -> Files:
    """Return the machine's files in a folder, rooted at `/`; raises UsageError when there is no machine."""
    try:
        names = {entry.name for entry in os.scandir(folder)}
    except OSError as error:
        raise UsageError(f"cannot read the folder {folder}: {reason_of(error)}") from None
    sysfs = _sysfs_of_devices(folder)
    if sysfs is not None:
        return _checked(Mounted(FolderFiles(sysfs), "sys"), folder)
    if _is_devices(names):
        return Mounted(FolderFiles(folder), DEVICES)
    roots = [root for root in _roots(folder) if (root / DEVICES).is_dir()]
    if len(roots) == 1:
        return _checked(FolderFiles(roots[0]), folder)
    if roots:
        raise _several(str(folder), [str(root.relative_to(folder)) for root in roots])
    if (folder / "bus/pci/devices").is_dir():
        return Mounted(FolderFiles(folder), "sys")
    raise UsageError(f"no PCI functions in the folder {folder}", hint=_HINT)


def holds_tree(folder: Path) -> bool:
    """Whether a folder is a machine's tree or has one in it, so that opening it is worth a try."""
    try:
        names = {entry.name for entry in os.scandir(folder)}
    except OSError:
        return True
    return (
        _sysfs_of_devices(folder) is not None
        or _is_devices(names)
        or any((root / DEVICES).is_dir() for root in _roots(folder))
        or (folder / "bus/pci/devices").is_dir()
    )


def _sysfs_of_devices(folder: Path) -> Path | None:
    """Return `X` for a folder `X/bus/pci/devices`: its entries are links that lead back up into `X`."""
    real = folder.resolve()
    return real.parents[2] if real.parts[-3:] == ("bus", "pci", "devices") else None


def _is_devices(names: set[str]) -> bool:
    return any(_FUNCTION.fullmatch(name) for name in names)


def _roots(folder: Path) -> Iterator[Path]:
    """Yield the folder, those in it and those in these: where a machine's root may be."""
    level = [folder]
    for depth in range(_PREFIX_DEPTH + 1):
        yield from level
        if depth == _PREFIX_DEPTH or any((place / DEVICES).is_dir() for place in level):
            return
        level = [below for place in level for below in _folders(place)][:_PREFIX_FOLDERS]


def _folders(place: Path) -> list[Path]:
    try:
        return sorted(Path(e.path) for e in os.scandir(place) if e.is_dir(follow_symlinks=False))
    except OSError:
        return []


def open_tree(tree: Tree, name: str) -> Files:
    """Return the machine's files in an archive; raises UsageError when there is none, or not one."""
    found: dict[tuple[int, str], str] = {}
    for path in (*tree.files, *tree.links):
        for depth, mark in enumerate((f"{DEVICES}/", "bus/pci/devices/")):
            at = path.find(mark)
            if at == 0 or (at > 0 and path[at - 1] == "/"):
                found.setdefault((depth, path[:at]), path)
                break
        else:
            if _FUNCTION.match(path):
                found.setdefault((2, ""), path)
    if not found:
        raise UsageError(f"no PCI functions in {name}", hint=_HINT)
    kind = min(depth for depth, _ in found)
    prefixes = sorted(
        prefix for depth, prefix in found if depth == kind and prefix.count("/") <= _PREFIX_DEPTH
    )
    if not prefixes:
        raise UsageError(f"the machine in {name} lies more than {_PREFIX_DEPTH} folders deep", hint=_HINT)
    if len(prefixes) > 1:
        raise _several(name, prefixes)
    place = ("", "sys/", f"{DEVICES}/")[kind]
    files = MemoryFiles(_moved(tree.files, prefixes[0], place), _moved(tree.links, prefixes[0], place))
    return _checked(files, name)


def _moved(paths: Mapping[str, T], prefix: str, place: str) -> dict[str, T]:
    if not prefix and not place:
        return dict(paths)
    return {place + path[len(prefix) :]: value for path, value in paths.items() if path.startswith(prefix)}


def _several(name: str, places: list[str]) -> UsageError:
    shown = ", ".join(place.strip("/") or "." for place in places[:3])
    more = f" and {len(places) - 3} more" if len(places) > 3 else ""
    return UsageError(f"{name} holds several machines: {shown}{more}", hint="give one of them")


def _checked(files: Files, name: object) -> Files:
    """Return the files; raises UsageError where a bundle's own checksums say that they were changed."""
    sums = files.read(SUMS)
    if not isinstance(sums, bytes):
        return files
    for line in sums.decode("utf-8", "replace").splitlines():
        match = _SUM.fullmatch(line)
        if match is None:
            raise UsageError(f'{SUMS} in {name} has a line that is no checksum: "{line[:80]}"')
        data = files.read(match[2])
        if not isinstance(data, bytes) or hashlib.sha256(data).hexdigest() != match[1]:
            what = "is gone" if isinstance(data, Missing) else "was changed"
            raise UsageError(
                f"{name} is damaged: {match[2]} {what} since it was captured",
                hint="copy the bundle again from where it was made, or capture again",
            )
    return files
