"""The codes that the rules can raise, read from their text: what a table of cases has to cover."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests import places

RULES = places.CHECKOUT / "bringup" / "rules"
_ABOUT = ("bdf", "function.bdf", "conflict.bdf", "None")


def raised() -> Iterator[tuple[str, str, set[str], set[str]]]:
    """Yield of each finding that is made in rules/: rule, what it is about, codes, severities.

    A finding is about a function or the machine (`function.bdf`, None), or about a VM and a line.
    """
    for path in sorted(RULES.glob("*.py")):
        for function in ast.parse(path.read_text(encoding="utf-8")).body:
            told = {name: ast.unparse(value) for name, value in assigned(function) if name == "tell"}
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and len(call.args) >= 4:
                    made = re.findall(r"\b([CFM]\d+)\.(error|warning|note)\b", how(call, told))
                    if made:
                        severities = {severity for _, severity in made}
                        yield made[0][0], ast.unparse(call.args[1]), words(call.args[0]), severities


def assigned(function: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    """Yield what is assigned to plain names in a function."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value


def how(call: ast.Call, told: dict[str, str]) -> str:
    """Return what is called: `C4.error`, or `C4.error if … else C4.warning` behind a name."""
    name = ast.unparse(call.func)
    return told.get(name, name)


def about_functions() -> Iterator[tuple[str, str, set[str]]]:
    """Yield (rule, code, severities) of what is told of functions or machines, whoever asks."""
    for rule, where, codes, severities in raised():
        if where in _ABOUT:
            yield from ((rule, code, severities) for code in codes)


def words(node: ast.expr) -> set[str]:
    """Return the texts that an expression can be: a text, one of two, or a text that begins alike."""
    if isinstance(node, ast.IfExp):
        return words(node.body) | words(node.orelse)
    if isinstance(node, ast.JoinedStr):
        node = node.values[0]
    if isinstance(node, ast.Name):
        return set()  # a variable; its values are told where it is set
    assert isinstance(node, ast.Constant), ast.unparse(node)
    return {str(node.value)}
