"""The Spanish page for technicians says what the English one says: the same sections, commands and output."""

from __future__ import annotations

import re

import pytest

from tests.places import CHECKOUT

PAGES = [(CHECKOUT / "docs" / name).read_text(encoding="utf-8") for name in ("technician.md", "tecnico.md")]
_FENCED = re.compile(r"^```\n(.*?)^```$", re.M | re.S)


def headings(page: str) -> list[str]:
    """The level of each, in their order; what stands in a block of output is none."""
    return re.findall(r"^(#+) ", _FENCED.sub("", page), re.M)


def commands(page: str) -> set[str]:
    """Every command that is named, without what stands for a name."""
    return set(re.findall(r"\bbringup ((?:media|runs|boards|camkes|pci) [a-z]+|[a-z][a-z-]+)", _coded(page)))


def _coded(page: str) -> str:
    """What is code: between backticks, over a line's end, too, or indented."""
    found = re.findall(r"`([^`]+)`|^ {4,}(\S.*)$", _FENCED.sub("", page), re.M)
    return "\n".join((inline or block).replace("\n", " ") for inline, block in found)


def told(page: str) -> list[str]:
    """What the program says in the first column of tables, in its order."""
    return re.findall(r"^\| (`[^|]+?) \|", page, re.M)


@pytest.mark.parametrize(
    "what",
    [
        headings,
        commands,
        _FENCED.findall,
        lambda page: set(re.findall(r"--[a-z]+(?:-[a-z]+)*", page)),
        lambda page: [re.sub(r" (NAME|NOMBRE)`", "`", each) for each in told(page)],
        lambda page: len(re.findall(r"^\|", page, re.M)),
    ],
    ids=["headings", "commands", "output", "options", "refusals", "rows"],
)
def test_both_pages_have_the_same(what: object) -> None:
    english, spanish = (what(page) for page in PAGES)  # type: ignore[operator]
    assert english
    assert spanish == english
