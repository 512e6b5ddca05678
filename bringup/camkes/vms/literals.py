"""Values as text that camkes-tool reads, and whether two values are one to it. Pure.

Numbers are lower-case hex where people look for addresses (camkes-tool camkes/parser/camkes.g takes `0x`
only), decimal elsewhere; strings have no escapes there, so a quote in one is refused.
"""

from __future__ import annotations

from collections.abc import Mapping

from bringup.base.errors import UsageError
from bringup.camkes.model import Unevaluated, Value

_HEX_KEYS = frozenset({"start", "end", "paddr", "size", "bus"})


def value_text(value: Value, key: str | int | None = None) -> str:
    """Return a value as text; `key` is that of the dictionary it stands in, which decides on hex."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:#x}" if key in _HEX_KEYS and value >= 0 else str(value)
    if isinstance(value, float):
        return str(value)
    if isinstance(value, str):
        if '"' in value:
            raise UsageError(f"{value!r} has a quote in it, and a string of CAmkES cannot")
        return f'"{value}"'
    if isinstance(value, Unevaluated):
        return value.text
    if isinstance(value, Mapping):
        return "{" + ", ".join(f'"{k}":{value_text(v, k)}' for k, v in value.items()) + "}"
    if all(isinstance(element, int) for element in value):
        # Pairs of an address and a size: exclude_paddr and its like.
        return "[" + ", ".join(f"{element:#x}" for element in value) + "]"
    return "[" + ", ".join(shown_list(value)) + "]"


def shown_list(value: Value) -> list[str]:
    """Return the elements of a list as text."""
    return [value_text(element) for element in value] if isinstance(value, tuple) else []


def same(ours: Value, theirs: Value) -> bool:
    """Whether two values are one to camkes-tool: lists in order, dictionaries in any, true is not 1 here."""
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        return ours.keys() == theirs.keys() and all(same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, tuple) and isinstance(theirs, tuple):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return type(ours) is type(theirs) and ours == theirs
