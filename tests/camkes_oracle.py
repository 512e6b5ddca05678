"""A second opinion on CAmkES settings: another grammar, in plyplus, over what `cpp -P` makes of a file.

Nothing here is shared with bringup.camkes: not the words, not the grammar, not the arithmetic.
"""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from plyplus import Grammar

GRAMMAR = r"""
start: (assembly | component | configuration | connector | procedure | struct | import | ';')*;

assembly: ASSEMBLY NAME? '\{' inside '\}';
component: COMPONENT NAME? '\{' member* inside? '\}';
inside: composition configuration? | configuration composition;
member: ATTRIBUTE type NAME brackets? ('=' item)? ';'
      | CONTROL ';' | HARDWARE ';'
      | MAYBE? (USES | PROVIDES | CONSUMES | EMITS) NAME NAME ';'
      | MAYBE? DATAPORT NAME ('\(' expr '\)')? NAME ';'
      | HAS (MUTEX | SEMAPHORE | BINARY_SEMAPHORE) NAME ';'
      | INCLUDE (STRING | ANGLE) ';';
brackets: '\[' '\]';
type: (UNSIGNED | SIGNED)? (INT | INTEGER | CHAR) | UNSIGNED | SIGNED | STRINGTYPE | STRUCT? NAME | fields;
fields: '\{' (type NAME brackets? ';')* '\}';
struct: STRUCT NAME fields;
procedure: PROCEDURE NAME? '\{' (type NAME '\(' parameters? '\)' ';'
      | VOID NAME '\(' (VOID | parameters)? '\)' ';' | type NAME '=' item ';'
      | INCLUDE (STRING | ANGLE) ';')* '\}';
parameters: parameter (',' parameter)* ','?;
parameter: (IN | OUT | INOUT | REFIN)? type NAME brackets?;
connector: CONNECTOR NAME? ends;
ends: '\{' FROM HARDWARE? kind (WITH expr (THREAD | THREADS) | TEMPLATE STRING+)* ';'
      TO HARDWARE? kind (WITH expr (THREAD | THREADS) | TEMPLATE STRING+)* ';' member* '\}';
kind: PROCEDURE_END | PROCEDURES_END | EVENT_END | EVENTS_END | DATAPORT_END | DATAPORTS_END;
import: IMPORT (STRING+ | ANGLE) ';';

composition: COMPOSITION NAME? '\{' (instance | connection | group | export)* '\}' | COMPOSITION NAME ';';
instance: COMPONENT (NAME | '\{' member* '\}') NAME ';';
group: GROUP NAME? '\{' instance* '\}';
export: EXPORT dotted '->' dotted ';';
connection: CONNECTION (NAME | ends) NAME '\(' (end (',' end)* ','?)? '\)' ';';
end: (FROM | TO) dotted;
dotted: NAME ('\.' NAME)*;

configuration: CONFIGURATION NAME? '\{' setting* '\}' | CONFIGURATION NAME ';';
setting: NAME '\.' NAME '=' value ';' | NAME '\.' NAME '<-' dotted lookup? ';';
value: item | query;
query: NAME '\(' (dict | list)? '\)' lookup?;
lookup: ('\[' item '\]')+;
@item: expr | text | list | dict;
text: STRING+;
list: '\[' (item (',' item)* ','?)? '\]';
dict: '\{' (pair (',' pair)* ','?)? '\}';
pair: (expr | text) ':' item;

@expr: choice;
choice: either ('\?' expr ':' either)?;
either: both ('\|\|' both)*;
both: bits_or ('&&' bits_or)*;
bits_or: bits_xor ('\|' bits_xor)*;
bits_xor: bits_and ('\^' bits_and)*;
bits_and: same ('&' same)*;
same: order ((EQUAL | UNEQUAL) order)*;
order: shift ((LESS | MOST | MORE | LEAST) shift)*;
shift: sum ((LEFT | RIGHT) sum)*;
sum: product ((PLUS | MINUS) product)*;
product: unary ((TIMES | OVER | REST | POWER) unary)*;
unary: (PLUS | MINUS | NOT | INVERT) unary | atom;
@atom: NUMBER | TRUE | TRUE2 | FALSE | FALSE2 | '\(' expr '\)';

EQUAL: '==';
UNEQUAL: '!=';
LESS: '<';
MOST: '<=';
MORE: '>';
LEAST: '>=';
LEFT: '<<';
RIGHT: '>>';
TIMES: '\*';
POWER: '\*\*';
OVER: '/';
REST: '%';
PLUS: '\+';
MINUS: '-';
NOT: '!';
INVERT: '~';
NUMBER: '0x[0-9a-fA-F]+|[0-9]+(\.[0-9]+)?';
STRING: '"[^"]*"' (%newline);
ANGLE: '<[a-z][^>\n]*>';
NAME: '[A-Za-z_][A-Za-z_0-9]*'
    (%unless
        ASSEMBLY: 'assembly'; COMPONENT: 'component'; COMPOSITION: 'composition';
        CONFIGURATION: 'configuration';
        ATTRIBUTE: 'attribute'; CONTROL: 'control'; HARDWARE: 'hardware'; MAYBE: 'maybe'; USES: 'uses';
        PROVIDES: 'provides'; CONSUMES: 'consumes'; EMITS: 'emits'; DATAPORT: 'dataport'; HAS: 'has';
        MUTEX: 'mutex'; SEMAPHORE: 'semaphore'; BINARY_SEMAPHORE: 'binary_semaphore'; INCLUDE: 'include';
        UNSIGNED: 'unsigned'; SIGNED: 'signed'; INT: 'int'; INTEGER: 'integer'; CHAR: 'char';
        STRINGTYPE: 'string'; STRUCT: 'struct'; PROCEDURE: 'procedure'; VOID: 'void'; IN: 'in'; OUT: 'out';
        INOUT: 'inout'; REFIN: 'refin'; CONNECTOR: 'connector'; FROM: 'from'; TO: 'to'; WITH: 'with';
        THREAD: 'thread'; THREADS: 'threads'; TEMPLATE: 'template'; IMPORT: 'import'; GROUP: 'group';
        EXPORT: 'export'; CONNECTION: 'connection'; PROCEDURE_END: 'Procedure'; PROCEDURES_END: 'Procedures';
        EVENT_END: 'Event'; EVENTS_END: 'Events'; DATAPORT_END: 'Dataport'; DATAPORTS_END: 'Dataports';
        TRUE: 'true'; TRUE2: 'True'; FALSE: 'false'; FALSE2: 'False';
    );
HASH: '\#[^\n]*' (%ignore);
BLANK: '[ \t\r\f]+' (%ignore);
LINE: '\n' (%ignore) (%newline);
"""


