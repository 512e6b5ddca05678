"""How a batch of boards ended: a line as each does, and a summary that says the failed ones first."""

from __future__ import annotations

from collections.abc import Iterable

from bringup.jobs.batch import Batch, Outcome
from bringup.report.screen import folded
from bringup.report.style import glyph, table


def told(outcome: Outcome) -> str:
    """Return in a few words how a board ended."""
    if outcome.ok:
        return outcome.reached or "ok"
    cause = outcome.cause or "no cause was told"
    return cause if cause.startswith(outcome.verdict) else f"{outcome.verdict}: {cause}"


def outcome_line(outcome: Outcome) -> str:
    """Return one line about a board that is done."""
    mark = glyph("ok" if outcome.ok else "bad")
    return f"{mark} {outcome.board}  {outcome.seconds:.1f} s  {told(outcome)}"


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
    causes = _grouped((outcome.cause or "no cause was told", outcome.board) for outcome in bad)
    hints = _grouped((outcome.hint, outcome.board) for outcome in bad if outcome.hint)
    lines += folded([f"cause     {names}: {cause}" for cause, names in causes], width, 10)
    # Where there is one way on, it is that of all.
    lines += folded(
        [f"do        {hint if len(hints) == 1 else f'{names}: {hint}'}" for hint, names in hints], width, 10
    )
    if batch.unrecorded is not None:
        lines += folded(
            [f"careful   the record of this batch has not all of it: {batch.unrecorded}"], width, 10
        )
    lines.append(f"{batch.command}: {batch.counted()} in {batch.seconds:.1f} s     batch {batch.run}")
    if bad:
        lines.append("again     the same command with --only-failed")
    return lines


def _grouped(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return what is said of boards, each once, and all the boards that it is said of."""
    boards: dict[str, list[str]] = {}
    for said, board in pairs:
        boards.setdefault(said, []).append(board)
    return [(said, ", ".join(names)) for said, names in boards.items()]
