"""The tokens of a .camkes file, white space, comments and directives among them: joined, they are the file.

Words follow seL4/camkes-tool camkes/parser/camkes.g (numbers, strings without escapes that may span lines,
`#` to the end of a line ignored) and the C preprocessor, which reads the file first (directives at the start
of a line, a backslash before a line's end continues it). One pass, linear in the text's length.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NamedTuple

from bringup.base.errors import UsageError
from bringup.camkes.model import Place

MAX_CHARACTERS = 4 << 20
MAX_DEPTH = 200
_SHOWN_CHARACTERS = 100

SPACE = "space"
COMMENT = "comment"
DIRECTIVE = "directive"
HASH = "hash"
DISABLED = "disabled"
TRIVIA = frozenset((SPACE, COMMENT, DIRECTIVE, HASH, DISABLED))
STRING = "string"
ANGLE = "angle"
NUMBER = "number"
WORD = "word"
STRAY = "stray"

_TOKEN = re.compile(
    r"""
      (?P<space>   (?:[ \t\r\n\f\v\ufeff]|\\\r?\n)++ )
    | (?P<word>    [A-Za-z_]\w*+ )
    | (?P<number>  0x[0-9a-fA-F]++ | [0-9]++(?:\.[0-9]++)? )
    | (?P<string>  "[^"]*+" )
    | (?P<comment> //(?:[^\\\n]|\\(?:\r?\n)?)*+ | /\*[^*]*\*+(?:[^/*][^*]*\*+)*/ )
    | (?P<open>    /\* | " )
    | (?P<hash>    \# )
    | (?P<op>      <<|<-|<=|>>|>=|->|\*\*|&&|\|\||==|!=|[][{}().,:;=<>+*/%&|^~!?-] )
    | (?P<stray>   . )
    """,
    re.VERBOSE | re.DOTALL,
)
_ANGLE = re.compile(r"<[^>\n]{0,1000}>")
# A string that is not closed on a directive's line ends with the line, as for the preprocessor.
_DIRECTIVE_PART = re.compile(
    r"""(?P<plain>[^\\\n/"]++|\\(?:\r?\n)?|"(?:[^"\\\n]|\\(?:\r?\n|.)?)*+"?|/(?![*/]))
      | (?P<comment>/\*[^*]*\*+(?:[^/*][^*]*\*+)*/)
      | (?P<line>//(?:[^\\\n]|\\(?:\r?\n)?)*+)
      | (?P<open>/\*)""",
    re.VERBOSE,
)
_IF_ZERO = re.compile(r"#[ \t]*if[ \t]+0[ \t]*(?:/[/*]|\r?\n|$)")
# In disabled text the preprocessor still tells strings, comments and the conditionals inside it.
_DISABLED_PART = re.compile(
    r"""(?P<comment>/\*[^*]*\*+(?:[^/*][^*]*\*+)*/|//[^\n]*+)
      | (?P<open>/\*)
      | ^[ \t]*+\#[ \t]*+(?P<name>[a-z]++)
      | [^"/\n]++|"(?:[^"\\\n]|\\.)*+"?|[/\n]""",
    re.VERBOSE | re.MULTILINE,
)
_BEFORE_ANGLE = frozenset(("import", "include"))


class Token(NamedTuple):
    """A piece of the text from `start` up to `end`; `kind` is the sign itself for punctuation."""

    kind: str
    start: int
    end: int
    text: str


class TextError(ValueError):
    """A text that cannot be: what is wrong with it, and at which offset."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


def tokenize(text: str, *, preprocessed: bool = False) -> list[Token]:
    """Cut `text` into tokens that join to it again.

    In a `preprocessed` text every `#` starts a part that is passed over; in one as written, a `#` that is the
    first sign of its line starts a directive. Raises TextError for a comment or string that is not closed.
    """
    if len(text) > MAX_CHARACTERS:
        raise TextError("more than 4 MiB is no .camkes file", MAX_CHARACTERS)
    tokens: list[Token] = []
    add = tokens.append
    match_token = _TOKEN.match
    line_is_blank, last_word = not preprocessed, ""
    position, size = 0, len(text)
    while position < size:
        match = match_token(text, position)
        if match is None:  # cannot be: the last alternative takes any character
            raise TextError("this is no part of a .camkes file", position)
        kind, end = match.lastgroup or STRAY, match.end()
        if kind == SPACE:
            if not line_is_blank and not preprocessed:
                line_is_blank = _ends_a_line(match[0])
            add(Token(SPACE, position, end, match[0]))
            position = end
            continue
        if kind == COMMENT:
            add(Token(COMMENT, position, end, match[0]))
            position = end
            continue
        if kind == "open":
            raise _unclosed(position, match[0])
        if kind == "hash":
            end = _end_of_directive(text, position)
            directive = line_is_blank
            add(Token(DIRECTIVE if directive else HASH, position, end, text[position:end]))
            if directive and end < size and _IF_ZERO.match(text, position):
                position, end = end, _end_of_disabled(text, end)
                add(Token(DISABLED, position, end, text[position:end]))
            position = end
            continue
        if kind == "op":
            kind = match[0]
            if kind[0] == "<" and last_word in _BEFORE_ANGLE and (angle := _ANGLE.match(text, position)):
                kind, end = ANGLE, angle.end()
        line_is_blank = False
        last_word = match[0] if kind == WORD else ""
        add(Token(kind, position, end, text[position:end]))
        position = end
    return tokens


def _ends_a_line(space: str) -> bool:
    """Return whether white space ends a line, other than behind a backslash."""
    if "\\" not in space:
        return "\n" in space
    return "\n" in space.replace("\\\r\n", "").replace("\\\n", "")


def _end_of_directive(text: str, start: int) -> int:
    """Return the offset of the line's end that ends a directive, after continuations and comments."""
    position = start + 1
    while match := _DIRECTIVE_PART.match(text, position):
        if match.lastgroup == "open":
            raise _unclosed(position, "/*")
        position = match.end()
    return position


def _end_of_disabled(text: str, start: int) -> int:
    """Return where the line of the #else, #elif or #endif starts that ends what `#if 0` disables."""
    position, depth = start, 0
    while match := _DISABLED_PART.match(text, position):
        name = match["name"]
        if match.lastgroup == "open":
            raise _unclosed(position, "/*")
        if name in ("if", "ifdef", "ifndef"):
            depth += 1
        elif name is not None and name.startswith(("el", "endif")):
            if depth == 0:
                return position
            depth -= name == "endif"
        position = match.end()
    return position


def _unclosed(offset: int, sign: str) -> TextError:
    if sign == '"':
        return TextError('a string starts here and is not closed with "', offset)
    return TextError("a comment starts here and is not closed with */", offset)


class Lines:
    """Where the lines of a text start, to turn offsets into places."""

    __slots__ = ("_file", "_starts")

    def __init__(self, text: str, file: str) -> None:
        self._file = file
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def place(self, offset: int) -> Place:
        """Return line and column, both from 1, of an offset."""
        line = bisect_right(self._starts, offset)
        return Place(self._file, line, offset - self._starts[line - 1] + 1)

    def start(self, offset: int) -> int:
        """Return the offset at which the line of `offset` starts."""
        return self._starts[bisect_right(self._starts, offset) - 1]


def error_at(text: str, file: str, offset: int, message: str, *, hint: str | None = None) -> UsageError:
    """Return the error that says file, line and column and shows the line itself."""
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    line = text[start : len(text) if end < 0 else end]
    place = Place(file, text.count("\n", 0, offset) + 1, offset - start + 1)
    return UsageError(f"{place}: {message}\n    {shown_line(line, place.column)}", hint=hint)


def shown_line(line: str, column: int = 1) -> str:
    """Return a line fit for a terminal: control signs taken out, long ones cut around `column`."""
    if len(line) > _SHOWN_CHARACTERS:
        first = max(0, min(column - 1 - _SHOWN_CHARACTERS // 2, len(line) - _SHOWN_CHARACTERS))
        line = ("…" if first else "") + line[first : first + _SHOWN_CHARACTERS] + "…"
    return "".join(sign if sign.isprintable() else " " if sign == "\t" else "·" for sign in line.rstrip("\r"))
