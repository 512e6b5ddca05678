"""Before power: is the board still the machine that the image's configuration was made for, and does it work?

A generated overlay says what it was made for (`camkes.claims`); it is found beside the image, or in the
source folder that the build's CMakeCache.txt names. Only files are read; without a capture, or without a
configuration, there is nothing to compare and nothing is refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bringup.base.errors import BringupError, ProfileError
from bringup.base.regular_file import read_regular
from bringup.camkes.text.mark import HEADER_BYTES, is_generated
from bringup.lab.inventory import Board
from bringup.profile.toml_lines import shown_path

if TYPE_CHECKING:
    from bringup.camkes.claims.facts import Claims

ENTRIES_MAX = 50_000
DEPTH_MAX = 10
_CACHE_MAX = 16 << 20
_OVERLAYS_MAX = 64
_SHOWN = 6

_CACHE_ENTRY = re.compile(r"^(CMAKE_HOME_DIRECTORY|CAMKES_VM_APP|PLATFORM):[A-Z]+=(.{1,4096})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Overlays:
    """Overlays in reach of an image; `notes` say which could not be read, and why there may be more."""

    claims: tuple[Claims, ...] = ()
    notes: tuple[str, ...] = ()


def check_drift(
    board: Board,
    paths: Sequence[Path],
    *,
    config: Path | None = None,
    pins: Sequence[str] = (),
    allow: bool = False,
) -> tuple[str, ...]:
    """Return what a person should know before this board boots this image.

    `config` is the configuration the image was built from; without it one is looked for. `pins` are IOAPIC
    pins that a person states (DEVICE=IOAPIC/PIN), beside those that a generated file holds. Raises
    ProfileError that names the differences in BDF, BAR or pin, unless `allow`, UsageError for an unreadable
    `config`.
    """
    if config is not None:
        claims: tuple[Claims, ...] = (_read_config(config),)
        notes: list[str] = []
    else:
        found = find_overlays(paths)
        claims, notes = _for_board(board, found.claims)
        notes += found.notes
    claims = tuple(each for each in claims if each.devices)
    return (*notes, *(_compared(board, claims, pins, allow) if claims else ()))


def made_for_capture(board: Board, paths: Sequence[Path], config: Path | None) -> str | None:
    """Return the SHA-256 of the capture that an image's overlay was made for, None where nothing says one."""
    if config is not None:
        claims = claims_in(config)
        return None if claims is None else claims.sha256
    ours, _ = _for_board(board, find_overlays(paths).claims)
    hashes = {each.sha256 for each in ours}
    return hashes.pop() if len(hashes) == 1 else None


def is_latest_capture(board: str, sha256: str) -> bool | None:
    """Return whether the newest capture of `board` is that one; None without any that can be read."""
    from bringup.lab.captures import latest_capture
    from bringup.pci.capture.open import open_capture

    capture = latest_capture(board)
    try:
        return None if capture is None else open_capture([capture]).sources[0].sha256 == sha256
    except BringupError:
        return None


def _compared(board: Board, claims: Sequence[Claims], pins: Sequence[str], allow: bool) -> Iterator[str]:
    from bringup.camkes.assign.stated import stated_pins
    from bringup.lab.captures import latest_capture
    from bringup.pci.capture.open import open_capture
    from bringup.rules.check import recheck

    files = ", ".join(each.file for each in claims)
    capture = latest_capture(board.name)
    if capture is None:
        yield (
            f"there is no capture of {board.name} yet, so {files} was not compared with it: "
            f"bringup probe-pci {board.name}"
        )
        return
    machine = open_capture([capture])
    stated = stated_pins(pins, machine, board.profile)
    for each in claims:
        findings = recheck(each, machine, board.profile, stated).findings
        yield from (f"{each.file}: {found.message}" for found in findings if found.code == "drift-unknown")
        wrong = [found for found in findings if found.severity == "error"]
        if not wrong:
            continue
        # What moved explains most of what else is wrong.
        told = [found.sentence for found in sorted(wrong, key=lambda found: found.rule != "F8")]
        more = f"; and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
        message = f"{board.name} is not what {each.file} was made for: {'; '.join(told[:_SHOWN])}{more}"
        if not allow:
            raise ProfileError(message, hint=_way_on(board, each))
        yield f"{message} (--allow-drift)"


def _way_on(board: Board, claims: Claims) -> str:
    again = "bringup camkes overlay" if claims.generated else "bringup camkes update"
    return f"make it again with `{again} … --capture {board.name}` and build; or boot it so: --allow-drift"


