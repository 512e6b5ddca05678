"""Which known name a misspelt one may mean: told in many rooms, judged here."""

from __future__ import annotations

from collections.abc import Iterable

# Longer ones are no misspelt names, and comparing takes the square of the length.
_LONGEST = 80


def nearest(name: str, known: Iterable[str], *, likeness: float = 0.6) -> str | None:
    """Return the known name most like `name`, capitals apart; None where none is that much alike (0 to 1)."""
    from difflib import get_close_matches  # only a mistake needs it

    names = {each.lower(): each for each in reversed(list(known))}
    near = get_close_matches(name[:_LONGEST].lower(), names, n=1, cutoff=likeness)
    return names[near[0]] if near else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean NAME?` to end a sentence with, or nothing where no known name is near."""
    near = nearest(name, known)
    return f"; did you mean {near}?" if near else ""
