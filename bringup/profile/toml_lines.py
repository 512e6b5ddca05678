"""TOML files with the line of every key, so that a mistake in a board or lab file is told as FILE:LINE.

`tomllib` gives no lines. `key_lines` finds them by a scan of text that `tomllib` has already accepted; it
knows just enough of TOML 1.0 (toml.io, "v1.0.0") to tell keys from strings and comments.
"""

from __future__ import annotations

import bisect
import re
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bringup.base.errors import ProfileError
from bringup.base.regular_file import open_regular

KeyPath = tuple[str | int, ...]

SIZE_MAX_BYTES = 1 << 20
_SYNTAX_PLACE = re.compile(r"^(.*) \(at (?:line (\d+), column \d+|end of document)\)$", re.DOTALL)

_SECRET = re.compile(r"passw|secret|token|key", re.IGNORECASE)
_SHOWN_MAX = 120

_SPACE = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE = re.compile(r"[^,\]}#\n]*")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}(?!")' r"|'''.*?'{3,5}(?!')" r'|"(?:\\.|[^"\\\n])*"' r"|'[^'\n]*'",
    re.DOTALL,
)


@dataclass(frozen=True)
class TomlDocument:
    """One TOML file: how to name it to people, its text and its data."""

    path: Path
    text: str
    data: dict[str, Any]

    @property
    def shown(self) -> str:
        """The file's name as a person here would type it."""
        return shown_path(self.path)

    @cached_property
    def _lines(self) -> dict[KeyPath, int]:
        return key_lines(self.text)

    def line_of(self, path: KeyPath) -> int | None:
        """Return the line (from 1) of a key, table or list element; None if this file has no such thing."""
        return self._lines.get(path)

    def place(self, path: KeyPath) -> str:
        """Return FILE:LINE of `path`, or of the nearest table around it."""
        while path and path not in self._lines:
            path = path[:-1]
        return f"{self.shown}:{self._lines.get(path, 1)}"


def shown_path(path: Path) -> str:
    """Return `path` relative to the current folder if it lies below it, else as it is."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def dotted(path: KeyPath) -> str:
    """Write a path as people do: `nics[2].id`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read_toml(path: Path) -> TomlDocument:
    """Read and parse one file; raises ProfileError (syntax: FILE:LINE), or FileNotFoundError."""
    shown = shown_path(path)
    try:
        with open_regular(path) as stream:
            raw = stream.read(SIZE_MAX_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ProfileError(f"cannot read {shown}: {error.strerror}") from None
    except ValueError:
        raise ProfileError(f"{shown} is not a regular file") from None
    if len(raw) > SIZE_MAX_BYTES:
        raise ProfileError(
            f"{shown} is larger than {SIZE_MAX_BYTES >> 20} MiB: that is not a board or lab file"
        )
    try:
        # tomllib counts lines in text with Unix line ends, and so does the scan.
        text = raw.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ProfileError(f"{shown}:{line}: not UTF-8 text (byte 0x{raw[error.start]:02x})") from None
    return TomlDocument(path, text, _parse(text, shown))


def _parse(text: str, shown: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _SYNTAX_PLACE.match(str(error))
        reason = place[1] if place else str(error)
        line = place[2] if place and place[2] else text.rstrip("\n").count("\n") + 1
        told = f"{shown}:{line}: not valid TOML: {_lower_first(reason)}"
        raise ProfileError(told, hint=_line_shown(text, int(line))) from None
    except RecursionError:
        raise ProfileError(f"{shown}: lists or tables are nested too deeply") from None
    except ValueError as error:
        # Python refuses to convert integers of thousands of digits, outside of tomllib's own errors.
        raise ProfileError(f"{shown}: not valid TOML: {_lower_first(str(error))}") from None


def _line_shown(text: str, number: int) -> str | None:
    """Return a line for people, None where it is empty or may hold a secret."""
    lines = text.split("\n")
    line = lines[number - 1].strip() if number <= len(lines) else ""
    if not line or _SECRET.search(line):
        return None
    shown = "".join(char if char.isprintable() else "?" for char in line[:_SHOWN_MAX])
    return f"mend line {number}: {shown}"


def key_lines(text: str) -> dict[KeyPath, int]:
    """Return the line (from 1) of every key, table header and list element of `text`.

    `text` must be valid TOML with Unix line ends. A path is a tuple of keys and list positions, such as
    `("nics", 0, "id", "value")`; a table that only its children mention has the line of the first of them.
    """
    scan = _Scan(text)
    scan.document()
    return scan.lines


class _Scan:
    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._text = text
        self._at = 0
        self._newlines = [match.start() for match in re.finditer("\n", text)]
        # How many elements each list of tables ([[...]]) has so far.
        self._counts: dict[KeyPath, int] = {}

    def document(self) -> None:
        table: KeyPath = ()
        while self._skip_space():
            if self._peek() == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> KeyPath:
        line = self._line()
        is_list = self._text.startswith("[[", self._at)
        self._at += 2 if is_list else 1
        keys = self._keys()
        self._at += 2 if is_list else 1
        path: KeyPath = ()
        for key in keys[:-1]:
            path = self._latest((*path, key))
            self.lines.setdefault(path, line)
        path = (*path, keys[-1])
        if is_list:
            position = self._counts.get(path, 0)
            self._counts[path] = position + 1
            self.lines.setdefault(path, line)
            path = (*path, position)
        self.lines[path] = line
        return path

    def _latest(self, path: KeyPath) -> KeyPath:
        count = self._counts.get(path)
        if count is None:
            return path
        self.lines.setdefault(path, self._line())
        return (*path, count - 1)

    def _pair(self, table: KeyPath) -> None:
        line = self._line()
        path = table
        for key in self._keys():
            path = (*path, key)
            self.lines.setdefault(path, line)
        self._at += 1  # the equals sign
        self._value(path)

    def _keys(self) -> list[str]:
        keys = [self._key()]
        while self._skip_space() and self._peek() == ".":
            self._at += 1
            keys.append(self._key())
        return keys

    def _key(self) -> str:
        self._skip_space()
        quoted = _STRING.match(self._text, self._at)
        if quoted:
            self._at = quoted.end()
            key = tomllib.loads(f"k = {quoted[0]}")["k"]
            return str(key)
        bare = _BARE_KEY.match(self._text, self._at)
        assert bare is not None  # noqa: S101  # tomllib accepted this text
        self._at = bare.end()
        return bare[0]

    def _value(self, path: KeyPath) -> None:
        self._skip_space()
        opening = self._peek()
        if opening == "[":
            self._list(path)
        elif opening == "{":
            self._inline_table(path)
        else:
            scalar = _STRING.match(self._text, self._at) or _BARE_VALUE.match(self._text, self._at)
            assert scalar is not None  # noqa: S101  # a bare value matches anything
            self._at = scalar.end()

    def _list(self, path: KeyPath) -> None:
        self._at += 1
        position = 0
        while self._skip_space() and self._peek() != "]":
            self.lines[(*path, position)] = self._line()
            self._value((*path, position))
            position += 1
            self._skip_comma()
        self._at += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._at += 1
        while self._skip_space() and self._peek() != "}":
            self._pair(path)
            self._skip_comma()
        self._at += 1

    def _skip_comma(self) -> None:
        if self._skip_space() and self._peek() == ",":
            self._at += 1

    def _skip_space(self) -> bool:
        match = _SPACE.match(self._text, self._at)
        assert match is not None  # noqa: S101  # the pattern matches the empty text
        self._at = match.end()
        return self._at < len(self._text)

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _line(self) -> int:
        return bisect.bisect_left(self._newlines, self._at) + 1


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
