"""Many boards while they work: how many are done, and a row for each that a screen has room for."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from bringup.base.events import Event
from bringup.base.size import counted
from bringup.jobs.batch import Outcome
from bringup.report.batch import outcome_line, told
from bringup.report.output import say
from bringup.report.screen import is_terminal
from bringup.report.style import glyph
from bringup.report.transfer import TRANSFERS, duration_text, transfer_text

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.live import Live

_REFRESH_PER_S = 4
_SHOWN_SOURCES = ("run", "power", "disk", "twin")
_NOT_SHOWN = ("run.verdict", "twin.held_up")
# Above and below the rows: the counts, what has no room, and the line that the cursor is on.
_AROUND_ROWS = 3

State = Literal["failed", "at work", "waiting", "ok", "interrupted"]
_ROOM_FIRST: Sequence[State] = ("failed", "at work", "interrupted", "waiting", "ok")


@dataclass
class Row:
    """One board: when its turn came (monotonic), what happened last, and how it ended."""

    began_s: float | None = None
    text: str = "waits for its turn"
    ended: Outcome | None = None

    @property
    def state(self) -> State:
        """How it is with this board."""
        if self.ended is None:
            return "waiting" if self.began_s is None else "at work"
        return "ok" if self.ended.ok else "interrupted" if self.ended.interrupted else "failed"


class BatchView:
    """Shows how boards go on: rows that are drawn anew on a terminal, else a line for each that ends."""

    def __init__(self, boards: Sequence[str], *, quiet: bool = False) -> None:
        self._rows = {name: Row() for name in boards}
        self._began_s = time.monotonic()
        self._quiet = quiet
        self._lock = threading.Lock()
        self._live: Live | None = None

    def __enter__(self) -> BatchView:
        if not self._quiet and is_terminal(sys.stderr):
            from rich.console import Console
            from rich.live import Live

            console = Console(stderr=True)
            self._live = Live(
                console=console,
                get_renderable=lambda: self._drawn(console.height),
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
            row.began_s, row.text = time.monotonic(), "gets ready"

    def heard(self, board: str, event: Event) -> None:
        """A row shows what is done or awaited now, of a transfer how far it is."""
        text = transfer_text(event) if event.kind in TRANSFERS else _row_text(event)
        if text:
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

    def _drawn(self, height: int) -> Group:
        from rich.console import Group

        now_s = time.monotonic()
        with self._lock:
            shown = shown_rows(self._rows, height - _AROUND_ROWS)
            head = head_line(self._rows, self._began_s, now_s)
            usual_s = usual_seconds(self._rows)
            cells = [_cells(name, self._rows[name], now_s, usual_s) for name in shown]
            left_out = [row.state for name, row in self._rows.items() if name not in set(shown)]
        drawn: list[RenderableType] = [_text(head), _grid(cells)]
        if left_out:
            drawn.append(_text(f"… and {len(left_out)} more: {_counts(Counter(left_out))}"))
        return Group(*drawn)


def _row_text(event: Event) -> str:
    """Return what an event says of how far a board is; packets and console lines are no news in a row."""
    if event.source not in _SHOWN_SOURCES or event.kind in _NOT_SHOWN:
        return ""
    step = event.data if event.kind == "run.step" else None
    return "" if step and (step["state"] != "begin" or step["step"] == "watch") else event.text


def shown_rows(rows: Mapping[str, Row], room: int) -> tuple[str, ...]:
    """Return the boards that have a row where `room` lines are free, in their order; all where they fit.

    Those at work come first, and of the lines at least half of those that failed need, the last ones.
    """
    if len(rows) <= room:
        return tuple(rows)
    by_state = {state: [name for name, row in rows.items() if row.state == state] for state in _ROOM_FIRST}
    failed = sorted(by_state["failed"], key=lambda name: _ended_after_s(rows[name]))
    kept = failed[len(failed) - min(len(failed), max(room // 2, room - len(by_state["at work"]))) :]
    wanted = [*kept, *(name for state in _ROOM_FIRST[1:] for name in by_state[state])][: max(room, 1)]
    return tuple(name for name in rows if name in set(wanted))


def _ended_after_s(row: Row) -> float:
    return (row.began_s or 0.0) + (row.ended.seconds if row.ended else 0.0)


def usual_seconds(rows: Mapping[str, Row]) -> float | None:
    """Return how long a board of this batch takes, from those that are done; None as long as none is."""
    done = [row.ended.seconds for row in rows.values() if row.ended is not None and row.ended.ok]
    return median(done) if done else None


def head_line(rows: Mapping[str, Row], began_s: float, now_s: float) -> str:
    """Return how many boards are how far, how long it has taken, and about how long it will."""
    counts = Counter(row.state for row in rows.values())
    left_s = _left_s(rows, now_s)
    left = "" if left_s is None else f", about {duration_text(left_s)} left"
    return f"{counted(len(rows), 'board')}: {_counts(counts)}     {duration_text(now_s - began_s)}{left}"


def _left_s(rows: Mapping[str, Row], now_s: float) -> float | None:
    """Return how long it may take still, where as many go on working at a time as do now."""
    usual_s = usual_seconds(rows)
    working = [row.began_s for row in rows.values() if row.state == "at work" and row.began_s is not None]
    if usual_s is None or not working:
        return None
    waiting = sum(row.state == "waiting" for row in rows.values())
    current_s = [max(usual_s - (now_s - began_s), 0.0) for began_s in working]
    return max(max(current_s), (sum(current_s) + waiting * usual_s) / len(working))


def _counts(counts: Mapping[State, int]) -> str:
    order: Sequence[State] = ("ok", "failed", "interrupted", "at work", "waiting")
    return ", ".join(f"{counts[state]} {state}" for state in order if counts.get(state))


def _text(line: str) -> RenderableType:
    from rich.text import Text

    return Text.from_ansi(line, no_wrap=True, overflow="ellipsis")


def _grid(cells: Sequence[Sequence[str]]) -> RenderableType:
    from rich.table import Table

    grid = Table(box=None, pad_edge=False, show_header=False, expand=True)
    grid.add_column("", no_wrap=True)
    grid.add_column("board", no_wrap=True)
    grid.add_column("seconds", no_wrap=True, justify="right")
    grid.add_column("text", no_wrap=True, overflow="ellipsis", ratio=1)
    for row in cells:
        grid.add_row(*map(_text, row))
    return grid


def _cells(name: str, row: Row, now_s: float, usual_s: float | None) -> tuple[str, str, str, str]:
    if row.ended is not None:
        mark = glyph("ok" if row.ended.ok else "bad")
        return mark, name, f"{row.ended.seconds:.0f} s", told(row.ended)
    if row.began_s is None:
        return glyph("idle"), name, "", row.text
    of = "" if usual_s is None else f" of ~{usual_s:.0f}"
    return glyph("idle"), name, f"{now_s - row.began_s:.0f}{of} s", row.text
