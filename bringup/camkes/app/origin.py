"""Where each part of a preprocessed text was written: cpp's line markers, and the lines of the files."""

from __future__ import annotations

import re
from bisect import bisect_right
from pathlib import Path
from typing import NamedTuple

from bringup.base.errors import UsageError
from bringup.camkes.app.line_markers import markers
from bringup.camkes.app.preprocess import Own, foreign
from bringup.camkes.model import Place
from bringup.camkes.text.tokens import MAX_CHARACTERS, shown_line
from bringup.profile.toml_lines import shown_path

# Longer lines are no person's, and counting through them for every element would take too long.
_LINE_MAX = 1000


class _Piece(NamedTuple):
    """From this line of the preprocessed text on, lines are those of `file` from `line` on."""

    output_line: int
    file: str
    line: int


class Sources:
    """The lines of the files as they are on disk, read when they are asked for; or as they were given."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {}

    def give(self, file: str, text: str) -> None:
        """Take `text` for what stands in a file."""
        self._lines[file] = text.split("\n")

    def line(self, file: str, number: int) -> str | None:
        """Return a line, counted from 1, without its end; None where it cannot be had."""
        if file not in self._lines:
            self._lines[file] = _read_lines(Path(file))
        lines = self._lines[file]
        return lines[number - 1] if 0 < number <= len(lines) else None


class Origin:
    """Turns offsets of a preprocessed text into places in the files it was made of."""

    def __init__(self, text: str, root: Path, sources: Sources, own: Own) -> None:
        """`own` are the application's files; of others an error shows nothing."""
        self._text = text
        self._own = own
        self._sources = sources
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._pieces = [_Piece(1, str(root), 1)]
        self.files: list[str] = []
        for marker in markers(text, root):
            first = bisect_right(self._starts, marker.offset) + 1
            self._pieces.append(_Piece(first, marker.file, marker.line))
            if marker.file not in self.files and not (marker.built_in or marker.system):
                self.files.append(marker.file)
        self._first = [piece.output_line for piece in self._pieces]

    def place(self, offset: int) -> Place:
        """Return the place a word was written at, or where the macro was used that it comes from."""
        output_line = bisect_right(self._starts, offset)
        piece = self._pieces[bisect_right(self._first, output_line) - 1]
        line = piece.line + output_line - piece.output_line
        return Place(shown_path(Path(piece.file)), line, self._column(piece.file, line, output_line, offset))

    def error(self, offset: int, message: str) -> UsageError:
        """Return the error that says place and message and shows the line."""
        output_line = bisect_right(self._starts, offset)
        piece = self._pieces[bisect_right(self._first, output_line) - 1]
        place = self.place(offset)
        if not self._own.has(piece.file):
            return foreign(piece.file)
        line = self._sources.line(piece.file, place.line) or self._output(output_line)
        return UsageError(f"{place}: {message}\n    {shown_line(line, place.column)}")

    def _output(self, output_line: int) -> str:
        start = self._starts[output_line - 1]
        end = self._starts[output_line] - 1 if output_line < len(self._starts) else len(self._text)
        return self._text[start:end]

    def _column(self, file: str, line: int, output_line: int, offset: int) -> int:
        """Return the column of a word in the file: cpp keeps lines, but not the white space within them.

        The line's first word where macros have made another line of it.
        """
        output, source = self._output(output_line), self._sources.line(file, line)
        before = output[: offset - self._starts[output_line - 1]]
        match = re.match(r"\w+|.", output[len(before) : len(before) + 100])
        if source is None or match is None or max(len(output), len(source)) > _LINE_MAX:
            return 1
        word = match[0]
        if source.count(word) != output.count(word):
            return len(source) - len(source.lstrip()) + 1
        column = -1
        for _ in range(before.count(word) + 1):
            column = source.find(word, column + 1)
        return column + 1


def _read_lines(path: Path) -> list[str]:
    try:
        if not path.is_file():
            return []
        with path.open("rb") as file:
            data = file.read(MAX_CHARACTERS + 1)
    except (OSError, ValueError):
        return []
    return data.decode("utf-8", "surrogateescape").split("\n")