def claims_in(path: Path) -> Claims | None:
    """Return what a generated file was made for, None for any other; raises ProfileError where damaged."""
    head = _head(path)
    if head is None or not is_generated(head):
        return None
    from bringup.camkes.claims.facts import read_claims

    return read_claims(head, shown_path(path))


def _read_config(path: Path) -> Claims:
    claims = claims_in(path)
    if claims is not None:
        return claims
    from bringup.camkes.app.load import load_application
    from bringup.camkes.claims.facts import claims_of_application

    return claims_of_application(load_application(path, allow_missing=True))


def _for_board(board: Board, claims: Sequence[Claims]) -> tuple[tuple[Claims, ...], list[str]]:
    """Return the overlays that are about this board, and a note where it cannot be told."""
    ours = tuple(each for each in claims if each.board == board.name)
    if ours or len(claims) <= 1:
        return ours or tuple(claims), []
    files = ", ".join(each.file for each in claims[:_SHOWN])
    return (), [
        f"{len(claims)} overlays belong to this image and none is for {board.name} ({files}): --config"
    ]


# Where overlays are.


def find_overlays(paths: Sequence[Path]) -> Overlays:
    """Return the generated overlays beside an image and in its source folder; bounded, and never raises."""
    if not paths:
        return Overlays()
    folder = paths[0] if paths[0].is_dir() else paths[0].parent
    build = folder.parent if folder.name == "images" else folder
    near = [path for place in dict.fromkeys((folder, build)) for path in _camkes_files(place)]
    beside = _read_overlays(near)
    if beside.claims:
        return beside
    home, app, platform = _cache(build)
    if home is None:
        return beside
    walk = _Walk(home)
    inside = _read_overlays(walk.files())
    narrowed = _narrow(inside.claims, [word for word in (app, platform) if word])
    return Overlays(narrowed, (*inside.notes, *([walk.incomplete] if walk.incomplete else [])))


def _camkes_files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".camkes")
    except OSError:
        return []


def _read_overlays(paths: Iterable[Path]) -> Overlays:
    found: list[Claims] = []
    notes: list[str] = []
    for path in paths:
        if len(found) + len(notes) >= _OVERLAYS_MAX:
            continue
        try:
            claims = claims_in(path)
        except ProfileError as error:
            notes.append(error.message)  # it may belong to another build; nobody named it
            continue
        found += [claims] if claims is not None else []
    return Overlays(tuple(found), tuple(notes))


def _narrow(overlays: tuple[Claims, ...], words: Sequence[str]) -> tuple[Claims, ...]:
    """Keep those in folders that the build's own choices name, as long as that leaves any."""
    for word in words:
        named = tuple(each for each in overlays if word in Path(each.file).parts)
        overlays = named or overlays
    return overlays


def _cache(build: Path) -> tuple[Path | None, str | None, str | None]:
    """Return the source folder, the application and the platform that a build was configured for."""
    data = read_regular(build / "CMakeCache.txt", _CACHE_MAX)
    if data is None:
        return None, None, None
    text = data.decode("utf-8", "replace")
    values = {match[1]: match[2].strip() for match in _CACHE_ENTRY.finditer(text)}
    home = values.get("CMAKE_HOME_DIRECTORY")
    return Path(home) if home else None, values.get("CAMKES_VM_APP"), values.get("PLATFORM")


class _Walk:
    """Walks a source tree for .camkes files; `incomplete` says so afterwards where it was cut short."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._left = ENTRIES_MAX
        self.incomplete: str | None = None

    def files(self) -> Iterator[Path]:
        """Yield the files in a fixed order; links to folders are not followed."""
        folders = [(self._home, 0)]
        while folders:
            folder, depth = folders.pop()
            try:
                with os.scandir(folder) as listing:
                    entries = sorted(listing, key=lambda entry: entry.name)
            except OSError:
                continue
            self._left -= len(entries)
            if self._left < 0:
                self.incomplete = (
                    f"{self._home} has more than {ENTRIES_MAX} files, and not all were looked at: --config"
                )
                return
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if depth < DEPTH_MAX:
                        folders.append((Path(entry.path), depth + 1))
                elif entry.name.endswith(".camkes"):
                    yield Path(entry.path)


def _head(path: Path) -> bytes | None:
    return read_regular(path, HEADER_BYTES)