@cache
def grammar() -> Any:
    return Grammar(GRAMMAR, auto_filter_tokens=False)


def preprocessed(path: Path, include: Path, defines: list[str]) -> str:
    command = ["cpp", "-P", f"-I{include}", *(f"-D{define}" for define in defines), str(path)]
    return subprocess.run(command, capture_output=True, check=True, timeout=30).stdout.decode(
        "utf-8", "surrogateescape"
    )


def settings(text: str) -> list[tuple[str, str, object]]:
    """Return all settings of assemblies in order; a query or reference is told as its kind."""
    found = []
    for assembly in grammar().parse(text).select("start > assembly"):
        for setting in assembly.select("setting"):
            instance, attribute, *rest = telling(setting)
            found.append((str(instance), str(attribute), value(rest[0])))
    return found


def telling(node: Any) -> list[Any]:
    """Return a node's parts without punctuation."""
    return [part for part in node.tail if getattr(part, "head", None) or str(part) not in PUNCTUATION]


def value(node: Any) -> object:
    head = getattr(node, "head", None)
    if head is None:
        return literal(str(node))
    if head == "value":
        return value(telling(node)[0])
    if head in ("query", "dotted"):
        return "query" if head == "query" else "reference"
    if head == "text":
        return "".join(str(part)[1:-1] for part in telling(node))
    if head == "list":
        return [value(part) for part in telling(node)]
    if head == "dict":
        return {value(key): value(entry) for key, entry in map(telling, telling(node))}
    return number(node)


def literal(word: str) -> float:
    if word.lower() in ("true", "false"):
        return int(word.lower() == "true")
    return float(word) if "." in word else int(word, 0)


# The values below are wanted with the signs of Python, except for those that CAmkES takes as C does.
PUNCTUATION = frozenset(("[", "]", "{", "}", "(", ")", ",", ";", ":", ".", "=", "<-", "?"))
BINARY = {"either": "||", "both": "&&", "bits_or": "|", "bits_xor": "^", "bits_and": "&"}


def number(node: Any) -> float:
    if getattr(node, "head", None) is None:
        return literal(str(node))
    parts = telling(node)
    if node.head == "unary" and len(parts) == 2:
        operand = number(parts[1])
        return {"+": operand, "-": -operand, "!": int(not operand), "~": -1 - operand}[str(parts[0])]
    if node.head == "choice" and len(parts) == 3:
        condition, then, otherwise = (number(part) for part in parts)
        return then if condition != 0 else otherwise
    if node.head in BINARY:
        parts = [part for operand in parts[::2] for part in (BINARY[node.head], operand)][1:]
    result = number(parts[0])
    for sign, operand in zip(parts[1::2], parts[2::2], strict=True):
        result = apply(str(sign), result, number(operand))
    return result


def apply(sign: str, a: Any, b: Any) -> float:
    if sign in ("||", "&&"):
        return int((a or b) if sign == "||" else (a and b))
    if sign == "/":
        return a // b if isinstance(a, int) and isinstance(b, int) else a / b
    compared = {"==": a == b, "!=": a != b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}
    if sign in compared:
        return int(compared[sign])
    return {
        "|": lambda: a | b,
        "^": lambda: a ^ b,
        "&": lambda: a & b,
        "<<": lambda: a << b,
        ">>": lambda: a >> b,
        "+": lambda: a + b,
        "-": lambda: a - b,
        "*": lambda: a * b,
        "%": lambda: a % b,
        "**": lambda: a**b,
    }[sign]()
