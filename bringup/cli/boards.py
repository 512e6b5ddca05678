"""`bringup boards`: which boards and profiles there are, and one of them explained."""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import CompletionItem

from bringup.base.errors import BringupError, UsageError
from bringup.base.near import did_you_mean
from bringup.cli.context import Context
from bringup.lab.inventory import Board, Lab
from bringup.profile.files import profile_files, title_of
from bringup.profile.load import load_profile
from bringup.profile.toml_lines import shown_path
from bringup.report.output import answer, emit_json
from bringup.report.style import table

_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")


def _complete_name(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    try:
        lab = _lab(ctx)
    except BringupError:
        return []
    names = [*lab.boards, *profile_files(lab.profile_folders)]
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


@click.group(invoke_without_command=True)
@_JSON
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
    lab = _lab(ctx)
    profiles = [
        {"name": name, "title": title_of(path), "file": str(path)}
        for name, path in profile_files(lab.profile_folders).items()
    ]
    if as_json:
        boards = [board.to_dict() for board in lab.boards.values()]
        emit_json({"lab": lab.file and str(lab.file), "boards": boards, "profiles": profiles})
        return
    if lab.file is None:
        answer("no lab.toml here: the board e300 is the twin, a virtual SYS-E300-9D")
    else:
        answer(f"lab  {shown_path(lab.file)}")
    answer("")
    answer(
        table(["board", "profile", "BMC", "console", "boots from"], [_row(b) for b in lab.boards.values()])
    )
    answer("")
    answer(table(["profile", "what it is"], [[p["name"] or "", p["title"] or "?"] for p in profiles]))


@command.command("show")
@click.argument("name", shell_complete=_complete_name)
@_JSON
@click.pass_context
def show(ctx: click.Context, name: str, as_json: bool) -> None:
    """Explain NAME, a board of this lab or a profile: what is known of it, how well, and from where.

    \b
    Example:
      bringup boards show e300
      bringup boards show supermicro-e300-9d-8cn8tp
      bringup boards show supermicro-e300-9d --json
    """
    lab = _lab(ctx)
    board = lab.boards.get(name)
    if board is None and name not in profile_files(lab.profile_folders):
        raise _unknown(name, lab)
    profile = load_profile(name, lab.profile_folders) if board is None else board.profile
    if as_json:
        body: dict[str, Any] = {"board": board and board.to_dict(), "profile": profile.to_dict()}
        emit_json({**body, "unconfirmed": profile.unconfirmed()})
        return
    from bringup.report.boards import board_lines, profile_lines

    answer(*(board_lines(board) if board is not None else ()), *profile_lines(profile))


def _lab(ctx: click.Context) -> Lab:
    context: Context = ctx.find_object(Context) or Context(lab_file=None)
    return context.lab()


def _row(board: Board) -> list[str]:
    if board.twin:
        return [board.name, board.profile_name, "virtual", board.serial, "virtual"]
    bmc, network = board.bmc, board.network
    where = f"{bmc.address}:{bmc.port}" if bmc else "-"
    interface = f" on {network.interface} ({network.mode})" if network else ""
    return [board.name, board.profile_name, where, board.serial, f"{board.boot_mac}{interface}"]


def _unknown(name: str, lab: Lab) -> UsageError:
    names = [*lab.boards, *profile_files(lab.profile_folders)]
    meant = did_you_mean(name, names)
    return UsageError(f"no board or profile {name}{meant}", hint=f"there are: {', '.join(names)}")
