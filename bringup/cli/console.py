"""`bringup console`: attach to a board's console."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from bringup.cli.complete import board_names
from bringup.cli.file_path import FilePath
from bringup.cli.lab import lab_of
from bringup.cli.length import Length
from bringup.cli.options import as_option

CONSOLE_MAX_S = 366 * 86400


@click.command()
@click.argument("board", shell_complete=board_names)
@click.option("--listen", is_flag=True, help="Read only: nothing is ever sent.")
@click.option(
    "--for",
    "for_s",
    type=Length(0, CONSOLE_MAX_S),
    metavar="TIME",
    help="Leave after so long: 60 (seconds), 10m, 2h.",
)
@click.option("--log", "log_file", type=FilePath(dir_okay=False), help="Append, with times.")
@click.option("--steal", is_flag=True, help="Take SOL from whoever has it; their console ends.")
@click.option(
    "--force", is_flag=True, help="Type even while somebody else works on the board; they are told."
)
@click.option("--escape", default="^]", show_default=True, metavar="KEY", help="The escape key.")
@as_option()
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line on stdout.")
@click.pass_context
def command(
    ctx: click.Context,
    board: str,
    listen: bool,
    for_s: float | None,
    log_file: Path | None,
    steal: bool,
    force: bool,
    escape: str,
    as_json: bool,
) -> None:
    """Attach to the console of BOARD. It comes back by itself after a loss, and every gap is shown.

    Leave with Ctrl-] and a dot; Ctrl-] ? lists the other keys. Piped input is sent as it is, and the console
    is left when the board then has been silent for 3 s (or after --for).

    With --listen it is read beside whoever has it on this host: a boot, a probe, another console. Without,
    somebody who only listens hands it over and reads on.

    \b
    Example:
      bringup console e300
      bringup console e300 --listen --for 10m --log boot.log
      echo dmesg | bringup console e300
    """
    from bringup import attached_console
    from bringup.console.screen import ConsoleFile, JsonScreen, TextScreen
    from bringup.console.terminal import (
        Options,
        TerminalSession,
        ended_by_signals,
        escape_name,
        parse_escape,
    )

    options = Options(escape=parse_escape(escape), listen=listen, for_s=for_s)
    unit = lab_of(ctx).board(board)
    log = None if log_file is None else ConsoleFile(log_file)
    screen: TextScreen | JsonScreen
    screen = JsonScreen(output=1, log=log) if as_json else TextScreen(output=1, notices=2, log=log)
    attached = attached_console(unit, screen.tell, listen=listen, steal=steal, force=force)
    try:
        with ended_by_signals(), attached as console, ended_by_signals():
            name = escape_name(options.escape)
            keys = None if sys.stdin is None else sys.stdin.fileno()
            leave = f"; {name} . leaves, {name} ? helps" if sys.stdin and sys.stdin.isatty() else ""
            screen.notice(f"{console.describe()}{leave}")
            TerminalSession(console, screen, options, keys).run()
    finally:
        screen.close()
        if log is not None:
            log.close()
