"""Board profiles: what is known of a model of board, from TOML files that a person can write by hand.

    profile = load_profile("supermicro-e300-9d")
    profile.serial.sol_port.value       # 0x2f8
    profile.serial.sol_port.source      # where that is known from
    profile.unconfirmed("bmc")          # what is only inferred

The models (`bringup.profile.model`, on pydantic) are imported on first use: listing names needs none.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bringup.base.errors import ProfileError
from bringup.profile.files import find_profile, merged, profile_files, read_chain
from bringup.profile.toml_lines import TomlDocument

if TYPE_CHECKING:
    from bringup.profile.model import Profile


def profile_names(folders: Sequence[Path] = ()) -> list[str]:
    """Return the names of all profiles, those of a lab's own `folders` included."""
    return list(profile_files(folders))


def load_profile(name_or_path: str | Path, folders: Sequence[Path] = (), unit: Path | None = None) -> Profile:
    """Read, merge and check a profile; raises ProfileError with FILE:LINE of what is wrong.

    `folders` are searched before the profiles that this tool brings along. What the file `unit`, if there is
    one, holds of a unit outranks the profile.
    """
    return _with_unit(_read(name_or_path, folders), unit)


class SharedProfiles:
    """The profiles of many boards, each read once; from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read: dict[tuple[str, tuple[Path, ...]], _Read] = {}
        self._documents: dict[Path, TomlDocument] = {}

    def load(
        self, name_or_path: str | Path, folders: Sequence[Path] = (), unit: Path | None = None
    ) -> Profile:
        """Return a profile as `load_profile` does."""
        key = str(name_or_path), tuple(folders)
        with self._lock:
            if key not in self._read:
                self._read[key] = _read(name_or_path, folders, self._documents)
            return _with_unit(self._read[key], unit)

    def chain(self, path: Path, folders: Sequence[Path] = ()) -> list[TomlDocument]:
        """Return the files of a profile as `read_chain` does."""
        with self._lock:
            return read_chain(path, folders, self._documents)


class _Read(NamedTuple):
    """A profile, and the tables that it was read from."""

    profile: Profile
    data: Mapping[str, Any]


def _read(
    name_or_path: str | Path, folders: Sequence[Path], documents: dict[Path, TomlDocument] | None = None
) -> _Read:
    from bringup.profile.check import validate
    from bringup.profile.model import Profile

    path = find_profile(name_or_path, folders)
    chain = read_chain(path, folders, documents)
    for document in chain:
        if "name" in document.data:
            raise ProfileError(
                f"{document.place(('name',))}: unknown key `name` in the top of the file",
                hint="a profile is named by its file; use `title` for people",
            )
    data = {**merged(chain), "name": path.stem}
    profile = validate(Profile, data, chain)
    _check_sources(profile, chain)
    return _Read(profile, data)


def _with_unit(read: _Read, unit: Path | None) -> Profile:
    if unit is None or not unit.exists():
        return read.profile
    from bringup.profile.unit import load_with_unit

    return load_with_unit(read.profile, read.data, unit)


def _check_sources(profile: Profile, chain: Sequence[TomlDocument]) -> None:
    from bringup.profile.check import did_you_mean_key, place_of

    for path, fact in profile.facts():
        if fact.source_key not in profile.sources:
            place = place_of(chain, (*path, "source"))
            meant = did_you_mean_key(fact.source_key, list(profile.sources))
            raise ProfileError(
                f"{place}: the source `{fact.source_key}` is not in [sources]{meant}",
                hint="add it to [sources] with a sentence on where this can be read",
            )
