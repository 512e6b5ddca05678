"""`bringup report`: a run as one HTML page, to be kept or sent."""

from __future__ import annotations

from pathlib import Path

import click

from bringup.cli.complete import run_names
from bringup.cli.lab import lab_of
from bringup.cli.options import json_option
from bringup.report.output import answer, emit_json


@click.command()
@click.argument("run_id", required=False, metavar="[RUN]", shell_complete=run_names)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where to write it (default: report.html in the run's folder).",
)
@json_option()
@click.pass_context
def command(ctx: click.Context, run_id: str | None, output: Path | None, as_json: bool) -> None:
    """Write a run (the latest if none is named) as one HTML page that needs nothing else.

    Boots, captures and runs of verify alike: the answer, what was seen and when, the end of the console.

    \b
    Example:
      bringup report
      bringup report 2026-11-23-0007 -o boot.html
    """
    from bringup import find_run, runs_folder
    from bringup.base.whole_file import write_whole
    from bringup.report.html.run import run_html

    run = find_run(runs_folder(lab_of(ctx)), run_id)
    target = output or run.path / "report.html"
    write_whole(target, run_html(run).encode())
    if as_json:
        emit_json({"run": run.run_id, "file": str(target)})
    else:
        answer(f"wrote {target}")
