"""The value of a setting as it is written: lists, dicts and what stands in them, each with its span."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from bringup.camkes.text.tokens import NUMBER, STRING, WORD, Token

NodeKind = Literal["list", "dict", "string", "number", "name", "call", "expression"]


class Span(NamedTuple):
    """The part of a text from `start` up to `end`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One `key: value` of a dict; `key` is None where it is not a plain string or number."""

    key: str | None
    span: Span
    value: Node


@dataclass(frozen=True, slots=True)
class Node:
    """One value as written.

    A "name" is a macro (or true/false), a "call" a macro with arguments or a query, an "expression" anything
    else that only the preprocessor or arithmetic makes a value of. `items` are a list's elements, `entries`
    a dict's; a macro may stand among both.
    """

    kind: NodeKind
    span: Span
    items: tuple[Node, ...] = ()
    entries: tuple[Entry, ...] = ()

    def entry(self, key: str) -> Entry | None:
        """Return the entry of a dict by its key, None where there is none."""
        return next((entry for entry in self.entries if entry.key == key), None)

    def walk(self) -> Iterator[Node]:
        """Yield this node and all nodes inside it."""
        rest = [self]
        while rest:
            node = rest.pop()
            yield node
            rest.extend(entry.value for entry in node.entries)
            rest.extend(node.items)


@dataclass(frozen=True, slots=True)
class Brackets:
    """The tokens that say something, and for each bracket that opens the index behind the one that closes it.

    `uneven` are those that preprocessor conditions leave without one: their part ends where the branch does.
    """

    tokens: tuple[Token, ...]
    after: tuple[int, ...]
    uneven: frozenset[int]

    def span(self, first: int, last: int) -> Span:
        """Return the span of the tokens from `first` up to, not including, `last`."""
        return Span(self.tokens[first].start, self.tokens[last - 1].end)

    def step(self, index: int) -> int:
        """Return the index behind a token, or behind the whole bracket that it opens."""
        return self.after[index] or index + 1


def read_value(brackets: Brackets, first: int, last: int) -> Node:
    """Return the value that the tokens from `first` up to `last` (at least one) write.

    Goes one call deeper per bracket; the brackets' depth has been limited before.
    """
    tokens, span = brackets.tokens, brackets.span(first, last)
    head = tokens[first]
    if brackets.after[first] == last and first not in brackets.uneven:
        parts = _parts(brackets, first + 1, last - 1)
        if head.kind == "[":
            return Node("list", span, items=tuple(read_value(brackets, a, b) for a, b in parts))
        if head.kind == "{":
            return _dict(brackets, span, parts)
    if last - first == 1 and head.kind in (NUMBER, WORD):
        return Node("number" if head.kind == NUMBER else "name", span)
    if head.kind == STRING and all(token.kind == STRING for token in tokens[first:last]):
        return Node("string", span)
    if head.kind == WORD and tokens[first + 1].kind == "(" and brackets.after[first + 1] == last:
        return Node("call", span)
    return Node("expression", span)


def _parts(brackets: Brackets, first: int, last: int) -> list[tuple[int, int]]:
    """Cut at the commas that stand in no inner bracket; empty parts (a trailing comma) are left out."""
    parts, start, index = [], first, first
    while index < last:
        if brackets.tokens[index].kind == ",":
            parts.append((start, index))
            start = index + 1
        index = brackets.step(index)
    parts.append((start, min(index, last)))
    return [(a, b) for a, b in parts if a < b]


def _dict(brackets: Brackets, span: Span, parts: Sequence[tuple[int, int]]) -> Node:
    entries, macros = [], []
    for first, last in parts:
        index = first
        while index < last and brackets.tokens[index].kind != ":":
            index = brackets.step(index)
        if not first < index < last - 1:
            macros.append(read_value(brackets, first, last))
            continue
        value = read_value(brackets, index + 1, last)
        entries.append(Entry(_key(brackets.tokens[first:index]), brackets.span(first, last), value))
    return Node("dict", span, items=tuple(macros), entries=tuple(entries))


def _key(tokens: Sequence[Token]) -> str | None:
    if all(token.kind == STRING for token in tokens):
        return "".join(token.text[1:-1] for token in tokens)
    return tokens[0].text if len(tokens) == 1 and tokens[0].kind == NUMBER else None
