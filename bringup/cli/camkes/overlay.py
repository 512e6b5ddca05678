"""`bringup camkes overlay`: a generated file that gives an application its passthrough settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bringup import ProfileError
from bringup.cli.camkes.options import assign_options
from bringup.cli.file_path import FilePath
from bringup.cli.lab import lab_of
from bringup.report.output import answer, emit, emit_json, say
from bringup.report.screen import fold_width


@click.command("overlay")
@click.argument("application", type=FilePath())
@click.option("-o", "--output", type=FilePath(), metavar="FILE", help="Default: stdout.")
@assign_options
@click.pass_context
def command(
    ctx: click.Context, /, application: Path, output: Path | None, as_json: bool, **options: Any
) -> int:
    """Write a file that includes APPLICATION.camkes and adds what passthrough needs.

    Every number comes from the capture. The application's own text is not touched; what it sets already is
    left out, and refused where it is wrong. The same input gives the same bytes. Exit 12 when it cannot work.

    \b
    Example:
      bringup camkes overlay zmq.camkes --capture e300 --assign vm0=17:00.0 -o e300/passthrough.camkes
      bringup camkes overlay zmq.camkes --capture pciconf.txt --assign vm0=17:00.0 --assign vm2=17:00.1
      bringup camkes overlay zmq.camkes --capture lspci.txt --assign vm0=17:00.0 --pin 17:00.0=0/16
    """
    from bringup import AssignRequest, plan_overlay
    from bringup.report.camkes.overlay import overlay_json, overlay_lines

    planned = plan_overlay(lab_of(ctx), application, AssignRequest(**options), output)
    planned.write()
    exit_code = 0 if planned.report.clean else ProfileError.exit_code
    if as_json:
        emit_json(overlay_json(planned, exit_code))
        return exit_code
    if output is None:
        emit(planned.data)
    # Where the generated text itself is the answer, the words are beside it.
    tell = say if output is None else answer
    tell(*overlay_lines(planned, fold_width()))
    return exit_code
