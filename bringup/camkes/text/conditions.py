"""Under which preprocessor conditions each part of a .camkes file stands."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from bringup.base.errors import UsageError
from bringup.camkes.model import Place
from bringup.camkes.text.tokens import DIRECTIVE, MAX_DEPTH, TRIVIA, Lines, Token, error_at

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_CONTINUED = re.compile(r"\\\r?\n")
_NAME = re.compile(r"#\s*(\w+)\s*(.*)", re.DOTALL)
_OPENING = frozenset(("if", "ifdef", "ifndef"))
_ALTERNATIVE = frozenset(("elif", "elifdef", "elifndef", "else"))


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """One branch of a conditional: the directive that opens it (`#ifdef X`, `#else`) and its place.

    `of` is the directive the whole conditional begins with, so that an `#else` can be told in words.
    """

    directive: str
    of: str
    place: Place
    outer: Condition | None = None

    def __str__(self) -> str:
        other = "" if self.of == self.directive else f" (of {self.of})"
        return f"{self.directive}{other} in line {self.place.line}"


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions over one file: `innermost[i]` is the one in force from `offsets[i]` on.

    `directives` are the offsets of all directives, conditional or not. `guard` is the include guard around
    the whole file, which is no condition.
    """

    offsets: tuple[int, ...]
    innermost: tuple[Condition | None, ...]
    directives: tuple[int, ...]
    guard: Condition | None = None

    def at(self, offset: int) -> tuple[Condition, ...]:
        """Return the conditions over an offset, the outermost first."""
        stack = []
        condition = self.innermost[bisect_right(self.offsets, offset) - 1]
        while condition is not None:
            if condition is not self.guard:
                stack.append(condition)
            condition = condition.outer
        return tuple(reversed(stack))

    def change_inside(self, start: int, end: int) -> bool:
        """Return whether a condition starts, changes or ends between two offsets."""
        return bisect_right(self.offsets, start) != bisect_right(self.offsets, end - 1)

    def directive_inside(self, start: int, end: int) -> bool:
        """Return whether any directive (`#include` or `#define` too) stands between two offsets."""
        return bisect_right(self.directives, start) != bisect_right(self.directives, end - 1)


def directive_name(token: Token) -> tuple[str, str]:
    """Return a directive's name and the rest of it on one line, without comments."""
    match = _NAME.match(_COMMENT.sub(" ", _CONTINUED.sub("", token.text)))
    if match is None:
        return "", ""
    return match[1], " ".join(match[2].partition("//")[0].split())


@dataclass(slots=True)
class ConditionReader:
    """Takes a file's directives one by one; `take` says what each does to the conditions."""

    text: str
    file: str
    lines: Lines
    offsets: list[int] = field(default_factory=lambda: [-1])
    innermost: list[Condition | None] = field(default_factory=lambda: [None])
    directives: list[int] = field(default_factory=list)
    _depth: int = 0

    def take(self, token: Token) -> str:
        """Return "open", "alternative", "close", or "" for a directive that is no condition."""
        name, rest = directive_name(token)
        self.directives.append(token.start)
        now = self.innermost[-1]
        words = f"#{name} {rest}".strip()
        place = self.lines.place(token.start)
        if name in _OPENING:
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise self._error(token, f"more than {MAX_DEPTH} #if stand inside each other")
            self._change(token, Condition(words, words, place, now))
            return "open"
        if name not in _ALTERNATIVE and name != "endif":
            return ""
        if now is None:
            raise self._error(token, f"#{name} stands here without an #if before it")
        if name == "endif":
            self._depth -= 1
            self._change(token, now.outer)
            return "close"
        if now.directive == "#else":
            raise self._error(token, f"#{name} stands here after the #else in line {now.place.line}")
        self._change(token, Condition(words, now.of, place, now.outer))
        return "alternative"

    def finish(self, tokens: Sequence[Token]) -> Conditions:
        """Return what was read; raises UsageError for a conditional that no #endif closes."""
        last = self.innermost[-1]
        if last is not None:
            raise UsageError(f"{last.place}: {last.of} is not closed with #endif")
        return Conditions(
            tuple(self.offsets), tuple(self.innermost), tuple(self.directives), self._guard(tokens)
        )

    def _change(self, token: Token, condition: Condition | None) -> None:
        self.offsets.append(token.start)
        self.innermost.append(condition)

    def _error(self, token: Token, message: str) -> UsageError:
        return error_at(self.text, self.file, token.start, message)

    def _guard(self, tokens: Sequence[Token]) -> Condition | None:
        """Return the condition `#ifndef X`, `#define X` ... `#endif` around everything, if there is one."""
        telling = [token for token in tokens if token.kind == DIRECTIVE or token.kind not in TRIVIA]
        if len(telling) < 3 or any(token.kind != DIRECTIVE for token in (*telling[:2], telling[-1])):
            return None
        name, macro = directive_name(telling[0])
        defined, what = directive_name(telling[1])
        if (name, defined) != ("ifndef", "define") or what.split()[:1] != [macro]:
            return None
        guard = self.innermost[1]
        changes = list(zip(self.offsets, self.innermost, strict=True))
        others = [now for _, now in changes if now is not None and now.outer is None and now is not guard]
        outside = [offset for offset, now in changes if now is None]
        return None if others or outside != [-1, telling[-1].start] else guard
