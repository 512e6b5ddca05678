"""A .camkes file as it is written: every byte kept, its settings and blocks found with their spans.

`Document.text` encoded again is the file. `replace` changes spans and nothing else. What the settings amount
to after includes and macros is for `settings.load_application` to say.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from bringup.base.errors import UsageError
from bringup.camkes.model import Place
from bringup.camkes.text.conditions import Condition, Conditions
from bringup.camkes.text.structure import Assignment, Block, read_structure
from bringup.camkes.text.tokens import SPACE, Lines, TextError, Token, error_at, tokenize
from bringup.camkes.text.values import Entry, Node, Span

__all__ = [
    "Assignment",
    "Block",
    "Condition",
    "Document",
    "Entry",
    "Insertion",
    "Node",
    "Span",
    "Token",
    "read_text",
    "replace",
]


@dataclass(frozen=True, slots=True)
class Insertion:
    """Where a new setting can be put: at `offset`, whole lines, each with `indent` before it."""

    offset: int
    indent: str
    block: Block
    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class Document:
    """One file: its text and what was found in it. Offsets count characters of `text`."""

    file: str
    text: str
    tokens: tuple[Token, ...]
    lines: Lines
    conditions: Conditions
    blocks: tuple[Block, ...]
    assignments: tuple[Assignment, ...]

    @cached_property
    def newline(self) -> str:
        """How most of the lines end."""
        windows = self.text.count("\r\n")
        return "\r\n" if windows * 2 > self.text.count("\n") else "\n"

    def place(self, offset: int) -> Place:
        """Return line and column of an offset."""
        return self.lines.place(offset)

    def slice(self, span: Span) -> str:
        """Return the text of a span."""
        return self.text[span.start : span.end]

    def find(self, instance: str, attribute: str) -> tuple[Assignment, ...]:
        """Return the places where an attribute is set in this file, in order."""
        return tuple(found for found in self.assignments if found.key == (instance, attribute))

    def insertions(self) -> tuple[Insertion, ...]:
        """Return the end of every configuration block, in order."""
        return tuple(self._insertion(block) for block in self.blocks if block.kind == "configuration")

    def token_at(self, offset: int) -> Token | None:
        """Return the token that holds the character at an offset, None at the end of the text."""
        index = bisect_right(self._starts, offset) - 1
        return self.tokens[index] if index >= 0 and offset < self.tokens[index].end else None

    @cached_property
    def _starts(self) -> list[int]:
        return [token.start for token in self.tokens]

    def _insertion(self, block: Block) -> Insertion:
        """Before the line of the closing brace, or before the brace where more stands on its line."""
        brace = block.body.end
        line = max(self.lines.start(brace), block.body.start)
        alone = self.text[line:brace].strip(" \t") == "" and line == self.lines.start(brace)
        inside = [setting for setting in self.assignments if setting.block is block]
        near = inside[-1].span.start if inside else block.span.start
        start = self.lines.start(near)
        indent = self.text[start:near][: -len(self.text[start:near].lstrip(" \t")) or None]
        if not inside:
            indent += "    "
        return Insertion(line if alone else brace, indent, block, self.conditions.at(brace))

    def encode(self, text: str | None = None) -> bytes:
        """Return the bytes of this file, or of a text made from it."""
        return (self.text if text is None else text).encode("utf-8", "surrogateescape")


def read_text(data: bytes | str, file: str) -> Document:
    """Read the content of a .camkes file; `file` is how it is named to people.

    Bytes that are no UTF-8 are kept as they are. Raises UsageError naming FILE:LINE:COLUMN and showing the
    line for what cannot be a .camkes file: strings, comments, brackets, conditions or settings left open.
    """
    text = data.decode("utf-8", "surrogateescape") if isinstance(data, bytes) else data
    try:
        tokens = tokenize(text)
    except TextError as error:
        raise error_at(text, file, error.offset, str(error)) from None
    lines = Lines(text, file)
    conditions, blocks, assignments = read_structure(text, file, tokens, lines)
    return Document(file, text, tuple(tokens), lines, conditions, blocks, assignments)


def replace(document: Document, changes: Sequence[tuple[Span, str]]) -> str:
    """Return the text with each span replaced; an empty span inserts.

    Raises ValueError where that would touch more than the spans: spans that overlap or cut through a token,
    comment or directive, and new text that is not whole tokens or runs into what stands beside it.
    """
    ordered = sorted(changes, key=lambda change: change[0])
    _check_spans(document, [span for span, _ in ordered])
    pieces, position = [], 0
    for span, text in ordered:
        pieces += [document.text[position : span.start], text]
        position = span.end
    result = "".join([*pieces, document.text[position:]])
    _check_result(document, ordered, result)
    return result


def _check_spans(document: Document, spans: Sequence[Span]) -> None:
    previous = Span(0, 0)
    for number, span in enumerate(spans):
        if not previous.end <= span.start <= span.end <= len(document.text):
            raise ValueError(f"{span} overlaps another change or reaches out of the text")
        if number and span == previous:
            raise ValueError(f"two changes are to be made at {span}")
        previous = span
        for edge in span:
            token = document.token_at(edge)
            if token is not None and token.start < edge and token.kind != SPACE:
                raise ValueError(f"offset {edge} lies inside {token.text!r}")


def _check_result(document: Document, changes: Sequence[tuple[Span, str]], result: str) -> None:
    """Read the new text, and see that outside the changes it has the tokens it had, at their places."""
    try:
        new = read_text(result, document.file)
    except UsageError as error:
        raise ValueError(f"the text would not be a .camkes file any more: {error.message}") from error
    written = {(token.start, token.kind, token.text) for token in new.tokens if token.kind != SPACE}
    made: list[Span] = []
    shift = 0
    position = iter(document.tokens)
    token = next(position, None)
    for span, text in changes:
        while token is not None and token.start < span.start:
            _take(written, token, shift)
            token = next(position, None)
        while token is not None and token.end <= span.end:
            token = next(position, None)
        made.append(Span(span.start + shift, span.start + shift + len(text)))
        shift += len(text) - (span.end - span.start)
    while token is not None:
        _take(written, token, shift)
        token = next(position, None)
    for start, _, text in written:
        if not any(part.start <= start and start + len(text) <= part.end for part in made):
            raise ValueError(f"the new text runs into what stands beside it: {text!r}")


def _take(written: set[tuple[int, str, str]], token: Token, shift: int) -> None:
    if token.kind == SPACE:
        return
    try:
        written.remove((token.start + shift, token.kind, token.text))
    except KeyError:
        raise ValueError(f"the new text runs into {token.text!r} beside it") from None
