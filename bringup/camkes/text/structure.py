"""From tokens to blocks and settings, in a file as it is written, before the preprocessor has seen it.

What macros make of a file is not known here, so this reads no more than it must: which brackets belong
together, which blocks they are, and every `instance.attribute = value;`. Grammar: seL4/camkes-tool
camkes/parser/camkes.g.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from bringup.base.errors import UsageError
from bringup.camkes.model import Place
from bringup.camkes.text.conditions import Condition, ConditionReader, Conditions
from bringup.camkes.text.tokens import DIRECTIVE, MAX_DEPTH, TRIVIA, WORD, Lines, Token, error_at
from bringup.camkes.text.values import Brackets, Node, Span, read_value

BlockKind = Literal["assembly", "component", "composition", "configuration", "group"]

_CLOSERS = {"{": "}", "[": "]", "(": ")"}
_OPENERS = {closer: opener for opener, closer in _CLOSERS.items()}
_ENTERED = frozenset(("assembly", "component", "composition", "configuration", "group"))
_PASSED_OVER = frozenset(("connector", "procedure", "struct"))
# Statements that begin with one of these end with a `;`.
# fmt: off
_STATEMENTS = frozenset((
    "attribute", "connection", "consumes", "control", "dataport", "emits", "export", "hardware", "has",
    "import", "include", "maybe", "provides", "uses",
))
# fmt: on
_SET = frozenset(("=", "<-"))


@dataclass(frozen=True, slots=True)
class Block:
    """One `kind name { ... }`; `body` is what stands between its braces."""

    kind: BlockKind
    name: str | None
    span: Span
    body: Span
    place: Place
    parent: Block | None = None

    @property
    def holder(self) -> Block | None:
        """The assembly or component this block belongs to, None for one that stands free."""
        block: Block | None = self
        while block is not None and block.kind not in ("assembly", "component"):
            block = block.parent
        return block


@dataclass(frozen=True, slots=True)
class Assignment:
    """One setting as written. `span` reaches from the instance's name to behind the `;`.

    `conditions` stand over it, the outermost first; `condition_inside` says that one starts, changes or ends
    within it, `directive_inside` that any directive stands there. `block` is None in a piece of a file
    that others include inside a configuration.
    """

    instance: str
    attribute: str
    operator: Literal["=", "<-"]
    span: Span
    value: Node
    place: Place
    block: Block | None
    conditions: tuple[Condition, ...]
    condition_inside: bool
    directive_inside: bool

    @property
    def key(self) -> tuple[str, str]:
        """Instance and attribute."""
        return self.instance, self.attribute

    @property
    def where(self) -> Literal["assembly", "component", "free", "piece"]:
        """Whose configuration it stands in; a "free" one is applied only where an assembly refers to it."""
        if self.block is None:
            return "piece"
        holder = self.block.holder
        if holder is None:
            return "free"
        return "assembly" if holder.kind == "assembly" else "component"


class Structure(NamedTuple):
    """What stands in one file."""

    conditions: Conditions
    blocks: tuple[Block, ...]
    assignments: tuple[Assignment, ...]


def read_structure(text: str, file: str, tokens: Sequence[Token], lines: Lines) -> Structure:
    """Find blocks and settings; raises UsageError where brackets, conditions or settings are not closed."""
    brackets, conditions = _match_brackets(text, file, tokens, lines)
    scan = _Scan(text, file, brackets, conditions, lines)
    scan.run()
    return Structure(conditions, tuple(scan.blocks), tuple(scan.assignments))


class _Open(NamedTuple):
    token: int
    outer: _Open | None
    depth: int


def _match_brackets(
    text: str, file: str, tokens: Sequence[Token], lines: Lines
) -> tuple[Brackets, Conditions]:
    """Match brackets, every branch of a conditional starting from what was open before its #if.

    A bracket that closes nothing is let pass under a condition: another one may hold what it closes.
    """
    telling: list[Token] = []
    after: list[int] = []
    uneven: set[int] = set()
    reader = ConditionReader(text, file, lines)
    top: _Open | None = None
    before_if: list[_Open | None] = []
    stray: UsageError | None = None
    stray_at = 0

    def abandon(kept: _Open | None) -> None:
        left, depth = top, kept.depth if kept else 0
        while left is not None and left.depth > depth:
            after[left.token] = len(telling)
            uneven.add(left.token)
            left = left.outer

    for token in tokens:
        kind = token.kind
        if kind in TRIVIA:
            if kind == DIRECTIVE:
                effect = reader.take(token)
                if effect == "open":
                    before_if.append(top)
                elif effect == "alternative":
                    abandon(before_if[-1])
                    top = before_if[-1]
                elif effect == "close":
                    before_if.pop()
            continue
        index = len(telling)
        telling.append(token)
        after.append(0)
        if kind in _CLOSERS:
            top = _Open(index, top, top.depth + 1 if top else 1)
            if top.depth > MAX_DEPTH:
                raise error_at(text, file, token.start, f"more than {MAX_DEPTH} brackets are open here")
        elif kind in _OPENERS:
            if top is None or telling[top.token].kind != _OPENERS[kind]:
                error = _mismatch(text, file, token, None if top is None else telling[top.token], lines)
                if reader.innermost[-1] is None:
                    raise error
                if stray is None:
                    stray, stray_at = error, token.start
                continue
            after[top.token] = index + 1
            uneven.discard(top.token)
            top = top.outer
    conditions = reader.finish(tokens)
    if stray is not None and not conditions.at(stray_at):
        raise stray
    while top is not None:
        opener = telling[top.token]
        if not conditions.at(opener.start):
            wanted = _CLOSERS[opener.kind]
            raise error_at(text, file, opener.start, f"'{opener.kind}' is not closed with '{wanted}'")
        after[top.token] = len(telling)
        uneven.add(top.token)
        top = top.outer
    return Brackets(tuple(telling), tuple(after), frozenset(uneven)), conditions


def _mismatch(text: str, file: str, closer: Token, opener: Token | None, lines: Lines) -> UsageError:
    if opener is None:
        return error_at(text, file, closer.start, f"'{closer.kind}' closes nothing")
    line = lines.place(opener.start).line
    still = f"'{closer.kind}' stands here while the '{opener.kind}' of line {line} is open"
    return error_at(text, file, closer.start, still)


@dataclass(slots=True)
class _Scan:
    text: str
    file: str
    brackets: Brackets
    conditions: Conditions
    lines: Lines
    blocks: list[Block] = field(default_factory=list)
    assignments: list[Assignment] = field(default_factory=list)

    def run(self) -> None:
        """Walk over the statements of all blocks, without recursion."""
        tokens = self.brackets.tokens
        open_blocks: list[tuple[int, Block]] = []
        index = 0
        while index < len(tokens):
            while open_blocks and index >= open_blocks[-1][0]:
                open_blocks.pop()
            end, block = open_blocks[-1] if open_blocks else (len(tokens), None)
            token = tokens[index]
            if token.kind != WORD:
                index = self.brackets.step(index)
            elif token.text in _ENTERED or token.text in _PASSED_OVER:
                brace = self._brace(index)
                if brace is None:
                    index = self._statement_end(index, end)
                    continue
                if token.text in _PASSED_OVER:
                    index = self.brackets.step(brace)
                    continue
                entered = self._block(index, brace, block)
                self.blocks.append(entered)
                open_blocks.append((min(self.brackets.after[brace], end), entered))
                index = brace + 1
            elif token.text in _STATEMENTS:
                index = self._statement_end(index, end)
            elif self._is_setting(index):
                index = self._setting(index, end, block)
            else:
                # A macro, with or without arguments: what it stands for ends with it.
                called = index + 1 < len(tokens) and tokens[index + 1].kind == "("
                index = self.brackets.step(index + 1) if called else index + 1

    def _brace(self, index: int) -> int | None:
        """Return the index of the `{` behind `keyword` or `keyword name`; a macro's call may be the name."""
        tokens = self.brackets.tokens
        called = index + 2 < len(tokens) and tokens[index + 2].kind == "("
        for brace in (index + 1, self.brackets.step(index + 2) if called else index + 2):
            if brace < len(tokens) and tokens[brace].kind == "{":
                return brace
        return None

    def _block(self, index: int, brace: int, parent: Block | None) -> Block:
        tokens, behind = self.brackets.tokens, self.brackets.after[brace]
        even = brace not in self.brackets.uneven
        body_end = tokens[behind - 1].start if even else tokens[behind - 1].end
        return Block(
            kind=tokens[index].text,  # type: ignore[arg-type]  # one of _ENTERED
            name=tokens[index + 1].text if brace > index + 1 else None,
            span=Span(tokens[index].start, tokens[behind - 1].end),
            body=Span(tokens[brace].end, body_end),
            place=self.lines.place(tokens[index].start),
            parent=parent,
        )

    def _statement_end(self, index: int, end: int) -> int:
        tokens = self.brackets.tokens
        while index < end:
            if tokens[index].kind == ";":
                return index + 1
            index = self.brackets.step(index)
        return max(index, end)

    def _is_setting(self, index: int) -> bool:
        tokens = self.brackets.tokens[index : index + 4]
        return (
            len(tokens) == 4 and tokens[1].kind == "." and tokens[2].kind == WORD and tokens[3].kind in _SET
        )

    def _setting(self, index: int, end: int, block: Block | None) -> int:
        """Take the setting that starts at `index`; return the index behind it."""
        tokens = self.brackets.tokens
        first = behind = index + 4
        while behind < end and tokens[behind].kind not in (";", *_SET, *_OPENERS):
            behind = min(self.brackets.step(behind), end)
        closed = behind < end and tokens[behind].kind == ";"
        if not closed and behind < end and tokens[behind].kind in _SET:
            behind = max(first, behind - 3)
        name = f"{tokens[index].text}.{tokens[index + 2].text}"
        if behind == first:
            raise self._error(tokens[first - 1], f"{name} is given no value")
        span = self.brackets.span(index, behind + 1 if closed else behind)
        # One that a branch's end leaves open goes on in another branch.
        reach = span.end if closed or behind >= len(tokens) else tokens[behind].end
        changes = self.conditions.change_inside(span.start, reach)
        if not closed and not changes and tokens[behind - 1].kind not in (WORD, ")"):
            raise self._error(tokens[behind - 1], f"{name} is not closed with ';' after this")
        self.assignments.append(
            Assignment(
                instance=tokens[index].text,
                attribute=tokens[index + 2].text,
                operator=tokens[index + 3].kind,  # type: ignore[arg-type]  # one of _SET
                span=span,
                value=read_value(self.brackets, first, behind),
                place=self.lines.place(tokens[index].start),
                block=block,
                conditions=self.conditions.at(tokens[index].start),
                condition_inside=changes,
                directive_inside=self.conditions.directive_inside(*span),
            )
        )
        return behind + 1 if closed else behind

    def _error(self, token: Token, message: str) -> UsageError:
        return error_at(self.text, self.file, token.start, message)
