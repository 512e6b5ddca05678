"""`bringup runs`: what was booted, how it ended, one run in full, and how one goes on."""

from __future__ import annotations

import click

from bringup.cli.boot_options import EVENTS
from bringup.cli.complete import run_names
from bringup.cli.lab import lab_of
from bringup.cli.options import json_option, refuse_two_forms
from bringup.cli.runs_trace import diff, trace
from bringup.report.output import answer, answer_folded, emit_json

_SHOWN = 20


@click.group(invoke_without_command=True)
@json_option()
@click.option("--all", "show_all", is_flag=True, help=f"Not only the last {_SHOWN}.")
@click.pass_context
def command(ctx: click.Context, as_json: bool, show_all: bool) -> None:
    """List what was booted; `bringup runs show` prints one run, `bringup runs follow` shows how one goes on.

    \b
    Example:
      bringup runs
      bringup runs show 2026-11-23-0007
      bringup runs follow
      bringup runs trace
    """
    if ctx.invoked_subcommand is not None:
        return
    from bringup import list_runs, runs_folder
    from bringup.report.runs import run_row, runs_table
    from bringup.report.screen import fold_width

    folder = runs_folder(lab_of(ctx))
    runs = list_runs(folder)
    if not show_all:
        runs = runs[-_SHOWN:]
    if as_json:
        emit_json({"runs": [run_row(run) for run in runs], "folder": str(folder)})
    elif runs:
        answer(runs_table(runs, fold_width()))
    else:
        answer(f"no runs in {folder} yet; try: bringup boot e300")


@command.command("follow")
@click.argument("run_id", required=False, shell_complete=run_names)
@EVENTS
@json_option()
@click.pass_context
def follow(ctx: click.Context, run_id: str | None, events: bool, as_json: bool) -> int:
    """Show how a run goes on, until it ends (the latest if none is named).

    Ctrl-C ends the watching, not the run. The exit code is that of the run. A re-image is followed to the
    last of its runs; --events are those of the one that is named.

    \b
    Example:
      bringup runs follow
      bringup runs follow 2026-11-23-0007 --events
    """
    from bringup import runs_folder
    from bringup.boot.folders import find_boot
    from bringup.report.follow import show_events, show_run, show_verdict

    refuse_two_forms(as_json=as_json, events=events)
    run = find_boot(runs_folder(lab_of(ctx)), run_id)
    if as_json:
        return show_verdict(run)
    return show_events(run) if events else show_run(run)


@command.command("show")
@click.argument("run_id", required=False, shell_complete=run_names)
@json_option()
@click.option("--events", is_flag=True, help="Every recorded event, one line each.")
@click.option("--console", is_flag=True, help="The console log, each line with its time.")
@click.pass_context
def show(ctx: click.Context, run_id: str | None, as_json: bool, events: bool, console: bool) -> None:
    """Print one run (the latest if none is named).

    \b
    Example:
      bringup runs show
      bringup runs show 2026-11-23-0007 --console
    """
    from bringup import find_run, runs_folder
    from bringup.report.run import console_lines, event_lines, run_report
    from bringup.report.runs import run_json

    run = find_run(runs_folder(lab_of(ctx)), run_id)
    if as_json:
        emit_json(run_json(run, with_events=events))
        return
    answer_folded(*run_report(run).splitlines())
    if events:
        answer(*event_lines(run))
    if console:
        answer(*console_lines(run))


command.add_command(trace)
command.add_command(diff)
