"""Macros that are left in a preprocessed text because the headers that define them were passed over.

camkes-tool would refuse such a text. Here one MACRO word takes the place of each, so that the rest of the
application can still be read: of a call used as a statement, and of what only the macro would tell: a value,
the size of a dataport, a number of threads or the ends of a connection. A call where a name belongs is a
name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bringup.camkes.app.adl.tokens import KEYWORDS, MACRO
from bringup.camkes.text.tokens import NUMBER, STRING, WORD, TextError, Token

_PAIRS = {"(": ")", "[": "]", "{": "}"}
_VALUE_ENDS = frozenset((",", ";", ":", "]", "}", ")"))
_BLOCKS = frozenset(
    ("assembly", "component", "composition", "configuration", "connector", "group", "procedure")
)
# Where a name alone can only be a macro; in a procedure or struct it is a type.
_BARE = frozenset(("", "assembly", "component", "composition", "configuration", "group"))
_FIRST_IN_VALUE = frozenset(("[", "{", "(", ",", ":"))
_SET = frozenset(("=", "<-"))
# What a connector's end says, and the words that end it.
_OF_AN_END = {"with": ("thread", "threads"), "template": ("with",)}
_LITERALS = frozenset((NUMBER, STRING, "]", "}"))


def leftover_macros(tokens: Sequence[Token]) -> list[Token]:
    """Return the tokens (trivia taken out) with every leftover macro as one MACRO word.

    Raises TextError where a value runs into the next setting, because its `;` is missing.
    """
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
            if head and token.kind == WORD and self._name(head):
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
            elif token.kind == "(" and head == "connection":
                self._ends()
            elif token.kind == "(" and head in ("dataport", "maybe"):
                self._expression(self._behind(self.index - 1) - 1)
            elif token.text in _OF_AN_END and head in ("from", "to"):
                self._expression(self._before(_OF_AN_END[token.text]))
            else:
                head = head or token.text

    def _kind(self, index: int) -> str:
        return self.tokens[index].kind if index < len(self.tokens) else ""

    def _keep(self, count: int) -> None:
        self.kept.extend(self.tokens[self.index : self.index + count])
        self.index += count

    def _macro(self, end: int, kind: str = MACRO) -> None:
        first, last = self.tokens[self.index], self.tokens[end - 1]
        shown, behind = "", first.start
        for part in self.tokens[self.index : end]:
            shown += f"{' ' if part.start > behind else ''}{part.text}"
            behind = part.end
        self.kept.append(Token(kind, first.start, last.end, shown))
        self.index = end

    def _statement_macro(self) -> bool:
        """Take a macro that stands as a statement, with a `;` behind it or not."""
        block = self.blocks[-1][0] if self.blocks else ""
        following = self._kind(self.index + 1)
        if self.tokens[self.index].text in KEYWORDS:
            return False
        if following == "(" and self._kind(self._behind(self.index + 1)) == ".":
            return self._name("")
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

    def _name(self, head: str) -> bool:
        """Take a call where a name belongs; the ends of a connection are no arguments."""
        block = self.blocks[-1][0] if self.blocks else ""
        if self._kind(self.index + 1) != "(" or self.tokens[self.index].text in KEYWORDS:
            return False
        end = self._behind(self.index + 1)
        if block == "procedure" or (head == "connection" and self._kind(end) not in ("(", WORD)):
            return False
        self._macro(end, WORD)
        return True

    def _ends(self) -> None:
        """Take the ends of a connection up to the `)`; a macro may be one, several, or a name."""
        while self._kind(self.index) not in (")", ";", ""):
            if self._kind(self.index) != WORD:
                self._keep(1)
                continue
            if self.tokens[self.index].text in ("from", "to"):
                self._keep(1)
                self._end()
            else:
                self._macro(self._behind_reference())
            if self._kind(self.index) == WORD:
                self._comma()  # the macro brings its own

    def _end(self) -> None:
        """Take what an end is called, parts of which may be calls; a call alone is the whole end."""
        end = self._behind_reference()
        if end == self._behind_part(self.index) > self.index + 1:
            self._macro(end)
        while self.index < end:
            part = self._behind_part(self.index)
            if part > self.index + 1:
                self._macro(part, WORD)
            else:
                self._keep(1)

    def _behind_part(self, index: int) -> int:
        """Return the index behind a name or a call that stands for one."""
        return self._behind(index + 1) if self._kind(index + 1) == "(" else index + 1

    def _behind_reference(self) -> int:
        end = self.index
        while self._kind(end) == WORD:
            end = self._behind_part(end)
            if self._kind(end) != ".":
                break
            end += 1
        return end

    def _before(self, words: tuple[str, ...]) -> int:
        """Return the index of the next of `words` in this statement, or where the statement ends."""
        index = self.index
        while self._kind(index) not in (";", "{", "}", "") and self.tokens[index].text not in words:
            index += 1
        return index

    def _expression(self, end: int) -> None:
        """Take an expression up to `end`, as a macro where it has a name in it."""
        if end > self.index and self._has_names(end):
            self._macro(end)
        else:
            self._keep(max(end - self.index, 0))

    def _has_names(self, end: int) -> bool:
        words = (token for token in self.tokens[self.index : end] if token.kind == WORD)
        return not all(KEYWORDS.get(word.text) == "BOOLEAN" for word in words)

    def _comma(self) -> None:
        self.kept.append(Token(",", self.kept[-1].end, self.kept[-1].end, ","))

    def _value(self) -> None:
        """Take everything up to the `;` that ends a value."""
        depth, first = 0, True
        while self.index < len(self.tokens):
            kind = self._kind(self.index)
            if depth <= 0 and kind in (";", "}"):
                return
            if first and (kind == "(" or kind not in _PAIRS) and kind not in _VALUE_ENDS:
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
        if whole and (next_setting := self._next_setting(end)):
            self._expression(next_setting)
            self.kept.append(Token(";", self.kept[-1].end, self.kept[-1].end, ";"))
            return
        if not self._has_names(end):
            self._keep(end - self.index)
            return
        self._macro(end)
        if self._kind(end) not in _VALUE_ENDS:
            self._comma()  # the macro brings its own

    def _next_setting(self, end: int) -> int | None:
        """Return where the next setting begins before `end`: a macro may bring the `;` of its value along."""
        index = next((i for i in range(self.index, end) if self._kind(i) in _SET), None)
        if index is None or index - 3 <= self.index:
            return None
        last = self.tokens[index - 4]
        if last.kind in _LITERALS or not self._has_names(index - 3):
            raise TextError(f"a ; is missing behind {last.text}", last.end - 1)
        return index - 3

    def _is_query(self) -> bool:
        first, second, third = (self._kind(self.index + step) for step in range(3))
        return first == WORD and second == "(" and third in ("{", "[", ")")

    def _element_end(self) -> int:
        index, questions = self.index, 0
        while index < len(self.tokens):
            kind = self.tokens[index].kind
            if kind == "(":
                index = self._behind(index)
                if self._kind(index) == "[":
                    index = self._behind(index)  # the look-up of a query
                continue
            questions += kind == "?"
            if kind == ":" and questions:
                questions -= 1
            elif kind in _VALUE_ENDS or kind in _PAIRS:
                break
            index += 1
        return max(index, self.index + 1)
