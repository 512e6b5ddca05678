"""Each kind of trouble that boards were reported with is tried here by at least three variants of our own."""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any

import pytest

from tests.board_kinds import KINDS
from tests.places import SHARED

CASES = sorted(path.stem for path in (SHARED / "cases" / "board").glob("*.json"))


def variants(entry: str) -> int:
    """Return how many variants an entry of the table names; fails where there is no such test."""
    path, _, word = entry.removesuffix("]").partition("[")
    file, _, name = path.partition("::")
    module = import_module("tests." + file.replace("/", "."))
    marks = [mark for mark in getattr(getattr(module, name), "pytestmark", []) if mark.name == "parametrize"]
    if not word:
        return math.prod(len(mark.args[1]) for mark in marks)
    return sum(word in named(mark, number) for mark in marks for number in range(len(mark.args[1])))


def named(mark: Any, number: int) -> str:
    """Return the id of a row of a test, and its values as text."""
    ids = mark.kwargs.get("ids")
    row = list(mark.args[1])[number]
    return f"{list(ids)[number] if ids is not None and not callable(ids) else ''} {row!r}"


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_three_variants_of_our_own(kind: str) -> None:
    counts = {entry: variants(entry) for entry in KINDS[kind].ours}
    assert min(counts.values()) > 0, counts
    assert sum(counts.values()) >= 3, counts


@pytest.mark.skipif(not CASES, reason="no shared/cases beside the checkout")
def test_every_case_that_was_reported_is_of_one_kind() -> None:
    for case in CASES:
        kinds = [name for name, kind in KINDS.items() if case.startswith(kind.cases)]
        assert len(kinds) == 1, (case, kinds)
