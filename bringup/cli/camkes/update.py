"""`bringup camkes update`: passthrough settings put into a file that a person wrote, in place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bringup import ProfileError, UsageError
from bringup.cli.camkes.options import assign_options
from bringup.cli.file_path import FilePath
from bringup.cli.lab import lab_of
from bringup.report.output import answer, emit, emit_json, say
from bringup.report.screen import fold_width


@click.command("update")
@click.argument("application", type=FilePath())
@click.option("-o", "--output", type=FilePath(), metavar="FILE", help="Write here instead.")
@click.option("--diff", is_flag=True, help="Show what would change as a unified diff; write nothing.")
@click.option("--check", is_flag=True, help="Exit 1 when the file is stale, 0 when it is current.")
@click.option("--replace", is_flag=True, help="Drop entries of these VMs that no device is assigned to.")
@assign_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    application: Path,
    output: Path | None,
    diff: bool,
    check: bool,
    replace: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Put the values for the assigned devices into APPLICATION.camkes, changing nothing else.

    Only the numbers change where the entries are there already; comments stay. A value under a preprocessor
    condition or in an included file is refused with its line. The old file stays as APPLICATION.camkes.bak.

    \b
    Example:
      bringup camkes update zmq.camkes --capture e300 --assign vm0=17:00.0 --assign vm2=17:00.1 --diff
      bringup camkes update zmq.camkes --capture e300 --assign vm0=17:00.0 --check
    """
    from bringup import AssignRequest, plan_update
    from bringup.report.camkes.update import update_diff, update_json, update_lines

    dry = diff or check
    if output is not None and dry:
        raise UsageError("-o writes, and --diff and --check do not", hint="give one of them")
    planned = plan_update(lab_of(ctx), application, AssignRequest(**options), output, drop=replace)
    backup = None if dry else planned.write()
    failed = 0 if planned.report.clean else ProfileError.exit_code
    exit_code = int(planned.stale) if check else failed
    if as_json:
        emit_json(update_json(planned, exit_code, backup))
        return exit_code
    if diff:
        emit(update_diff(planned))
    # A diff may be on its way to `patch`: the words are beside it then.
    tell = say if diff else answer
    tell(*update_lines(planned, fold_width(), dry=dry, backup=backup))
    return exit_code
