"""`bringup power`: ask for or change a board's power, confirmed."""

from __future__ import annotations

import click

from bringup.cli.complete import board_names
from bringup.cli.context import Context
from bringup.report.output import answer, emit_json
from bringup.report.style import glyph

_ACTIONS = ["status", "on", "off", "soft", "cycle", "reset"]


@click.command()
@click.argument("board", shell_complete=board_names)
@click.argument("action", type=click.Choice(_ACTIONS), default="status")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.pass_context
def command(ctx: click.Context, board: str, action: str, as_json: bool) -> None:
    """Ask for or change the power of BOARD. Acts only when two reads agree, and confirms what it did.

    \b
    status  say whether the board is on (the default)
    on      switch on; a board that is on is left alone
    off     switch off at once
    soft    ask the operating system to shut down, and wait for it
    cycle   off, a pause, on; a board that is off is switched on
    reset   hard reset of a board that is on

    \b
    Example:
      bringup power e300
      bringup power e300 cycle
    """
    from bringup.power import actions
    from bringup.power.open import open_power

    lab = (ctx.find_object(Context) or Context(lab_file=None)).lab()
    power = open_power(lab.board(board))
    try:
        if action == "status":
            state = actions.confirmed_state(power)
            if as_json:
                emit_json({"board": board, "state": str(state)})
            else:
                mark = glyph("ok" if state is actions.ON else "idle")
                answer(f"{mark} {board} is {state}  ({power.describe()})")
            return
        act = {
            "on": actions.ensure_on,
            "off": actions.ensure_off,
            "soft": actions.soft_off,
            "cycle": actions.cycle,
            "reset": actions.reset,
        }[action]
        result = act(power, lambda _event: None)
    finally:
        power.close()
    if as_json:
        emit_json({"board": board, **result.to_dict()})
    else:
        answer(f"{glyph('ok')} {board}: {result}")
