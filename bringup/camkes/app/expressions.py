"""Arithmetic in settings, as camkes-tool does it (camkes/parser/stage3.py), without eval and with bounds.

Two things differ from C: `**` is a power and binds like `*`, and `a && b` is the operand that decided.
Operators of one level are taken from left to right; integers divide downwards.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import NoReturn

Number = int | float

_MAX_BITS = 4096
_MAX_DIGITS = 1000

_LEVELS: tuple[tuple[str, ...], ...] = (
    ("||",),
    ("&&",),
    ("|",),
    ("^",),
    ("&",),
    ("==", "!="),
    ("<", "<=", ">", ">="),
    ("<<", ">>"),
    ("+", "-"),
    ("*", "/", "%", "**"),
)
_LEVEL = {sign: level for level, signs in enumerate(_LEVELS) for sign in signs}
_UNARY = frozenset("+-!~")


class ExpressionError(ValueError):
    """An expression that has no value; `position` counts its parts from 0."""

    def __init__(self, message: str, position: int = 0) -> None:
        super().__init__(message)
        self.position = position


def read_number(text: str) -> Number:
    """Return the value of a literal; one that begins with 0 is octal, as in C and in the old camkes-tool.

    camkes-tool reads it by Python's `int(text, 0)` (camkes/parser/stage3.py): octal under Python 2, refused
    under Python 3, except for zero itself (`octal_like`).
    """
    if len(text) > _MAX_DIGITS:
        raise ExpressionError(f"a number of {len(text)} digits is too long")
    if text.startswith("0x"):
        return int(text, 16)
    if "." in text:
        return float(text)
    if octal_like(text):
        if not text.strip("01234567"):
            return int(text, 8)
        raise ExpressionError(
            f"{text} is neither octal nor decimal: it is written {text.lstrip('0')}, or in hex 0x…"
        )
    return int(text)


def octal_like(text: str) -> bool:
    """Whether a literal begins with a 0 that makes it octal in C; camkes-tool of today refuses it."""
    return text[0] == "0" and text.isdigit() and bool(text.strip("0"))


def evaluate(parts: Sequence[Number | str]) -> Number:
    """Return the value of operands and operators in order; brackets are evaluated before, ?: after.

    Raises ExpressionError for a part where it cannot be, and for a value that is none or that has no bounds.
    """
    if len(parts) == 1 and not isinstance(parts[0], str):
        return parts[0]
    operands: list[Number] = []
    pending: list[tuple[str, bool]] = []
    wants_operand = True
    for position, part in enumerate(parts):
        if not isinstance(part, str):
            if not wants_operand:
                raise ExpressionError("an operator is missing before this", position)
            operands.append(part)
            wants_operand = False
            while pending and pending[-1][1]:
                operands.append(_unary(pending.pop()[0], operands.pop(), position))
        elif wants_operand:
            if part not in _UNARY:
                raise ExpressionError(f"a number is missing before {part}", position)
            pending.append((part, True))
        else:
            level = _LEVEL.get(part, -1)
            if level < 0:
                raise ExpressionError(f"{part} cannot stand between two numbers", position)
            while pending and _LEVEL[pending[-1][0]] >= level:
                _reduce(operands, pending.pop()[0], position)
            pending.append((part, False))
            wants_operand = True
    if wants_operand:
        raise ExpressionError("a number is missing at the end", len(parts) - 1)
    while pending:
        _reduce(operands, pending.pop()[0], len(parts) - 1)
    return operands[0]


def choose(condition: Number, then: Number, otherwise: Number) -> Number:
    """Return the value of `condition ? then : otherwise`."""
    return otherwise if condition == 0 else then


def _reduce(operands: list[Number], sign: str, position: int) -> None:
    right, left = operands.pop(), operands.pop()
    operands.append(_bounded(lambda: _BINARY[sign](left, right), sign, position))


def _unary(sign: str, value: Number, position: int) -> Number:
    return _bounded(lambda: _PREFIX[sign](value), sign, position)


def _bounded(operation: Callable[[], Number], sign: str, position: int) -> Number:
    try:
        value = operation()
    except ExpressionError as error:
        raise ExpressionError(str(error), position) from None
    except ZeroDivisionError:
        raise ExpressionError(f"{sign} divides by zero", position) from None
    except (ArithmeticError, TypeError, ValueError):
        raise ExpressionError(f"{sign} has no value for these numbers", position) from None
    if isinstance(value, complex) or (isinstance(value, float) and not math.isfinite(value)):
        raise ExpressionError(f"{sign} has no value for these numbers", position)
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        _too_big(sign)
    return value


def _too_big(sign: str) -> NoReturn:
    raise ExpressionError(f"{sign} makes a number of more than {_MAX_BITS} bits")


def _divide(left: Number, right: Number) -> Number:
    whole = isinstance(left, int) and isinstance(right, int)
    return left // right if whole else left / right


def _power(base: Number, exponent: Number) -> Number:
    whole = isinstance(base, int) and isinstance(exponent, int) and abs(base) > 1
    if whole and (exponent > _MAX_BITS or int(base).bit_length() * exponent > 2 * _MAX_BITS):
        _too_big("**")
    value: Number = base**exponent
    return value


def _shift_left(left: Number, right: Number) -> Number:
    if not isinstance(left, int) or not isinstance(right, int):
        raise ExpressionError("<< needs whole numbers")
    if right > _MAX_BITS:
        _too_big("<<")
    return left << right


_PREFIX: dict[str, Callable[[Number], Number]] = {
    "+": lambda value: value,
    "-": operator.neg,
    "!": lambda value: int(not value),
    "~": lambda value: -1 - value,
}
_BINARY: dict[str, Callable[..., Number]] = {
    "||": lambda left, right: int(left or right),
    "&&": lambda left, right: int(left and right),
    "|": operator.or_,
    "^": operator.xor,
    "&": operator.and_,
    "==": lambda left, right: int(left == right),
    "!=": lambda left, right: int(left != right),
    "<": lambda left, right: int(left < right),
    "<=": lambda left, right: int(left <= right),
    ">": lambda left, right: int(left > right),
    ">=": lambda left, right: int(left >= right),
    "<<": _shift_left,
    ">>": operator.rshift,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
    "%": operator.mod,
    "**": _power,
}
