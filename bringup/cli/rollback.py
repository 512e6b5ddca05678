"""`bringup rollback`: the image before the last change starts again."""

from __future__ import annotations

from typing import Any

import click

from bringup.cli.slots import run_slots, slots_options


@click.command()
@slots_options
def command(ctx: click.Context, /, as_json: bool, events: bool, **options: Any) -> int:
    """Let BOARD's disk start the image before the last change from now on.

    Nothing but the two state files is written. Without a network the same is done at the loader: press a or b
    on the console within 2 s after the loader begins.

    BOARD may stand for several: a list with commas, a pattern ('shelf-*') or a tag of the lab file.

    \b
    Example:
      bringup rollback e300
      bringup rollback e300 --dry-run
      bringup rollback shelf-03,shelf-07
    """
    return run_slots(ctx, options, back=True, as_json=as_json, events=events)
