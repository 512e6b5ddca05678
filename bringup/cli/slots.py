"""`bringup slots`: what a board's disk holds and starts."""

from __future__ import annotations

from typing import Any

import click

from bringup import Firmware
from bringup.cli.complete import board_names
from bringup.cli.lab import lab_of
from bringup.cli.options import as_option, json_option, override_option
from bringup.report.output import answer, emit_json


def slots_options(function: Any) -> Any:
    """Add what `slots` and `rollback` take."""
    for option in reversed(
        (
            click.argument("board", shell_complete=board_names),
            click.option(
                "--disk", metavar="NAME", help="Serial, WWN or path, where several disks have slots."
            ),
            click.option(
                "--firmware", type=click.Choice([str(f) for f in Firmware]), help="Default: the profile's."
            ),
            override_option(),
            click.option("--restart", is_flag=True, help="Restart a real board that is on without asking."),
            click.option("--steal", is_flag=True, help="Take the console even if somebody else holds it."),
            click.option("--keep", is_flag=True, help="Leave the twin up afterwards if this started it."),
            json_option(),
            as_option(),
            click.pass_context,
        )
    ):
        function = option(function)
    return function


@click.command()
@slots_options
def command(ctx: click.Context, /, as_json: bool, **options: Any) -> int:
    """Show what is in the slots of BOARD's disk, and which one starts; the board is booted into a ramdisk.

    \b
    Example:
      bringup slots e300
    """
    return run_slots(ctx, options, back=False, as_json=as_json)


def run_slots(ctx: click.Context, options: dict[str, Any], *, back: bool, as_json: bool) -> int:
    """Look at the slots, go back where `back`, tell, and return the exit code."""
    from bringup import BootRequest, plan_slots
    from bringup.report.person import TerminalPerson

    boot = BootRequest(
        firmware=Firmware(options["firmware"]) if options["firmware"] else None,
        steal=options["steal"],
        keep_twin=options["keep"],
        override=options["override"],
        restart=options["restart"],
    )
    planned = plan_slots(lab_of(ctx), options["board"], boot, disk=options["disk"], back=back)
    if as_json:
        done = planned.run(None, TerminalPerson())
        emit_json({**done.verdict, **planned.seen.to_dict()})
        return done.exit_code
    from bringup.report.boot_view import boot_display
    from bringup.report.reimage import slots_lines
    from bringup.report.run import verdict_lines
    from bringup.report.viewer import Viewer

    with Viewer(boot_display) as viewer:
        done = planned.run(viewer, TerminalPerson(viewer.tell))
    if done.ok:
        answer(*slots_lines(options["board"], planned.seen.to_dict()))
    else:
        answer(*verdict_lines(done.verdict))
    return done.exit_code
