"""`bringup boards`: which boards and profiles there are, and one of them explained."""

from __future__ import annotations

import click

from bringup import UsageError
from bringup.base.near import did_you_mean
from bringup.cli.complete import board_and_profile_names, board_names
from bringup.cli.lab import lab_of
from bringup.cli.options import json_option
from bringup.profile.files import profile_files
from bringup.report.output import answer, emit_json


@click.group(invoke_without_command=True)
@json_option()
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List the boards of this lab and the profiles; `bringup boards show` explains one.

    \b
    Example:
      bringup boards
      bringup boards show e300
    """
    if ctx.invoked_subcommand is not None:
        return
    from bringup.report.lab import lab_json, lab_lines

    lab = lab_of(ctx)
    profiles = profile_files(lab.profile_folders)
    if as_json:
        emit_json(lab_json(lab, profiles))
    else:
        answer(*lab_lines(lab, profiles))


@command.command("show")
@click.argument("name", shell_complete=board_and_profile_names)
@json_option()
@click.pass_context
def show(ctx: click.Context, name: str, as_json: bool) -> None:
    """Explain NAME, a board of this lab or a profile: what is known of it, how well, and from where.

    \b
    Example:
      bringup boards show e300
      bringup boards show supermicro-e300-9d-8cn8tp
      bringup boards show supermicro-e300-9d --json
    """
    from bringup import load_profile
    from bringup.lab.identity import known_identity
    from bringup.report.board import board_json, board_lines, profile_lines

    lab = lab_of(ctx)
    board = lab.boards.get(name)
    names = [*lab.boards, *profile_files(lab.profile_folders)]
    if name not in names:
        raise UsageError(
            f"no board or profile {name}{did_you_mean(name, names)}", hint=f"there are: {', '.join(names)}"
        )
    profile = load_profile(name, lab.profile_folders) if board is None else board.profile
    identity = None if board is None or board.twin else known_identity(board)
    if as_json:
        emit_json(board_json(board, identity, profile))
    else:
        answer(*(board_lines(board, identity) if board is not None else ()), *profile_lines(profile))


@command.command("forget")
@click.argument("board", shell_complete=board_names)
@json_option()
@click.pass_context
def forget(ctx: click.Context, board: str, as_json: bool) -> None:
    """Forget whose BMC BOARD's was, after its hardware was changed; the next use remembers it anew.

    \b
    Example:
      bringup boards forget e300-1
    """
    from bringup.lab.identity import forget_identity

    known = forget_identity(lab_of(ctx).board(board))
    if as_json:
        emit_json({"board": board, "forgot": known and known.bmc})
        return
    answer(f"{board}: its BMC was not known" if known is None else f"{board}: forgot {known.bmc}")
