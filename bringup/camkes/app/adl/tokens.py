"""The words of a preprocessed .camkes text, as the grammar in grammar.lark calls them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lark import Token as LarkToken
from lark.lexer import Lexer

from bringup.camkes.text.tokens import ANGLE, MAX_DEPTH, NUMBER, STRAY, STRING, TRIVIA, WORD, TextError, Token

MACRO = "MACRO"
# A large application has 10 000; parsing takes 10 microseconds each.
MAX_WORDS = 400_000

# fmt: off
_PLAIN_KEYWORDS = (
    "assembly", "attribute", "component", "composition", "configuration", "connection", "connector",
    "consumes", "control", "dataport", "emits", "export", "from", "group", "hardware", "has", "import",
    "include", "maybe", "mutex", "procedure", "provides", "semaphore", "struct", "template", "thread",
    "threads", "to", "uses", "void", "with",
)
# fmt: on
KEYWORDS = {word: f"_{word.upper()}" for word in _PLAIN_KEYWORDS} | {
    "Buf": "BUF",
    "binary_semaphore": "_SEMAPHORE",
    "char": "CHAR",
    "int": "INT",
    "integer": "INT",
    "string": "TEXT",
}
KEYWORDS |= dict.fromkeys(("signed", "unsigned"), "SIGN")
KEYWORDS |= dict.fromkeys(("in", "inout", "out", "refin"), "DIRECTION")
KEYWORDS |= dict.fromkeys(("true", "True", "false", "False"), "BOOLEAN")
KEYWORDS |= dict.fromkeys(("Dataport", "Event", "Procedure", "Dataports", "Events", "Procedures"), "END_TYPE")

_SIGNS = {
    "{": "_OPEN",
    "}": "_CLOSE",
    "[": "_LSQB",
    "]": "_RSQB",
    "(": "_LPAR",
    ")": "_RPAR",
    ";": "_SEMICOLON",
    ",": "_COMMA",
    ".": "_DOT",
    ":": "_COLON",
    "?": "_QUESTION",
    "=": "_EQUALS",
    "<-": "_ARROW",
    "->": "_MINUS_ARROW",
}
_OPERATORS = ("<<", ">>", "<=", ">=", "<", ">", "**", "*", "/", "%", "+", "-", "&&", "||", "&", "|", "^")
_SIGNS |= dict.fromkeys((*_OPERATORS, "==", "!=", "!", "~"), "OPERATOR")
_PLAIN = {NUMBER: "NUMBER", STRING: "STRING", ANGLE: "ANGLE", MACRO: MACRO}

TERMINALS = tuple(sorted({*KEYWORDS.values(), *_SIGNS.values(), *_PLAIN.values(), "ID"}))

# How the words are called to people, where a terminal stands for more than one sign.
SHOWN = {name: f"'{word}'" for word, name in (*KEYWORDS.items(), *_SIGNS.items())} | {
    "ID": "a name",
    "NUMBER": "a number",
    "STRING": "a string",
    "OPERATOR": "an operator",
    "BOOLEAN": "true or false",
    "END_TYPE": "Procedure, Event or Dataport",
}

_OPENING = frozenset("{[(")
_CLOSING = frozenset("}])")
_BLOCKS = frozenset(
    ("assembly", "component", "composition", "configuration", "group", "connector", "procedure")
)


class TokenLexer(Lexer):
    """Hands the grammar the tokens it is given, under the names it knows."""

    def __init__(self, lexer_conf: object) -> None:
        del lexer_conf

    def lex(self, data: Sequence[Token]) -> Iterator[LarkToken]:  # type: ignore[override]
        """Yield `data` as lark's tokens."""
        for token in data:
            kind = token.kind
            name = KEYWORDS.get(token.text, "ID") if kind == WORD else _SIGNS.get(kind) or _PLAIN[kind]
            yield LarkToken(name, token.text, token.start, end_pos=token.end)


def telling(tokens: Sequence[Token]) -> list[Token]:
    """Return the tokens that are no trivia; raises TextError for signs the language has not."""
    kept: list[Token] = []
    depth = 0
    for token in tokens:
        if token.kind in TRIVIA:
            continue
        if token.kind in _OPENING:
            depth += 1
            if depth > MAX_DEPTH:
                raise TextError(f"more than {MAX_DEPTH} brackets are open here", token.start)
        elif token.kind in _CLOSING:
            depth -= 1
        elif token.kind == STRAY:
            quote = ': strings are written with "' if token.text == "'" else ""
            raise TextError(f"{token.text!r} has no meaning here{quote}", token.start)
        kept.append(token)
        if len(kept) > MAX_WORDS:
            raise TextError(f"more than {MAX_WORDS} words and signs are no CAmkES application", token.start)
    return kept


def without_schedules(words: Sequence[Token]) -> list[Token]:
    """Return the words without the blocks `schedule NAME { ... }` of forks with domains: they set nothing."""
    if not any(word.text == "schedule" for word in words):
        return list(words)
    kept: list[Token] = []
    position = 0
    while position < len(words):
        begins = not kept or kept[-1].kind in (";", "{", "}")
        if begins and words[position].text == "schedule" and (end := _behind_block(words, position + 1)):
            position = end
        else:
            kept.append(words[position])
            position += 1
    return kept


def _behind_block(words: Sequence[Token], position: int) -> int:
    """Return the index behind a block, with or without a name, that starts there; 0 where none does."""
    if position < len(words) and words[position].kind == WORD:
        position += 1
    if position >= len(words) or words[position].kind != "{":
        return 0
    depth = 0
    while position < len(words):
        depth += (words[position].kind == "{") - (words[position].kind == "}")
        position += 1
        if depth == 0:
            return position
    return 0
