"""Which boards a person means: names, patterns of names, and tags of the lab file. Pure."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable

from bringup.base.errors import UsageError
from bringup.lab.inventory import Board, Lab

_PATTERN = re.compile(r"[*?\[]")


def means_many(lab: Lab, word: str) -> bool:
    """Return whether a word stands for a set of boards: a list, a pattern, or a tag."""
    return "," in word or bool(_PATTERN.search(word)) or (word not in lab.boards and word in tags_of(lab))


def tags_of(lab: Lab) -> set[str]:
    """Return all tags that boards of the lab have."""
    return {tag for board in lab.boards.values() for tag in board.tags}


def select_boards(lab: Lab, words: Iterable[str]) -> tuple[Board, ...]:
    """Return the boards that words (each may be a list with commas) name, each once, in the lab's order.

    Raises UsageError for a word that names none.
    """
    names: set[str] = set()
    for word in words:
        for part in word.split(","):
            names.update(_named(lab, part.strip()))
    return tuple(board for name, board in lab.boards.items() if name in names)


def _named(lab: Lab, word: str) -> list[str]:
    if not word:
        raise UsageError("a name is missing in the list of boards", hint="such as e300-1,e300-2")
    if _PATTERN.search(word):
        found = fnmatch.filter(lab.boards, word)
        if not found:
            raise UsageError(
                f"no board of this lab fits {word}", hint=f"boards: {', '.join(sorted(lab.boards))}"
            )
        return found
    if word not in lab.boards and word in tags_of(lab):
        return [name for name, board in lab.boards.items() if word in board.tags]
    return [lab.board(word).name]
