"""`bringup power`: ask for or change a board's power, confirmed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import click
from click.core import ParameterSource

from bringup import BringupError
from bringup.cli.batch import batch_options, chosen, many, run_many
from bringup.cli.complete import board_and_tag_names
from bringup.cli.lab import lab_of
from bringup.cli.options import as_option, json_option
from bringup.report.output import answer, emit_json, say
from bringup.report.style import glyph, table

if TYPE_CHECKING:
    from bringup import Board, Event, Lab
    from bringup.base.events import Emit
    from bringup.boot.stop import Stop
    from bringup.jobs.batch import Outcome
    from bringup.jobs.power import PowerAction

_TOLD = (
    "board.unknown",
    "board.met",
    "bmc.silent",
    "bmc.back",
    "power.again",
    "power.unclear",
    "power.putting_back",
    "power.left",
)
# Asking disturbs nobody, so that more are asked than would be switched.
_ASKED_AT_ONCE = 64
_ACTIONS = ["status", "on", "off", "soft", "cycle", "reset"]


@click.command()
@click.argument("board", shell_complete=board_and_tag_names)
@click.argument("action", type=click.Choice(_ACTIONS), default="status")
@as_option()
@click.option("--force", is_flag=True, help="Also while somebody else works on it; they are told.")
@json_option()
@batch_options
@click.pass_context
def command(
    ctx: click.Context, /, board: str, action: str, force: bool, as_json: bool, **options: Any
) -> int | None:
    """Ask for or change the power of BOARD. Acts only when two reads agree, and confirms what it did.

    BOARD may stand for several: a list with commas, a pattern ('shelf-*') or a tag of the lab file.

    \b
    status  say whether the board is on (the default); of several 64 at a time without --jobs
    on      switch on; a board that is on is left alone
    off     switch off at once
    soft    ask the operating system to shut down, and wait for it
    cycle   off, a pause, on; a board that is off is switched on
    reset   hard reset of a board that is on

    While somebody boots or probes the board, whatever changes its power is refused with their name.

    \b
    Example:
      bringup power e300
      bringup power e300 cycle
      bringup power 'shelf-*' status
    """
    lab = lab_of(ctx)
    if many(lab, board, options):
        boards = chosen(lab, board, f"power {action}", only_failed=options["only_failed"])
        if action == "status":
            named = ctx.get_parameter_source("jobs") is ParameterSource.COMMANDLINE
            return _states(boards, options["jobs"] if named else _ASKED_AT_ONCE, as_json=as_json)
        return _switch_many(lab, boards, action, {**options, "force": force, "as_json": as_json})
    _one(lab.board(board), action, force=force, as_json=as_json)
    return None


def _states(boards: Sequence[Board], at_once: int, *, as_json: bool) -> int:
    from bringup.jobs.batch import worst
    from bringup.jobs.power_status import power_states

    found = power_states(boards, at_once=at_once)
    codes = [said.exit_code if isinstance(said, BringupError) else 0 for _, _, said in found]
    if as_json:
        emit_json(
            {
                "boards": [
                    {
                        "board": board.name,
                        "state": None if state is None else str(state),
                        "error": said.to_dict() if isinstance(said, BringupError) else None,
                    }
                    for board, state, said in found
                ]
            }
        )
    else:
        rows = [
            [board.name, "not known" if state is None else str(state), str(said)]
            for board, state, said in found
        ]
        answer(table(["board", "power", "who says so"], rows))
    return worst(codes)


def _switch_many(lab: Lab, boards: Sequence[Board], action: str, options: dict[str, Any]) -> int:
    from bringup import switch_power
    from bringup.jobs.batch import Outcome

    def work(board: Board, hear: Emit, stop: Stop) -> Outcome:
        switched = switch_power(
            board, cast("PowerAction", action), force=options["force"], listener=hear, stop=stop
        )
        return Outcome(board.name, "ok", 0, reached=str(switched.result))

    return run_many(lab, f"power {action}", boards, work, options, question=f"Power {action} {{boards}}?")


def _one(unit: Board, action: str, *, force: bool, as_json: bool) -> None:
    from bringup.report.person import TerminalPerson

    board = unit.name
    if action == "status":
        from bringup import power_state

        state, who = power_state(unit, TerminalPerson(), listener=None if as_json else _tell)
        if as_json:
            emit_json({"board": board, "state": str(state)})
        else:
            answer(f"{glyph('ok' if str(state) == 'on' else 'idle')} {board} is {state}  ({who})")
        return
    from bringup import switch_power

    switched = switch_power(
        unit,
        cast("PowerAction", action),
        force=force,
        person=TerminalPerson(),
        listener=None if as_json else _tell,
    )
    if as_json:
        emit_json({"board": board, **switched.result.to_dict()})
        return
    if switched.passed_over is not None:
        say(f"careful   {switched.passed_over} was working on {board}, and is told")
    answer(f"{glyph('ok')} {board}: {switched.result}")


def _tell(event: Event) -> None:
    """Say what a person who waits has to know: that something takes longer, and why."""
    if event.kind in _TOLD:
        say(event.text)
