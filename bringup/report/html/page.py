"""What a page holds, whatever kind of run it tells of, and how it is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bringup.report.xml import shown

_FOLDER = Path(__file__).parent
_MARKS = {"pass": "●", "fail": "✖", "skip": "○"}


@dataclass(frozen=True, slots=True)
class Row:
    """One rung of the ladder: how it ended (`pass`, `fail`, `skip`), its evidence, and more to open."""

    name: str
    status: str
    evidence: Sequence[str]
    purpose: str = ""
    details: Sequence[tuple[str, str]] = ()
    lines: Sequence[str] = ()
    at_s: float | None = None
    seconds: float | None = None

    @property
    def mark(self) -> str:
        """The sign of how it ended."""
        return _MARKS[self.status]


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Text as a console or a capture showed it, under a title."""

    title: str
    lines: Sequence[str]


@dataclass(frozen=True, slots=True)
class Page:
    """A whole page: the answer first, evidence next, the way on last."""

    title: str
    ok: bool
    answer: str
    subtitle: str
    facts: Sequence[tuple[str, str]]
    rows: Sequence[Row]
    picture: str = ""
    history: str = ""
    advice: Sequence[str] = ()
    excerpts: Sequence[Excerpt] = ()

    @property
    def length_s(self) -> float:
        """How long it took, for the timeline; never 0."""
        ends = [(row.at_s or 0.0) + (row.seconds or 0.0) for row in self.rows]
        return max(max(ends, default=0.0), 0.001)


def render(page: Page) -> str:
    """Return the page as HTML."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = lambda text: shown(str(text))
    return environment.get_template("page.html.j2").render(page=page)
