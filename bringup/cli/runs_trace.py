"""`bringup runs trace` and `bringup runs diff`: one boot on one clock, two boots side by side."""

from __future__ import annotations

from pathlib import Path

import click

from bringup import UsageError
from bringup.cli.complete import run_names
from bringup.cli.file_path import FilePath
from bringup.cli.lab import lab_of
from bringup.cli.options import json_option
from bringup.report.output import answer, emit_json

_FILE = FilePath(dir_okay=True)


@click.command("trace")
@click.argument("run_id", required=False, shell_complete=run_names)
@click.option("--follow", is_flag=True, help="Go on with the run until it ends.")
@click.option("--pcap", type=_FILE, help="Not a run: a packet capture (pcap, pcapng) of a network boot.")
@click.option("--console", type=_FILE, help="Not a run: a recorded console, of the same boot as --pcap.")
@click.option("--mac", metavar="MAC", help="Whose boot in --pcap (default: who first takes one).")
@json_option("docs/runs.md")
@click.pass_context
def trace(
    ctx: click.Context,
    run_id: str | None,
    follow: bool,
    pcap: Path | None,
    console: Path | None,
    mac: str | None,
    as_json: bool,
) -> None:
    """Show a run (the latest if none is named) on one clock: BMC, DHCP, TFTP, HTTP and console.

    It ends in what was reached, the first thing that is missing, and the causes that the facts leave. A boot
    that another tool served is shown from a packet capture and its console's log.

    \b
    Example:
      bringup runs trace
      bringup runs trace 2026-11-23-0007 --follow
      bringup runs trace --pcap boot.pcap --console console.log
    """
    if mac is not None and pcap is None:
        raise UsageError("--mac is about the packets of --pcap", hint="name them, or leave out --mac")
    if pcap is not None or console is not None:
        if run_id is not None or follow:
            raise UsageError("a run or files, not both", hint="leave out the run and --follow")
        _trace_files(pcap, console, _mac(mac), as_json=as_json)
        return
    from bringup import runs_folder
    from bringup.boot.folders import find_boot
    from bringup.boot.follow import follow as followed
    from bringup.jobs.trace import Tracer, ending_of, moments
    from bringup.report.trace import ending_lines, moment_line, trace_json

    run = find_boot(runs_folder(lab_of(ctx)), run_id)
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


def _trace_files(pcap: Path | None, console: Path | None, mac: str | None, *, as_json: bool) -> None:
    from bringup.jobs.trace import trace_capture
    from bringup.report.trace import ending_lines, moment_line, trace_json

    seen, ending = trace_capture(pcap, console, mac)
    if as_json:
        emit_json(trace_json(str(pcap or console), seen, ending))
    else:
        answer(*map(moment_line, seen), *ending_lines(ending))


def _mac(text: str | None) -> str | None:
    from bringup.lab.network import mac_address

    try:
        return None if text is None else mac_address(text)
    except ValueError as error:
        raise UsageError(f"--mac {text}: {error}") from None


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
    from bringup import runs_folder
    from bringup.boot.folders import find_boot
    from bringup.jobs.compare import compare_runs
    from bringup.report.compare import comparison_json, comparison_lines

    folder = runs_folder(lab_of(ctx))
    compared = compare_runs(find_boot(folder, good), find_boot(folder, bad))
    if as_json:
        emit_json(comparison_json(compared))
    else:
        answer(*comparison_lines(compared))
