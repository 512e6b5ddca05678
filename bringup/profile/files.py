"""Finds profile files by name and merges a profile with what it extends; knows nothing of their content.

Rules of merging: tables merge key by key; a list replaces the list; a table with a `source` is one fact and
is replaced whole, so that a value never keeps the source of another; the text "not observed" takes an
inherited key away.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bringup.base.assets import asset
from bringup.base.errors import ProfileError, reason_of
from bringup.base.near import did_you_mean
from bringup.base.paths import at_home
from bringup.base.regular_file import is_file, read_regular
from bringup.profile.toml_lines import SIZE_MAX_BYTES, TomlDocument, read_toml, shown_path

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}", re.ASCII)
_DEPTH_MAX = 8
_NOT_OBSERVED = "not observed"
_TABLE_BEGINS = re.compile(r"^\s*\[", re.MULTILINE)


def profile_files(folders: Sequence[Path] = ()) -> dict[str, Path]:
    """Return every profile by name; a lab's own folder comes before what this tool brings along."""
    found: dict[str, Path] = {}
    for folder in (*folders, asset("boards")):
        for path in _listed(folder):
            if _NAME.fullmatch(path.stem):
                found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.glob("*.toml"))
    except OSError as error:
        raise ProfileError(
            f"the profiles in {shown_path(folder)} cannot be listed: {reason_of(error)}",
            hint="`boards` in lab.toml names the folder of your own",
        ) from None


def find_profile(name_or_path: str | Path, folders: Sequence[Path] = ()) -> Path:
    """Return the file of a profile, or raise ProfileError; a text with a slash or `.toml` is a path."""
    text = str(name_or_path)
    if "/" in text or text.endswith(".toml"):
        path = at_home(text)
        if not is_file(path):
            raise ProfileError(f"there is no profile file {shown_path(path)}")
        return path
    files = profile_files(folders)
    if text in files:
        return files[text]
    meant = did_you_mean(text, files)
    raise ProfileError(f'there is no profile "{text}"{meant}', hint=f"profiles: {', '.join(files)}")


def title_of(path: Path) -> str | None:
    """Return a profile's own title, reading no further than needed; None if it has none or is not TOML."""
    try:
        text = (read_regular(path, SIZE_MAX_BYTES) or b"").decode("utf-8")
        tables = _TABLE_BEGINS.search(text)
        # Top-level keys come before the first table.
        title = tomllib.loads(text[: tables.start()] if tables else text).get("title")
    except (ValueError, RecursionError):
        return None
    return title if isinstance(title, str) else None


def read_chain(
    path: Path, folders: Sequence[Path] = (), read: dict[Path, TomlDocument] | None = None
) -> list[TomlDocument]:
    """Return the file and what it extends, nearest first; ProfileError for a cycle or a missing base.

    `read` is given by who reads several chains: it keeps what they share.
    """
    read = {} if read is None else read
    chain = [_read_once(path, read)]
    while (base := _base_of(chain[-1])) is not None:
        document = chain[-1]
        try:
            # A profile given by path may extend one that lies beside it.
            base_path = find_profile(base, (*folders, document.path.parent))
        except ProfileError as error:
            raise ProfileError(f"{_where(document)}: `extends`: {error.message}", hint=error.hint) from None
        for earlier in chain:
            if earlier.path.resolve() == base_path.resolve():
                raise ProfileError(
                    f"{_where(document)}: {document.shown} extends {earlier.shown}, which already extends it"
                    if earlier is not document
                    else f"{_where(document)}: {document.shown} extends itself",
                    hint="one of them has to stand alone",
                )
        if len(chain) == _DEPTH_MAX:
            raise ProfileError(f"{_where(document)}: more than {_DEPTH_MAX} profiles extend each other")
        chain.append(_read_once(base_path, read))
    return chain


def _where(document: TomlDocument) -> str:
    return document.place(("extends",))


def _read_once(path: Path, read: dict[Path, TomlDocument]) -> TomlDocument:
    if path not in read:
        read[path] = _read(path)
    return read[path]


def merged(chain: Sequence[TomlDocument]) -> dict[str, Any]:
    """Return the data of a chain (nearest first) as one table, without `extends`."""
    data: dict[str, Any] = {}
    for document in reversed(chain):
        data = _merge(data, document.data)
    data.pop("extends", None)
    return data


def _read(path: Path) -> TomlDocument:
    try:
        return read_toml(path)
    except FileNotFoundError:
        raise ProfileError(f"there is no profile file {shown_path(path)}") from None


def _base_of(document: TomlDocument) -> str | None:
    base = document.data.get("extends")
    if base is None or (isinstance(base, str) and _NAME.fullmatch(base)):
        return base
    raise ProfileError(
        f"{document.place(('extends',))}: `extends` is not the name of a profile",
        hint='a name is the file without .toml: extends = "generic-ipmi-x86"',
    )


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        if value == _NOT_OBSERVED:
            result.pop(key, None)
        elif (
            isinstance(value, dict)
            and isinstance(old, dict)
            and "source" not in value
            and "source" not in old
        ):
            result[key] = _merge(old, value)
        else:
            result[key] = value
    return result
