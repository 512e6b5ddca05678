"""Many boards: one row each while they work, and a summary that says the failed ones first."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from bringup.base.events import Event
from bringup.jobs.batch import Batch, Outcome
from bringup.report.output import say
from bringup.report.screen import folded, is_terminal, screen_width
from bringup.report.style import glyph, table
from bringup.report.transfer import TRANSFERS, transfer_text

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

_REFRESH_PER_S = 4


@dataclass
class _Row:
    began_s: float | None = None
    text: str = "waits for its turn"
    ended: Outcome | None = None


class BatchView:
    """Shows how each board goes on: rows that are drawn anew on a terminal, else a line per board that ends.

    `usual_s` are the seconds that it usually takes per board, where that is known.
    """

    def __init__(self, boards: Sequence[str], *, quiet: bool = False) -> None:
        self._rows = {name: _Row() for name in boards}
        self._quiet = quiet
        self._lock = threading.Lock()
        self._live: Live | None = None

    def __enter__(self) -> BatchView:
        if not self._quiet and is_terminal(sys.stderr):
            from rich.console import Console
            from rich.live import Live

            self._live = Live(
                console=Console(stderr=True),
                get_renderable=self._drawn,
                refresh_per_second=_REFRESH_PER_S,
                redirect_stderr=False,
                redirect_stdout=False,
                transient=True,
            )
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)

    def began(self, board: str) -> None:
        """A board's turn has come."""
        with self._lock:
            row = self._rows[board]
            row.began_s, row.text = time.monotonic(), "begins"

    def heard(self, board: str, event: Event) -> None:
        """The last thing that happened is what a row shows, of a transfer how far it is."""
        if event.text and event.kind not in ("run.verdict", "console.activity"):
            text = transfer_text(event) if event.kind in TRANSFERS else event.text
            with self._lock:
                self._rows[board].text = text

    def text_of(self, board: str) -> str:
        """Return what the row of a board that works says."""
        with self._lock:
            return self._rows[board].text

    def ended(self, outcome: Outcome) -> None:
        """A board's job ended."""
        with self._lock:
            self._rows[outcome.board].ended = outcome
        if self._live is None and not self._quiet:
            say(outcome_line(outcome))

    def _drawn(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        drawn = Table(box=None, pad_edge=False, show_header=False)
        for column in ("", "board", "seconds"):
            drawn.add_column(column, no_wrap=True, justify="right" if column == "seconds" else "left")
        drawn.add_column("text", no_wrap=True, overflow="ellipsis", width=max(20, screen_width() - 40))
        with self._lock:
            for name, row in self._rows.items():
                drawn.add_row(*(Text.from_ansi(cell) for cell in _cells(name, row)))
        return drawn


def _cells(name: str, row: _Row) -> tuple[str, str, str, str]:
    if row.ended is not None:
        mark = glyph("ok" if row.ended.ok else "bad")
        return mark, name, f"{row.ended.seconds:.0f} s", _told(row.ended)
    seconds = "" if row.began_s is None else f"{time.monotonic() - row.began_s:.0f} s"
    return glyph("idle"), name, seconds, row.text


def _told(outcome: Outcome) -> str:
    if outcome.ok:
        return outcome.reached or "ok"
    return f"{outcome.verdict}: {outcome.cause or 'no cause was told'}"


def outcome_line(outcome: Outcome) -> str:
    """Return one line about a board that is done."""
    mark = glyph("ok" if outcome.ok else "bad")
    return f"{mark} {outcome.board}  {outcome.seconds:.1f} s  {_told(outcome)}"


def batch_lines(batch: Batch, width: int | None = None) -> list[str]:
    """Return the summary: a table with the failed boards first, what to do, and how to repeat those.

    Sentences are broken at `width` columns, None where a program reads them.
    """
    ordered = sorted(batch.outcomes, key=lambda outcome: outcome.ok)
    rows = [
        [
            outcome.board,
            outcome.verdict,
            outcome.reached or "-",
            f"{outcome.seconds:.1f}",
            outcome.run or "-",
        ]
        for outcome in ordered
    ]
    lines = [table(["board", "verdict", "reached", "seconds", "run"], rows)]
    bad = [outcome for outcome in ordered if not outcome.ok]
    hints = sorted({outcome.hint for outcome in bad if outcome.hint})
    lines += folded([*_causes(bad), *(f"do        {hint}" for hint in hints)], width, 10)
    lines.append(f"{batch.command}: {batch.counted()} in {batch.seconds:.1f} s     batch {batch.run}")
    if bad:
        lines.append("again     the same command with --only-failed")
    return lines


def _causes(outcomes: Sequence[Outcome]) -> list[str]:
    """Return why boards did not do what was wanted: a cause once, with all that it befell."""
    boards: dict[str, list[str]] = {}
    for outcome in outcomes:
        boards.setdefault(outcome.cause or "no cause was told", []).append(outcome.board)
    return [f"cause     {', '.join(names)}: {cause}" for cause, names in boards.items()]
