"""`bringup runs trace` and `bringup runs diff`: one boot on one clock, two boots side by side."""

from __future__ import annotations

import click

from bringup.cli.complete import run_names
from bringup.cli.lab import lab_of
from bringup.cli.options import json_option
from bringup.report.output import answer, emit_json


@click.command("trace")
@click.argument("run_id", required=False, shell_complete=run_names)
@click.option("--follow", is_flag=True, help="Go on with the run until it ends.")
@json_option("docs/runs.md")
@click.pass_context
def trace(ctx: click.Context, run_id: str | None, follow: bool, as_json: bool) -> None:
    """Show a run (the latest if none is named) on one clock: BMC, DHCP, TFTP, HTTP and console.

    It ends in what was reached, the first thing that is missing, and the causes that the facts leave.

    \b
    Example:
      bringup runs trace
      bringup runs trace 2026-11-23-0007 --follow
    """
    from bringup import find_run, runs_folder
    from bringup.boot.follow import follow as followed
    from bringup.jobs.trace import Tracer, ending_of, moments
    from bringup.report.trace import ending_lines, moment_line, trace_json

    run = find_run(runs_folder(lab_of(ctx)), run_id)
    events = []
    tracer = Tracer()
    for event in followed(run) if follow else ():
        events.append(event)
        moment = None if as_json else tracer.moment(event)
        if moment is not None:
            answer(moment_line(moment))
    events = events or list(run.events())
    seen = list(moments(events))
    ending = ending_of(run, events)
    if as_json:
        emit_json(trace_json(run.run_id, seen, ending))
        return
    if not follow:
        answer(*map(moment_line, seen))
    answer(*ending_lines(ending))


@click.command("diff")
@click.argument("good", shell_complete=run_names)
@click.argument("bad", shell_complete=run_names)
@json_option("docs/runs.md")
@click.pass_context
def diff(ctx: click.Context, good: str, bad: str, as_json: bool) -> None:
    """Show what two runs do not share: image, stage times, and the first console line that differs.

    \b
    Example:
      bringup runs diff 2026-11-23-0006 2026-11-23-0007
    """
    from bringup import find_run, runs_folder
    from bringup.jobs.compare import compare_runs
    from bringup.report.compare import comparison_json, comparison_lines

    folder = runs_folder(lab_of(ctx))
    compared = compare_runs(find_run(folder, good), find_run(folder, bad))
    if as_json:
        emit_json(comparison_json(compared))
    else:
        answer(*comparison_lines(compared))
