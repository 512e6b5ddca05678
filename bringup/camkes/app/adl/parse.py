"""A preprocessed .camkes text as declarations: the grammar of grammar.lark, and what its rules amount to.

Procedures, structs and connectors are read, so that mistakes in them are told, and let go.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple, NoReturn, TypeVar

from lark import Lark, Transformer, UnexpectedToken
from lark import Token as Word

from bringup.base.errors import LabError
from bringup.base.paths import cache_dir
from bringup.camkes.app.adl.declarations import (
    AttributeDecl,
    ComponentDecl,
    CompositionDecl,
    ConfigurationDecl,
    ConnectionDecl,
    Declaration,
    ImportDecl,
    InstanceDecl,
    Reference,
    SettingDecl,
)
from bringup.camkes.app.adl.tokens import MACRO, SHOWN, TERMINALS, TokenLexer, telling, without_schedules
from bringup.camkes.app.adl.unexpanded import leftover_macros
from bringup.camkes.app.expressions import ExpressionError, Number, choose, evaluate, read_number
from bringup.camkes.model import Unevaluated, Value
from bringup.camkes.text.tokens import NUMBER, WORD, TextError, Token, shown_line

Kind = TypeVar("Kind")

_GRAMMAR = Path(__file__).with_name("grammar.lark")
# A longer list of what could stand there helps nobody.
_EXPECTED_SHOWN = 4
_SETTINGS = tuple([WORD, ".", WORD, sign] for sign in ("=", "<-"))


def parse(tokens: Sequence[Token], *, macros: bool = False) -> list[Declaration]:
    """Return the declarations of a preprocessed text in order; `macros` lets leftover macros pass.

    Raises TextError.
    """
    words: list[Token] = []
    try:
        words = without_schedules(telling(tokens))
        if macros:
            words = leftover_macros(words)
        result = _parser().parse(words)
    except UnexpectedToken as error:
        raise _unexpected(error, words) from None
    return result  # type: ignore[return-value]  # what _Declarations.start returned


@cache
def _parser() -> Lark:
    """Build the parser, only when a file is parsed; its tables take 50 ms, so lark keeps them in the cache.

    They are taken from there only where grammar and versions are the same (lark's own check).
    """
    grammar = f"{_GRAMMAR.read_text(encoding='utf-8')}\n%declare {' '.join(TERMINALS)}\n"
    transformer = _Declarations()
    return Lark(grammar, parser="lalr", lexer=TokenLexer, transformer=transformer, cache=_kept_tables())


def _kept_tables() -> str | bool:
    """Return where the tables are kept, False where the user has no folder for that."""
    try:
        return str(cache_dir() / "camkes-grammar.tables")
    except LabError:
        return False


def _unexpected(error: UnexpectedToken, words: Sequence[Token]) -> TextError:
    wanted = sorted({SHOWN.get(name, name) for name in error.expected if name not in ("$END", MACRO)})
    expected = f", expected {' or '.join(wanted)}" if 0 < len(wanted) <= _EXPECTED_SHOWN else ""
    if error.token.type == "$END":
        return TextError(f"the file ends inside a declaration{expected}", words[-1].start if words else 0)
    here = error.token.start_pos or 0
    index = bisect_left(words, here, key=lambda word: word.start)
    last = words[index - 1] if index else None
    if error.token.type == "ID" and last is not None and last.kind == NUMBER and last.end == here:
        return TextError(f"{last.text}{error.token} is no number: those are 16, 0x10 and 1.5", last.start)
    sets = [word.kind for word in words[index : index + 4]] in _SETTINGS
    if error.token.type == "ID" and "NUMBER" in error.expected and not sets:
        return _no_value(str(error.token), here)
    if last is not None and "_SEMICOLON" in error.expected and _ends_statement(words, index):
        return TextError(f"a ; is missing behind {shown_line(last.text)}", last.end - 1)
    if wanted == ["'('"] and last is not None and last.kind == WORD:
        return _no_value(last.text, last.start)
    found = shown_line(str(error.token).replace("\n", " "))
    return TextError(f"'{found}' cannot stand here{expected}", here)


def _ends_statement(words: Sequence[Token], index: int) -> bool:
    """Whether a statement could end before the word at `index`: another begins there, and no list is open."""
    if index < len(words) and words[index].kind not in (WORD, "}"):
        return False
    depth = 0
    for position in range(index - 1, -1, -1):
        kind = words[position].kind
        if kind in ("}", "]", ")"):
            depth += 1
        elif kind in ("{", "[", "("):
            depth -= 1
            if depth < 0:
                # Values are opened behind one of these, blocks behind a word.
                return kind == "{" and words[position - 1].kind not in ("=", ",", ":", "[", "(")
        elif kind == ";" and depth == 0:
            return True
    return True


def _no_value(name: str, offset: int) -> TextError:
    return TextError(f"{name} has no value here: it is neither a value nor a known macro", offset)


class _Item(NamedTuple):
    """A value and where it starts; for a list also where its elements do."""

    value: Value
    offset: int
    offsets: tuple[int, ...] = ()


class _Pair(NamedTuple):
    """A dict's entry; without a key where a macro stands for entries."""

    key: str | int | None
    value: Value


class _Operand(NamedTuple):
    value: Number
    offset: int


class _Array(NamedTuple):
    """The `[]` of an attribute."""


class _Type(NamedTuple):
    name: str


class _Interface(NamedTuple):
    name: str


def _all(kind: type[Kind], children: Sequence[object]) -> tuple[Kind, ...]:
    return tuple(child for child in children if isinstance(child, kind))


def _name(children: Sequence[object]) -> str | None:
    """Return the name that follows a keyword, if there is one."""
    first = children[0] if children else None
    return str(first) if isinstance(first, Word) and first.type != MACRO else None


def _macros(children: Sequence[object]) -> tuple[Reference, ...]:
    """Return the macros that are left over among what a block holds."""
    words = (child for child in children if isinstance(child, Word) and child.type == MACRO)
    return tuple(Reference(str(word), _offset(word)) for word in words)


def _fail(error: ExpressionError, offset: int) -> NoReturn:
    raise TextError(str(error), offset) from None


class _Declarations(Transformer[Word, object]):
    """What each rule of the grammar amounts to, made while the text is parsed."""

    def start(self, children: list[object]) -> list[Declaration]:
        return [
            child
            for child in children
            if isinstance(child, (ComponentDecl, CompositionDecl, ConfigurationDecl, ImportDecl))
        ]

    def assembly(self, children: list[object]) -> ComponentDecl:
        return replace(self.component_body(children), name=_name(children), is_assembly=True)

    def component(self, children: list[object]) -> ComponentDecl:
        return replace(_all(ComponentDecl, children)[0], name=_name(children))

    def component_body(self, children: list[object]) -> ComponentDecl:
        parts: dict[str, object] = {}
        for child in children:
            if isinstance(child, (CompositionDecl, ConfigurationDecl)):
                parts["composition" if isinstance(child, CompositionDecl) else "configuration"] = child
            elif isinstance(child, _PartReference):
                parts[child.part] = child.reference
        interfaces = tuple(interface.name for interface in _all(_Interface, children))
        return ComponentDecl(
            None,
            _all(AttributeDecl, children),
            interfaces=interfaces,
            macros=_macros(children),
            **parts,  # type: ignore[arg-type]
        )

    def interface(self, children: list[object]) -> _Interface:
        return _Interface(str(children[-1]))

    def composition_reference(self, children: list[Reference]) -> _PartReference:
        return _PartReference("composition", children[0])

    def configuration_reference(self, children: list[Reference]) -> _PartReference:
        return _PartReference("configuration", children[0])

    def composition(self, children: list[object]) -> CompositionDecl:
        instances: list[InstanceDecl] = []
        for child in children:
            if isinstance(child, InstanceDecl):
                instances.append(child)
            elif isinstance(child, _Group):
                instances += child.instances
        connections = _all(ConnectionDecl, children)
        return CompositionDecl(_name(children), tuple(instances), connections, _macros(children))

    def group(self, children: list[object]) -> _Group:
        return _Group(_all(InstanceDecl, children))

    def instance(self, children: list[object]) -> InstanceDecl:
        component, name = children
        if isinstance(component, Word):
            component = Reference(str(component), _offset(component))
        return InstanceDecl(str(name), component, _offset(name))  # type: ignore[arg-type]  # by the grammar

    def connection(self, children: list[object]) -> ConnectionDecl:
        # The first is the connector's type.
        return ConnectionDecl(str(children[1]), _offset(children[1]), _all(Reference, children[2:]))

    def configuration(self, children: list[object]) -> ConfigurationDecl:
        return ConfigurationDecl(_name(children), _all(SettingDecl, children), _macros(children))

    def setting(self, children: list[object]) -> SettingDecl:
        instance, _, attribute, _, item, end = children
        value, first, offsets = item if isinstance(item, _Item) else _Item("", 0)
        span = (first, _offset(end))
        return SettingDecl(str(instance), str(attribute), value, _offset(instance), span, offsets)

    def attribute_reference(self, children: list[object]) -> _Item:
        return _Item(Unevaluated("reference", ""), _offset(children[0]))

    def query(self, children: list[object]) -> _Item:
        return _Item(Unevaluated("query", ""), _offset(children[0]))

    def attribute(self, children: list[object]) -> AttributeDecl:
        kind = _all(_Type, children)[0].name
        default = next((item.value for item in _all(_Item, children)), None)
        return AttributeDecl(str(children[1]), kind, bool(_all(_Array, children)), default)

    def array(self, children: list[object]) -> _Array:
        return _Array()

    def type(self, children: list[object]) -> _Type:
        if not children:
            return _Type("struct")
        words = [child.name if isinstance(child, Reference) else str(child) for child in children]
        return _Type(" ".join("int" if word == "integer" else word for word in words))

    def struct_body(self, children: list[object]) -> str:
        return "struct"

    def import_(self, children: list[object]) -> ImportDecl:
        target = children[0]
        if isinstance(target, _Item):
            return ImportDecl(str(target.value), False, target.offset)
        return ImportDecl(str(target)[1:-1], True, _offset(target))

    def reference(self, children: list[Word]) -> Reference:
        return Reference(".".join(children), _offset(children[0]))

    def id(self, children: list[Word]) -> Word:
        return children[0]

    def item(self, children: list[object]) -> _Item:
        child = children[0]
        if isinstance(child, _Item):
            return child
        if isinstance(child, _Operand):
            return _Item(child.value, child.offset)
        return _Item(Unevaluated("macro", str(child)), _offset(child))

    def items(self, children: list[object]) -> _Item:
        items = _all(_Item, children)
        return _Item(
            tuple(item.value for item in items), _offset(children[0]), tuple(item.offset for item in items)
        )

    def pairs(self, children: list[object]) -> _Item:
        pairs = {pair.key: pair.value for pair in _all(_Pair, children) if pair.key is not None}
        return _Item(pairs, _offset(children[0]))

    def pair(self, children: list[object]) -> _Pair:
        key, item = children[0], children[-1]
        if not isinstance(item, _Item):
            return _Pair(None, "")
        if isinstance(key, _Item):
            return _Pair(str(key.value), item.value)
        if isinstance(key, _Operand):
            if isinstance(key.value, float):
                raise TextError("a key is a string or a whole number", key.offset)
            return _Pair(key.value, item.value)
        return _Pair(str(key), item.value)

    def strings(self, children: list[Word]) -> _Item:
        return _Item("".join(word[1:-1] for word in children), _offset(children[0]))

    def expression(self, children: list[_Operand]) -> _Operand:
        if len(children) == 1:
            return children[0]
        condition, then, otherwise = children
        return _Operand(choose(condition.value, then.value, otherwise.value), condition.offset)

    def flat(self, children: list[Word | _Operand]) -> _Operand:
        parts: list[Number | str] = []
        for child in children:
            if isinstance(child, _Operand):
                parts.append(child.value)
            elif child.type == "OPERATOR":
                parts.append(str(child))
            elif child.type == "BOOLEAN":
                parts.append(child in ("true", "True"))
            else:
                parts.append(_number(child))
        try:
            return _Operand(evaluate(parts), _start(children[0]))
        except ExpressionError as error:
            _fail(error, _start(children[error.position]))


class _PartReference(NamedTuple):
    part: str
    reference: Reference


class _Group(NamedTuple):
    instances: tuple[InstanceDecl, ...]


def _number(word: Word) -> Number:
    try:
        return read_number(word)
    except ExpressionError as error:
        _fail(error, _offset(word))


def _start(part: Word | _Operand) -> int:
    return part.offset if isinstance(part, _Operand) else _offset(part)


def _offset(word: object) -> int:
    """Return where a word stands; all come from TokenLexer.lex, which says so."""
    position = word.start_pos if isinstance(word, Word) else None
    if position is None:
        raise TypeError(f"not a word with a place: {word!r}")
    return position
