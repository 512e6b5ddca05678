"""`bringup power`: ask for or change a board's power, confirmed."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from bringup.cli.complete import board_names
from bringup.cli.lab import lab_of
from bringup.cli.options import as_option, json_option
from bringup.report.output import answer, emit_json, say
from bringup.report.style import glyph

if TYPE_CHECKING:
    from bringup import Event
    from bringup.jobs.power import PowerAction

_TOLD = (
    "board.unknown",
    "board.met",
    "bmc.silent",
    "bmc.back",
    "power.again",
    "power.putting_back",
    "power.left",
)
_ACTIONS = ["status", "on", "off", "soft", "cycle", "reset"]


@click.command()
@click.argument("board", shell_complete=board_names)
@click.argument("action", type=click.Choice(_ACTIONS), default="status")
@as_option()
@click.option("--force", is_flag=True, help="Also while somebody else works on it; they are told.")
@json_option()
@click.pass_context
def command(ctx: click.Context, board: str, action: str, force: bool, as_json: bool) -> None:
    """Ask for or change the power of BOARD. Acts only when two reads agree, and confirms what it did.

    \b
    status  say whether the board is on (the default)
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
    """
    from bringup import power_state, switch_power
    from bringup.report.person import TerminalPerson

    unit = lab_of(ctx).board(board)
    if action == "status":
        state, who = power_state(unit, TerminalPerson())
        if as_json:
            emit_json({"board": board, "state": str(state)})
        else:
            answer(f"{glyph('ok' if str(state) == 'on' else 'idle')} {board} is {state}  ({who})")
        return
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
