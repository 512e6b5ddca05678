"""Macros that are left in a preprocessed text because the headers that define them were passed over.

camkes-tool would refuse such a text. Here one MACRO word takes the place of each, so that the rest of the
application can still be read: of a call used as a statement, and of a value that only the macro would tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bringup.camkes.app.adl.tokens import KEYWORDS, MACRO
from bringup.camkes.text.tokens import WORD, Token

_PAIRS = {"(": ")", "[": "]", "{": "}"}
_VALUE_ENDS = frozenset((",", ";", ":", "]", "}", ")"))
_BLOCKS = frozenset(
    ("assembly", "component", "composition", "configuration", "connector", "group", "procedure")
)
# Where a name alone can only be a macro; in a procedure or struct it is a type.
_BARE = frozenset(("", "assembly", "component", "composition", "configuration", "group"))
_FIRST_IN_VALUE = frozenset(("[", "{", "(", ",", ":"))


def leftover_macros(tokens: Sequence[Token]) -> list[Token]:
    """Return the tokens (trivia taken out) with every leftover macro as one MACRO word."""
    reader = _Reader(tokens)
    reader.run()
    return reader.kept


@dataclass(slots=True)
class _Reader:
    tokens: Sequence[Token]
    kept: list[Token] = field(default_factory=list)
    # Each open brace: the block it opens, and the word of the statement that goes on behind its end, if any.
    blocks: list[tuple[str, str]] = field(default_factory=list)
    index: int = 0

    def run(self) -> None:
        """Go through the statements; `head` is the first word of the one that is open, "" before it."""
        head = ""
        while self.index < len(self.tokens):
            token = self.tokens[self.index]
            if not head and token.kind == WORD and self._statement_macro():
                continue
            self._keep(1)
            if token.kind == "{":
                self.blocks.append(self._block(head))
                head = ""
            elif token.kind == "}":
                head = self.blocks.pop()[1] if self.blocks else ""
            elif token.kind == ";":
                head = ""
            elif token.kind == "=":
                self._value()
            else:
                head = head or token.text

    def _kind(self, index: int) -> str:
        return self.tokens[index].kind if index < len(self.tokens) else ""

    def _keep(self, count: int) -> None:
        self.kept.extend(self.tokens[self.index : self.index + count])
        self.index += count

    def _macro(self, end: int) -> None:
        first, last = self.tokens[self.index], self.tokens[end - 1]
        shown, behind = "", first.start
        for part in self.tokens[self.index : end]:
            shown += f"{' ' if part.start > behind else ''}{part.text}"
            behind = part.end
        self.kept.append(Token(MACRO, first.start, last.end, shown))
        self.index = end

    def _statement_macro(self) -> bool:
        """Take a macro that stands as a statement, with a `;` behind it or not."""
        block = self.blocks[-1][0] if self.blocks else ""
        following = self._kind(self.index + 1)
        if self.tokens[self.index].text in KEYWORDS:
            return False
        if following == "(":
            self._macro(self._behind(self.index + 1))
        elif block in _BARE and following != ".":
            self._macro(self.index + 1)
        else:
            return False
        if self._kind(self.index) == ";":
            self.index += 1
        return True

    def _block(self, head: str) -> tuple[str, str]:
        """Return what a brace opens behind `head`, and the word of the statement that goes on at its end."""
        outer = self.blocks[-1][0] if self.blocks else ""
        if head == "connection":
            return "connector", head
        if head == "component" and outer in ("composition", "group") and self.kept[-2].text == "component":
            return "component", head
        if head in _BLOCKS:
            return head, ""
        return "struct", "attribute" if head != "struct" else ""

    def _behind(self, index: int) -> int:
        """Return the index behind the bracket that closes the one at `index`."""
        depth = 0
        while index < len(self.tokens):
            kind = self.tokens[index].kind
            depth += (kind in _PAIRS) - (kind in _PAIRS.values())
            index += 1
            if depth == 0:
                break
        return index

    def _value(self) -> None:
        """Take everything up to the `;` that ends a value."""
        depth, first = 0, True
        while self.index < len(self.tokens):
            kind = self._kind(self.index)
            if depth <= 0 and kind in (";", "}"):
                return
            if first and kind not in _PAIRS and kind not in _VALUE_ENDS:
                self._element(whole=depth == 0)
                first = False
                continue
            depth += (kind in _PAIRS) - (kind in _PAIRS.values())
            first = kind in _FIRST_IN_VALUE
            self._keep(1)

    def _element(self, *, whole: bool) -> None:
        end = self._element_end()
        if whole and self._is_query():
            self._keep(1)  # its brackets are read like a value's
            return
        words = (token for token in self.tokens[self.index : end] if token.kind == WORD)
        if all(KEYWORDS.get(word.text) == "BOOLEAN" for word in words):
            self._keep(end - self.index)
            return
        self._macro(end)
        if self._kind(end) not in _VALUE_ENDS:
            # The macro brings its own comma.
            self.kept.append(Token(",", self.kept[-1].end, self.kept[-1].end, ","))

    def _is_query(self) -> bool:
        first, second, third = (self._kind(self.index + step) for step in range(3))
        return first == WORD and second == "(" and third in ("{", "[", ")")

    def _element_end(self) -> int:
        index, questions = self.index, 0
        while index < len(self.tokens):
            kind = self.tokens[index].kind
            if kind == "(":
                index = self._behind(index)
                continue
            questions += kind == "?"
            if kind == ":" and questions:
                questions -= 1
            elif kind in _VALUE_ENDS or kind in _PAIRS:
                break
            index += 1
        return max(index, self.index + 1)
