"""The line markers of a preprocessed text: which file, and which of its lines, the text that follows is from.

Format: GNU cpp manual, "Preprocessor Output": `# LINE "FILE" FLAGS`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

STDIN_NAME = "<stdin>"
"""What cpp calls the file that it reads from its standard input."""

_MARKER = re.compile(r'^# (\d{1,9}) "((?:[^"\\\n]|\\.)*+)"([ 1-4]*)', re.MULTILINE)
_ESCAPED = re.compile(r"\\([0-7]{3}|.)")
_SYSTEM_FLAG = "3"
# Where headers of the compiler and of the system are (cpp -v).
_SYSTEM_FOLDERS = ("/usr/include/", "/usr/lib/gcc/", "/usr/local/include/")


class Marker(NamedTuple):
    """From `offset` of the text on, lines are those of `file` from `line` on.

    `system`: a header of the compiler or of the system. `built_in`: no file at all.
    """

    offset: int
    line: int
    file: str
    system: bool
    built_in: bool


def markers(text: str, root: Path) -> Iterator[Marker]:
    """Yield the markers of what cpp made in a run for `root` (absolute)."""
    for match in _MARKER.finditer(text):
        name = _unescape(match[2])
        file = file_of(name, root)
        system = _SYSTEM_FLAG in match[3] and is_of_system(file)
        yield Marker(match.start(), int(match[1]), file, system, name.startswith("<"))


def is_of_system(file: str) -> bool:
    """Whether a file is a header of the compiler or of the system, links and `..` followed."""
    return os.path.realpath(file).startswith(_SYSTEM_FOLDERS)


def file_of(name: str, root: Path) -> str:
    """Return the path of a file by the name that cpp gives it in a run for `root` (absolute)."""
    return str(root if name == STDIN_NAME else root.parent / name)


def _unescape(name: str) -> str:
    """Return a file's name out of a line marker, where cpp writes bytes it cannot print in octal."""
    if "\\" not in name:
        return name
    text = _ESCAPED.sub(lambda match: chr(int(match[1], 8)) if len(match[1]) == 3 else match[1], name)
    return os.fsdecode(bytes(ord(sign) & 0xFF for sign in text))
