"""Texts that a person waits for: regular expressions on console lines, whose work is bounded.

Python's `re` may take exponential time, and a console is hostile input. So its work is estimated: each
open repeat multiplies it by the length of the line, a choice by its branches. One that repeats what varies,
refers back, or takes too much even on a short line is refused; the others are searched in the end of a line:
512 characters or, with several repeats, fewer.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bringup.base.errors import UsageError
from bringup.transcript.clean import plain_text

_LINE_MAX = 512
_TAILS = (_LINE_MAX, 256, 128, 64)
_WORK_MAX_BITS = 24.0  # 16 million steps, a tenth of a second or so
_COUNT_MAX = 16
_REPEAT = re.compile(r"[*+?]|\{(\d*)(,?)(\d*)\}")
_GROUP_KIND = re.compile(r"\?(?:P<\w*>|<?[=!]|[a-zA-Z]*(?:-[a-zA-Z]+)?:|>|[a-zA-Z]+(?=\)))")


def compile_text(expression: str) -> re.Pattern[str]:
    """Return it compiled; raises UsageError where it is none, is always found, or could take for ever."""
    return _wanted(expression).pattern


@dataclass(frozen=True, slots=True)
class _Wanted:
    """An expression, and how much of a line's end it is searched in."""

    pattern: re.Pattern[str]
    tail: int


def _wanted(expression: str) -> _Wanted:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of set operations that Python may have one day
            pattern = re.compile(expression)
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(
            f"not a regular expression: {expression!r}: {error}",
            hint="quote ( ) [ ] . * + ? with a backslash",
        ) from error
    work = _work(expression)
    if not isinstance(work, str):
        tail = next((tail for tail in _TAILS if work.bits(tail) <= _WORK_MAX_BITS), None)
        if tail is not None:
            if pattern.search("") is not None:
                raise UsageError(
                    f"the expression {expression!r} is found in every line, an empty one too",
                    hint="name the text that must come",
                )
            return _Wanted(pattern, tail)
        work = "it has too many repeats and choices"
    raise UsageError(
        f"the expression {expression!r} could take for ever: {work}", hint="say the text more plainly"
    )


@dataclass(frozen=True, slots=True)
class _Work:
    """What multiplies the work of a search."""

    repeats: int = 0  # open ones: each may take any number of a line's characters
    choice_bits: float = 0.0

    def __add__(self, other: _Work) -> _Work:
        return _Work(self.repeats + other.repeats, self.choice_bits + other.choice_bits)

    def times(self, count: int) -> _Work:
        """Return the work of that many of it, one after the other."""
        return _Work(self.repeats * count, self.choice_bits * count)

    def bits(self, length: int) -> float:
        """Return the logarithm of the steps in a line of that length: every start, every end of a repeat."""
        ends = self.repeats + 1
        return ends * math.log2(length) - math.log2(math.factorial(ends)) + self.choice_bits


@dataclass(slots=True)
class _Group:
    work: _Work = field(default_factory=_Work)
    branches: int = 1

    def whole(self) -> _Work:
        return self.work + _Work(choice_bits=math.log2(self.branches))


def _work(expression: str) -> _Work | str:
    """Return what multiplies the work, or why nothing bounds it; of an expression that compiles."""
    if re.search(r"\\[1-9]|\(\?P=|\(\?\(", expression):
        return "it refers back to what it matched"
    groups = [_Group()]
    atom: _Work | None = None  # what a repeat here would repeat
    position = 0
    while position < len(expression):
        repeat = _REPEAT.match(expression, position) if atom is not None else None
        if atom is not None and repeat is not None:
            least, most = _counts(repeat)
            if most > _COUNT_MAX and atom != _Work():
                return "a repeat holds another repeat or a choice"
            groups[-1].work += _repeated(atom, least, most)
            # A `?` or `+` behind a repeat says how it is searched; it repeats nothing.
            position, atom = repeat.end() + (expression[repeat.end() : repeat.end() + 1] in ("?", "+")), None
        elif expression[position] == "(":
            groups.append(_Group())
            kind = _GROUP_KIND.match(expression, position + 1)
            position, atom = kind.end() if kind is not None else position + 1, None
        elif expression[position] == ")" and len(groups) > 1:
            atom = groups.pop().whole()
            groups[-1].work += atom
            position += 1
        else:
            groups[-1].branches += expression[position] == "|"
            atom = _Work() if expression[position] != "|" else None
            position = _after_atom(expression, position)
    return groups[0].work


def _repeated(atom: _Work, least: int, most: float) -> _Work:
    """Return what a repeat adds to the work of its atom."""
    if most > _COUNT_MAX:
        return _Work(repeats=1)
    return atom.times(max(0, int(most) - 1)) + _Work(choice_bits=math.log2(most - least + 1))


def _counts(repeat: re.Match[str]) -> tuple[int, float]:
    text = repeat.group()
    if text in "*+?":
        return (1 if text == "+" else 0), (1 if text == "?" else math.inf)
    least = int(repeat[1] or 0)
    if not repeat[2]:
        return least, least
    return least, int(repeat[3]) if repeat[3] else math.inf


def _after_atom(expression: str, position: int) -> int:
    if expression[position] == "\\":
        return position + 2
    if expression[position] != "[":
        return position + 1
    end = position + 1
    end += expression[end : end + 1] == "^"
    end += expression[end : end + 1] == "]"
    while end < len(expression) and expression[end] != "]":
        end += 2 if expression[end] == "\\" else 1
    return end + 1


@dataclass(frozen=True, slots=True)
class WantedTexts:
    """What a person waits for (`until`) and what means failure (`fail`)."""

    until: Sequence[_Wanted] = ()
    fail: Sequence[_Wanted] = ()

    @classmethod
    def of(cls, until: Sequence[str], fail: Sequence[str]) -> WantedTexts:
        """Compile both; raises UsageError."""
        return cls(tuple(map(_wanted, until)), tuple(map(_wanted, fail)))

    def __bool__(self) -> bool:
        return bool(self.until or self.fail)


@dataclass(slots=True)
class TextWatch:
    """Searches one writer's lines; an unfinished line counts too, since prompts have no end."""

    wanted: WantedTexts
    _carry: bytes = b""
    _told: set[str] = field(default_factory=set)

    def feed(self, text: bytes) -> Iterator[tuple[str, str, str, int]]:
        """Yield (until or fail, expression, line, offset behind it) of what is found; `fail` counts first."""
        data = self._carry + text
        before, position = len(self._carry), 0
        lines = re.split(rb"[\r\n]+", data)
        self._carry = lines[-1][-_LINE_MAX:]
        for line in lines:
            position = min(len(data), position + len(line) + 1)
            shown = plain_text(line[-_LINE_MAX:])
            for which, expressions in (("fail", self.wanted.fail), ("until", self.wanted.until)):
                for wanted in expressions:
                    said = wanted.pattern.pattern
                    if f"{which} {said}" not in self._told and wanted.pattern.search(shown[-wanted.tail :]):
                        self._told.add(f"{which} {said}")
                        yield which, said, shown.strip(), position - before

    def start_boot(self) -> None:
        """Look for everything anew."""
        self._told.clear()
