"""Values of settings as people are told of them, whatever their size. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from bringup.camkes.model import Unevaluated, Value

# What C holds; a longer number is a mistake, and Python would not even print it.
MAX_NUMBER = 1 << 64


def whole(value: Value | None) -> int | None:
    """Return a whole number that C holds, None for anything else; `true` and `false` are 1 and 0."""
    return int(value) if isinstance(value, int) and abs(value) < MAX_NUMBER else None


def shown(value: Value) -> str:
    """Return a value as a sentence can hold it, however large it is."""
    if isinstance(value, tuple):
        inside = ", ".join("[…]" if isinstance(element, tuple) else shown(element) for element in value[:6])
        return cut(f"[{inside}{', …' if len(value) > 6 else ''}]")
    if isinstance(value, int) and abs(value) >= MAX_NUMBER:
        return "a number that is too large"
    if isinstance(value, str):
        return f'"{cut(value)}"'
    if isinstance(value, Unevaluated):
        return cut(value.text)
    return "a dictionary" if isinstance(value, Mapping) else str(value)


def cut(text: str, limit: int = 60) -> str:
    """Return at most `limit` characters of a text."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
