"""The manifest of a capture (`probes/linux/manifest.txt`): parsed, and followed on a live root.

The live reader and the collector script follow the same entries and make the same tree:

- `file GLOB`: the bytes of every match, at its own path.
- `link GLOB`: a symbolic link at its own path; a text file with the target where links cannot be carried.
- `list FOLDER`: a text file at the folder's path with one name a line, sorted; empty for an empty folder,
  absent for an absent one. A path that also has files below it stays a folder: its names are its list.
- `command NAME PROGRAM ARG…`: what the program prints, at `cmd/NAME`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from bringup.base.assets import asset
from bringup.base.errors import UsageError
from bringup.pci.model import Missing
from bringup.pci.tree.files import Files, MemoryFiles, names_in

EntryKind = Literal["file", "link", "list", "command"]
COMMANDS = "cmd"
"""The folder of a capture that holds what programs printed."""
MANIFEST = "manifest"
"""The file of a capture that holds the entries it followed: what it lacks did not exist on the machine."""

# Nothing a shell could take for more than a path: the collector script writes these as they are.
_PART = re.compile(r"[A-Za-z0-9_.:*+-]{1,255}")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_WORD = re.compile(r"[A-Za-z0-9_./:=+-]{1,255}")
_MATCH_LIMIT = 200_000


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One line. `path` is relative to the root, with stars for file, link and list; for a command it is
    where the output goes (`cmd/NAME`) and `command` is the program with its arguments.
    """

    kind: EntryKind
    path: str
    command: tuple[str, ...] = ()


@cache
def linux_manifest() -> tuple[ManifestEntry, ...]:
    """Return the entries of the manifest this tool ships."""
    return parse_manifest(asset("probes/linux/manifest.txt").read_text(encoding="utf-8"))


def parse_manifest(text: str) -> tuple[ManifestEntry, ...]:
    """Return the entries in order; raises UsageError with the number of the first line that is none."""
    entries: list[ManifestEntry] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        entry = _entry(words)
        if entry is None or entry in entries:
            what = "is no entry" if entry is None else "is there twice"
            raise UsageError(
                f'manifest line {number} {what}: "{line.strip()[:120]}"',
                hint="write file, link or list with one path below /, or command NAME PROGRAM ARG…",
            )
        entries.append(entry)
    return tuple(entries)


def _entry(words: Sequence[str]) -> ManifestEntry | None:
    match words:
        case ["file" | "link" | "list" as kind, path] if _is_path(path):
            return ManifestEntry(kind, path)
        case ["command", name, *command] if _NAME.fullmatch(name) and command:
            if all(_WORD.fullmatch(word) for word in command) and not command[0].startswith("-"):
                return ManifestEntry("command", f"{COMMANDS}/{name}", tuple(command))
    return None


def _is_path(path: str) -> bool:
    return all(_PART.fullmatch(part) and part not in (".", "..") for part in path.split("/"))


def entry_words(entry: ManifestEntry) -> tuple[str, ...]:
    """Return an entry as a line of the manifest spells it."""
    if entry.kind == "command":
        return ("command", entry.path.rpartition("/")[2], *entry.command)
    return (entry.kind, entry.path)


Run = Callable[[Sequence[str]], bytes | Missing]


def collect(root: Files, entries: Sequence[ManifestEntry], run: Run) -> MemoryFiles:
    """Return the capture of a live root; `run` returns what a program prints, or why it did not.

    What is absent is left out; what is there and cannot be read is kept as missing, with the reason.
    """
    manifest = "".join(f"{' '.join(entry_words(entry))}\n" for entry in entries)
    files: dict[str, bytes] = {MANIFEST: manifest.encode()}
    links: dict[str, str] = {}
    missing: dict[str, str] = {}
    lists: dict[str, bytes] = {}
    for entry in entries:
        if entry.kind == "command":
            _keep(entry.path, run(entry.command), files, missing)
            continue
        for path in expand(root, entry.path):
            if entry.kind == "link":
                target = root.link(path)
                if target is not None:
                    links[path] = target
            elif entry.kind == "list":
                names = names_in(root, path)
                if names is not None:
                    lists[path] = "".join(f"{name}\n" for name in names).encode()
            else:
                _keep(path, root.read(path), files, missing)
    folders = {path.rpartition("/")[0] for path in files} | {path.rpartition("/")[0] for path in links}
    files |= {path: text for path, text in lists.items() if not _inside(path, folders)}
    return MemoryFiles(files, links, missing)


def _keep(path: str, data: bytes | Missing, files: dict[str, bytes], missing: dict[str, str]) -> None:
    if isinstance(data, bytes):
        files[path] = data
    elif data.why != "absent":
        missing[path] = data.why


def _inside(path: str, folders: set[str]) -> bool:
    return any(folder == path or folder.startswith(path + "/") for folder in folders)


def expand(root: Files, glob: str) -> Iterator[str]:
    """Yield what matches, in sorted order; a path without stars is itself, there or not.

    Raises UsageError for a tree with absurdly many matches.
    """
    found = [""]
    for part in glob.split("/"):
        if "*" in part:
            pattern = re.compile(".*".join(map(re.escape, part.split("*"))))
            found = [f"{at}{name}/" for at in found for name in root.children(at) if pattern.fullmatch(name)]
        else:
            found = [f"{at}{part}/" for at in found]
        if len(found) > _MATCH_LIMIT:
            raise UsageError(f"more than {_MATCH_LIMIT} files match {glob}: this is no machine")
    yield from (path.rstrip("/") for path in found)
