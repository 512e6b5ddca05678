"""`bringup lease`: take a board for a time, so that only your commands come through."""

from __future__ import annotations

from collections.abc import Callable

import click

from bringup.cli.complete import board_names
from bringup.cli.lab import lab_of
from bringup.cli.length import Length
from bringup.cli.options import Function, as_option, json_option
from bringup.report.output import answer, emit_json
from bringup.report.style import glyph

_NO_PURPOSE = "no purpose given"
_LEAST_S, _MOST_S = 1.0, 7 * 86400.0


def _lease_options() -> Callable[[Function], Function]:
    """Return what adds `--for` and `--purpose` to a command."""

    def add(function: Function) -> Function:
        length = click.option(
            "--for",
            "seconds",
            type=Length(_LEAST_S, _MOST_S, unit_needed=True, beyond="take it anew before it ends"),
            metavar="TIME",
            default="1h",
            show_default=True,
            help="How long: 2h, 90m, 1d; at most 7d.",
        )
        purpose = click.option(
            "--purpose",
            metavar="TEXT",
            callback=lambda _ctx, _parameter, text: text or _NO_PURPOSE,
            help="What for, as others are told.",
        )
        return length(purpose(function))

    return add


@click.group()
def command() -> None:
    """Take a board for a time: others are refused with your name, purpose and until when.

    A lease ends when its time is over, when it is released, and at once when the process that keeps it is
    killed or this host restarts.

    \b
    Example:
      bringup lease take e300 --for 2h --purpose "BIOS update"
      bringup lease list
      bringup lease release e300
    """


@command.command()
@click.argument("board", shell_complete=board_names)
@_lease_options()
@as_option()
@json_option()
@click.pass_context
def take(ctx: click.Context, board: str, seconds: float, purpose: str, as_json: bool) -> None:
    """Take BOARD; a lease of yours begins anew. Your own commands go through, others' are refused.

    \b
    Example:
      bringup lease take e300 --for 2h --purpose "BIOS update"
    """
    from bringup.jobs.lease import take_lease
    from bringup.lab.held import Lease
    from bringup.report.lease import lease_json, yours_line

    lease = Lease(board, take_lease(lab_of(ctx).board(board), purpose, seconds))
    if as_json:
        emit_json(lease_json(lease))
    else:
        answer(yours_line(lease))


@command.command("list")
@json_option()
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """List who has which board of this lab: leases that were taken, and commands at work.

    \b
    Example:
      bringup lease list
      bringup lease list --json
    """
    from bringup.lab.held import leases
    from bringup.report.lease import lease_json, lease_lines

    found = leases(lab_of(ctx))
    if as_json:
        emit_json({"leases": [lease_json(lease) for lease in found]})
    else:
        answer(*lease_lines(found))


@command.command()
@click.argument("board", shell_complete=board_names)
@as_option()
@json_option()
@click.pass_context
def release(ctx: click.Context, board: str, as_json: bool) -> None:
    """End your lease of BOARD.

    \b
    Example:
      bringup lease release e300
    """
    from bringup.jobs.lease import release_lease

    ended = release_lease(lab_of(ctx).board(board))
    if as_json:
        emit_json({"board": board, "released": ended is not None})
    elif ended is None:
        answer(f"{glyph('idle')} {board} was not taken")
    else:
        answer(f"{glyph('ok')} {board} is free")


@command.command()
@click.argument("board", shell_complete=board_names)
@_lease_options()
@as_option()
@json_option()
@click.pass_context
def steal(ctx: click.Context, board: str, seconds: float, purpose: str, as_json: bool) -> None:
    """Take BOARD whoever has it. A command of theirs that is at work goes on, and their run records it.

    \b
    Example:
      bringup lease steal e300 --for 30m --purpose "fan is on fire"
    """
    from bringup.jobs.lease import steal_lease
    from bringup.lab.held import Lease
    from bringup.report.lease import lease_json, yours_line

    holder, before = steal_lease(lab_of(ctx).board(board), purpose, seconds)
    lease = Lease(board, holder)
    if as_json:
        emit_json({**lease_json(lease), "taken_from": [lease_json(Lease(board, each)) for each in before]})
    else:
        answer(*(f"careful   taken from {each}" for each in before), yours_line(lease))
