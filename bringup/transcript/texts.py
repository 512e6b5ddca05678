"""Texts that a person waits for: regular expressions on console lines, whose work is bounded.

Python's `re` may take exponential time, and a console is hostile input, so expressions that can are refused:
a repeat inside a repeat, a choice inside a repeat, a back-reference, or more than three open repeats. What is
left is searched in the last 512 characters of a line.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bringup.base.errors import UsageError
from bringup.transcript.clean import plain_text

_LINE_MAX = 512
_OPEN_REPEATS_MAX = 3
_COUNT_MAX = 16
_REPEAT = re.compile(r"[*+]|\{\d*,?(\d*)\}")


def compile_text(expression: str) -> re.Pattern[str]:
    """Return the expression compiled; raises UsageError where it is none, or could take for ever."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of set operations that Python may have one day
            pattern = re.compile(expression)
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(
            f"not a regular expression: {expression!r}: {error}",
            hint="quote ( ) [ ] . * + ? with a backslash",
        ) from error
    reason = _unbounded(expression)
    if reason is not None:
        raise UsageError(
            f"the expression {expression!r} could take for ever: {reason}", hint="say the text more plainly"
        )
    return pattern


def _unbounded(expression: str) -> str | None:
    """Return why matching may take longer than a small power of the line's length."""
    if re.search(r"\\[1-9]|\(\?P=|\(\?\(", expression):
        return "it refers back to what it matched"
    groups: list[bool] = [False]
    repeats, position, atom_varies = 0, 0, False
    while position < len(expression):
        repeat = _REPEAT.match(expression, position)
        if repeat is not None and position > 0 and _is_open(repeat):
            if atom_varies:
                return "a repeat holds another repeat or a choice"
            repeats += 1
            groups[-1] = True
            position = repeat.end()
            continue
        character = expression[position]
        atom_varies = False
        if character == "(":
            groups.append(False)
        elif character == ")" and len(groups) > 1:
            atom_varies = groups.pop()
            groups[-1] = groups[-1] or atom_varies
        elif character == "|" and len(groups) > 1:
            groups[-1] = True
        position = _after_atom(expression, position)
    return "it has more than three open repeats" if repeats > _OPEN_REPEATS_MAX else None


def _is_open(repeat: re.Match[str]) -> bool:
    text = repeat.group()
    if text in "*+":
        return True
    return text.endswith(",}") or int(repeat.group(1) or text.strip("{,}") or 0) > _COUNT_MAX


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

    until: Sequence[re.Pattern[str]] = ()
    fail: Sequence[re.Pattern[str]] = ()

    @classmethod
    def of(cls, until: Sequence[str], fail: Sequence[str]) -> WantedTexts:
        """Compile both; raises UsageError."""
        return cls(tuple(map(compile_text, until)), tuple(map(compile_text, fail)))

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
        text = self._carry + text
        before, position = len(self._carry), 0
        lines = re.split(rb"[\r\n]+", text)
        self._carry = lines[-1][-_LINE_MAX:]
        for line in lines:
            position = min(len(text), position + len(line) + 1)
            shown = plain_text(line[-_LINE_MAX:])
            for which, patterns in (("fail", self.wanted.fail), ("until", self.wanted.until)):
                for pattern in patterns:
                    if f"{which} {pattern.pattern}" not in self._told and pattern.search(shown):
                        self._told.add(f"{which} {pattern.pattern}")
                        yield which, pattern.pattern, shown.strip(), position - before

    def start_boot(self) -> None:
        """Look for everything anew."""
        self._told.clear()
