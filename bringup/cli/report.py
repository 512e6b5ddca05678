"""`bringup report`: a run as one HTML page, to be kept or sent; what all runs of a target measured."""

from __future__ import annotations

from pathlib import Path

import click

from bringup import UsageError
from bringup.cli.complete import run_names
from bringup.cli.file_path import FilePath
from bringup.cli.lab import lab_of
from bringup.cli.options import json_option
from bringup.report.output import answer, emit_json


@click.command()
@click.argument("run_id", required=False, metavar="[RUN]", shell_complete=run_names)
@click.option(
    "-o",
    "--output",
    type=FilePath(dir_okay=False),
    metavar="FILE",
    help="Where to write it (default: report.html in the run's folder; a picture only where this is given).",
)
@click.option(
    "--history",
    "target",
    metavar="TARGET",
    help="Throughput of all runs of verify on TARGET, per image; with -o FILE.svg as a picture.",
)
@json_option()
@click.pass_context
def command(
    ctx: click.Context, run_id: str | None, output: Path | None, target: str | None, as_json: bool
) -> None:
    """Write a run (the latest if none is named) as one HTML page that needs nothing else.

    Boots, captures and runs of verify alike: the answer, what was seen and when, the end of the console.
    With --history: the throughput that the runs of a target (a board, or vlab) measured, by the receiver's
    count, as a band for each image and way; a run that came to no figure is a gap, never a 0.

    \b
    Example:
      bringup report
      bringup report 2026-11-23-0007 -o boot.html
      bringup report --history vlab -o rates.svg
    """
    from bringup import find_run, runs_folder
    from bringup.base.whole_file import write_whole
    from bringup.report.html.run import run_html

    if target is not None:
        if run_id is not None:
            raise UsageError("--history is of all runs", hint=f"bringup report --history {target}")
        _history(runs_folder(lab_of(ctx)), target, output, as_json=as_json)
        return
    run = find_run(runs_folder(lab_of(ctx)), run_id)
    page = output or run.path / "report.html"
    write_whole(page, run_html(run).encode())
    if as_json:
        emit_json({"run": run.run_id, "file": str(page)})
    else:
        answer(f"wrote {page}")


def _history(runs: Path, target: str, output: Path | None, *, as_json: bool) -> None:
    from bringup import list_runs
    from bringup.base.whole_file import write_whole
    from bringup.jobs.history import rate_history
    from bringup.report.history import history_json, history_lines
    from bringup.report.html.history import history_svg

    history = rate_history(list_runs(runs), target)
    if not history:
        raise UsageError(
            f"no run of verify on {target} measured throughput", hint=f"bringup verify {target} --only rate"
        )
    if output is not None:
        write_whole(output, history_svg(target, history, alone=True).encode() + b"\n")
    if as_json:
        emit_json(history_json(target, history) | {"file": None if output is None else str(output)})
    else:
        answer(*history_lines(target, history), *([] if output is None else [f"wrote {output}"]))
