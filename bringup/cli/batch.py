"""Options and the run of a command that was given several boards."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from bringup import InterruptedRunError, UsageError
from bringup.base.size import counted
from bringup.report.output import answer, emit_json, say, say_folded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bringup import Board, Lab
    from bringup.base.events import Emit
    from bringup.jobs.batch import BoardWork
    from bringup.jobs.boot import Display

Function = Callable[..., Any]


def batch_options(function: Function) -> Function:
    """Add what only several boards need."""
    return batch_options_beside_yes(
        click.option("--yes", is_flag=True, help="Many boards: do not ask.")(function)
    )


def batch_options_beside_yes(function: Function) -> Function:
    """Add what only several boards need to a command that asks about one board, too."""
    for option in (
        click.option(
            "--only-failed",
            is_flag=True,
            help="Many boards: those that failed in the last batch of this kind.",
        ),
        click.option(
            "--stagger",
            "pause_s",
            type=click.FloatRange(0, 600),
            default=1.0,
            show_default=True,
            metavar="SECONDS",
            help="Many boards: pause between the starts of two.",
        ),
        click.option(
            "--jobs",
            type=click.IntRange(1, 256),
            default=8,
            show_default=True,
            help="Many boards: how many at a time; of twins that are emulated whole at most one per "
            "processor.",
        ),
    ):
        function = option(function)
    return function


def many(lab: Lab, word: str, options: dict[str, Any]) -> bool:
    """Return whether a command's board word stands for several."""
    from bringup.lab.select import means_many

    if means_many(lab, word):
        return True
    if options["only_failed"]:
        raise UsageError("--only-failed is about several boards, and one is named", hint="leave it out")
    return False


def chosen(lab: Lab, word: str, command: str, *, only_failed: bool) -> tuple[Board, ...]:
    """Return the boards that are meant; raises UsageError when none is left."""
    from bringup.jobs.batch import last_failed
    from bringup.lab.select import select_boards

    boards = select_boards(lab, [word])
    if not only_failed:
        return boards
    again = set(last_failed(lab, command))
    left = tuple(board for board in boards if board.name in again)
    if not left:
        raise UsageError(
            f"none of these boards failed in the last batch of {command}", hint="leave out --only-failed"
        )
    return left


def refuse_for_many(**asked: bool) -> None:
    """Refuse options that have no meaning with several boards; raises UsageError."""
    for name, given in asked.items():
        if given:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{option} is about one board, and several are named", hint=f"leave out {option}"
            )


def heard_by(hear: Emit) -> Display:
    """Return the display of a job whose events go to a batch."""

    @contextmanager
    def display(plan: object, usual_s: float | None) -> Iterator[Emit]:
        yield hear

    return display


def run_many(
    lab: Lab,
    command: str,
    boards: Sequence[Board],
    work: BoardWork,
    options: dict[str, Any],
    *,
    question: str,
    asks_above: int | None = None,
) -> int:
    """Do `work` with the boards, show it, print the summary, and return the exit code of the worst.

    `question` is what is asked above so many boards, with `{boards}` for "these 8 boards"; None means five.
    """
    from bringup.jobs.batch import ASKS_ABOVE, run_batch
    from bringup.jobs.batch_machines import emulated, processors
    from bringup.report.batch import batch_lines
    from bringup.report.batch_view import BatchView
    from bringup.report.screen import fold_width

    names = [board.name for board in boards]
    if len(boards) > (ASKS_ABOVE if asks_above is None else asks_above) and not options["yes"]:
        _ask(names, question)
    as_json = bool(options.get("as_json"))
    machines = emulated(boards)
    if len(machines) > processors():
        say(
            f"{len(machines)} of them are machines that this host emulates whole: "
            f"{processors()} at a time, one per processor, whatever --jobs says"
        )
    with BatchView(names, quiet=as_json) as view:
        batch = run_batch(
            lab,
            command,
            boards,
            work,
            view,
            at_once=options["jobs"],
            pause_s=options["pause_s"],
            machines=machines,
        )
    if as_json:
        emit_json(batch.to_dict())
    else:
        answer(*batch_lines(batch, fold_width()))
    return batch.exit_code


def _ask(names: Sequence[str], question: str) -> None:
    from bringup.report.person import TerminalPerson

    count = counted(len(names), "board")
    say_folded(f"{count}: {', '.join(names)}", indent=8)
    asked = question.format(boards=f"these {count}" if len(names) > 1 else "this board")
    # Python has no stream for a descriptor that was closed before it started (`<&-`).
    if sys.stdin is None or not sys.stdin.isatty():
        unasked = asked[0].lower() + asked[1:]
        raise UsageError(f"nobody can answer, because standard input is no terminal: {unasked}", hint="--yes")
    if TerminalPerson().choose(asked, ("yes", "no")) != "yes":
        raise InterruptedRunError(f"answered no: nothing was done to {count}")
