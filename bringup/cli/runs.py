"""`bringup runs`: what was booted, how it ended, and one run in full."""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import CompletionItem

from bringup.boot.folders import RunFolder, default_runs_folder, find_run, list_runs
from bringup.cli.context import Context
from bringup.report.output import answer, emit_json
from bringup.report.style import table

_SHOWN = 20


def _complete_run(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    runs = list_runs(default_runs_folder())
    return [CompletionItem(run.run_id) for run in reversed(runs) if run.run_id.startswith(incomplete)]


def summary(run: RunFolder) -> dict[str, Any]:
    """Return one line's worth of a run; a run without a verdict was killed or still goes on."""
    verdict = run.read_json("verdict.json") or {}
    plan = run.read_json("plan.json") or {}
    return {
        "run": run.run_id,
        "board": plan.get("board"),
        "verdict": verdict.get("verdict", "unfinished"),
        "stage": verdict.get("stage"),
        "cause": verdict.get("cause"),
        "at_s": verdict.get("at_s"),
    }


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.option("--all", "show_all", is_flag=True, help=f"Not only the last {_SHOWN}.")
@click.pass_context
def command(ctx: click.Context, as_json: bool, show_all: bool) -> None:
    """List what was booted; `bringup runs show` prints one run.

    \b
    Example:
      bringup runs
      bringup runs show 2026-11-23-0007
    """
    if ctx.invoked_subcommand is not None:
        return
    parent = _parent(ctx)
    runs = list_runs(parent)
    rows = [summary(run) for run in (runs if show_all else runs[-_SHOWN:])]
    if as_json:
        emit_json({"runs": rows, "folder": str(parent)})
        return
    if not rows:
        answer(f"no runs in {parent} yet; try: bringup boot e300")
        return
    answer(
        table(
            ["run", "board", "verdict", "stage", "seconds", "cause"],
            [
                [
                    row["run"],
                    row["board"] or "?",
                    row["verdict"],
                    row["stage"] or "-",
                    "-" if row["at_s"] is None else f"{row['at_s']:.1f}",
                    row["cause"] or "",
                ]
                for row in rows
            ],
        )
    )


@command.command("show")
@click.argument("run_id", required=False, shell_complete=_complete_run)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
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
    run = find_run(_parent(ctx), run_id)
    if as_json:
        emit_json(_whole(run, with_events=events))
        return
    from bringup.report.run import console_lines, event_lines, run_report

    answer(run_report(run))
    if events:
        answer(*event_lines(run))
    if console:
        answer(*console_lines(run))


def _whole(run: RunFolder, *, with_events: bool) -> dict[str, Any]:
    body: dict[str, Any] = {"run": run.run_id, "folder": str(run.path)}
    for name in ("plan", "image", "profile", "verdict"):
        body[name] = run.read_json(f"{name}.json")
    if with_events:
        body["events"] = [
            {
                "t": event.at_s,
                "source": event.source,
                "kind": event.kind,
                "text": event.text,
                "data": event.data,
            }
            for event in run.events()
        ]
    return body


def _parent(ctx: click.Context) -> Any:
    context: Context = ctx.find_object(Context) or Context(lab_file=None)
    return context.lab().runs_folder or default_runs_folder()
