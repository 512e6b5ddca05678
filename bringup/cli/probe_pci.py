"""`bringup probe-pci`: what a machine's PCI functions are, and which of them can be given to a VM."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bringup import Firmware, UsageError
from bringup.cli.batch import batch_options, chosen, heard_by, many, run_many
from bringup.cli.boot_options import dry_run
from bringup.cli.complete import board_and_tag_names, profile_names
from bringup.cli.file_path import FilePath
from bringup.cli.lab import lab_of
from bringup.cli.options import as_option, engine_option, json_option, override_option
from bringup.cli.probe_refusals import refuse_senseless
from bringup.report.output import answer, emit, emit_json, say

if TYPE_CHECKING:
    from bringup import Assessment, Board, Lab, Machine, PlannedCapture
    from bringup.base.events import Emit
    from bringup.boot.stop import Stop
    from bringup.jobs.batch import Outcome


class _Source(click.Path):
    """A path that was given: an empty one, from a variable that is not set, is not this folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            raise UsageError("--from has an empty name", hint="is a variable not set?")
        return super().convert(value, param, ctx)


@click.command("probe-pci")
@click.argument("board", required=False, shell_complete=board_and_tag_names)
@click.option(
    "--from",
    "paths",
    type=_Source(path_type=Path, readable=False),
    multiple=True,
    help="Read a capture instead of probing: bundle, folder, lspci, pciconf, boot log. Several are merged.",
)
@click.option("--local", is_flag=True, help="Read this machine.")
@click.option("--collector", is_flag=True, help="Print a POSIX sh script that captures any Linux machine.")
@click.option("--profile", metavar="NAME", shell_complete=profile_names, help="Judge by this board profile.")
@click.option("--all", "everything", is_flag=True, help="Every function, not only Ethernet controllers.")
@click.option("--tree", is_flag=True, help="Show the topology as a tree.")
@click.option("--split", is_flag=True, help="Show which network ports can go to different VMs.")
@json_option("docs/probe-pci.md")
@click.option(
    "--svg",
    metavar="FILE",
    type=FilePath(readable=False),
    help="Draw the topology into FILE; - is stdout.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show evidence and sources too.")
@click.option("--firmware-probe", is_flag=True, help="BOARD: only the probe that runs before any system.")
@click.option("--linux-probe", is_flag=True, help="BOARD: only the small Linux.")
@click.option(
    "--firmware", type=click.Choice([str(f) for f in Firmware]), help="BOARD: how to boot the probe."
)
@override_option()
@click.option("--restart", is_flag=True, help="BOARD: restart it even though it is on.")
@engine_option()
@click.option("--steal", is_flag=True, help="BOARD: take the console even if somebody else holds it.")
@click.option("--dry-run", is_flag=True, help="BOARD: print what would be done and touch nothing.")
@as_option()
@click.option("--keep", is_flag=True, help="BOARD: leave the twin up afterwards if this probe started it.")
@batch_options
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> int:
    """Say what PCI functions a machine has, and which Ethernet controllers can be given to a VM.

    BOARD is booted from the network twice: into a probe that sees the machine as seL4 will find it, then
    into a small Linux that only reads. What both saw is kept as the board's latest capture. The exit code is
    0 when the facts could be read, whatever they say; where one of the two probes failed, a line tells.
    BOARD may stand for several (a list with commas, a pattern, a tag): then the captures are kept and named.

    \b
    Example:
      bringup probe-pci e300
      bringup probe-pci 'shelf-*' --restart
      bringup probe-pci --from capture.tar.gz --tree
      bringup probe-pci --from capture.tar.gz --split
      bringup probe-pci --from lspci.txt --from boot.log --profile supermicro-e300-9d --json
      bringup probe-pci --collector > collect.sh      then, on the machine: sh collect.sh
    """
    refuse_senseless(options)
    if options["collector"]:
        from bringup.probe.collector import collector_script

        emit(collector_script())
        return 0
    if options["dry_run"]:
        jobs = _planned(lab_of(ctx), options).jobs
        return dry_run(jobs.values(), as_json=options["as_json"])
    from bringup import assess
    from bringup.jobs.configure.facts import named_profile, profile_for

    lab = lab_of(ctx)
    if options["board"] and many(lab, options["board"], options):
        return _probe_many(lab, options)
    planned = _planned(lab, options) if options["board"] else None
    # The planned one: another engine makes the twin another machine, with a profile of its own.
    named = named_profile(lab, options["profile"], [planned.board] if planned else ())
    machine = _probed(planned, as_json=options["as_json"]) if planned else _read(options)
    profile, why_no_profile = profile_for(lab, machine, named)
    assessment = assess(machine, profile)
    if options["svg"] is not None:
        _draw(assessment, options["svg"], quiet=options["as_json"])
    if options["as_json"]:
        emit_json(_json(assessment, split=options["split"]))
    elif options["svg"] is None or options["tree"] or options["everything"] or options["split"]:
        from bringup.report.pci.text import View, report_lines
        from bringup.report.pci.tree import report_as_tree
        from bringup.report.screen import screen_width

        view = View(screen_width(), options["everything"], options["verbose"], why_no_profile)
        if options["split"]:
            from bringup.report.pci.split import report_split
            from bringup.rules.split import split_ports

            answer(*report_split(assessment, split_ports(assessment), view))
        else:
            answer(*(report_as_tree if options["tree"] else report_lines)(assessment, view))
    return 0


def _json(assessment: Assessment, *, split: bool) -> dict[str, Any]:
    from bringup.pci.export.machine import to_json

    body = to_json(assessment)
    if split:
        from bringup.report.pci.split import split_json
        from bringup.rules.split import split_ports

        body["split"] = split_json(split_ports(assessment))
    return body


def _probe_many(lab: Lab, options: dict[str, Any]) -> int:
    from bringup.jobs.batch import Outcome, failed

    def work(board: Board, hear: Emit, stop: Stop) -> Outcome:
        planned = _planned(lab, {**options, "board": board.name})
        probed = planned.run(heard_by(hear), None, stop)
        error = next(iter(probed.failed.values()), None)
        return Outcome(board.name, "ok", 0, str(probed.path)) if error is None else failed(board.name, error)

    boards = chosen(lab, options["board"], "probe-pci", only_failed=options["only_failed"])
    return run_many(lab, "probe-pci", boards, work, options, question="Restart {boards}?")


def _read(options: dict[str, Any]) -> Machine:
    from bringup import open_capture, open_local

    if options["local"]:
        from bringup.base.privilege import become_person

        machine = open_local()
        become_person()  # reading is all that root was needed for
        return machine
    return open_capture(options["paths"])


def _probed(planned: PlannedCapture, *, as_json: bool) -> Machine:
    from bringup.report.boot_view import boot_display
    from bringup.report.person import TerminalPerson
    from bringup.report.probe import failed_lines
    from bringup.report.viewer import Viewer

    if as_json:
        return planned.run(None, TerminalPerson()).machine()
    with Viewer(boot_display) as viewer:
        probed = planned.run(viewer, TerminalPerson(viewer.tell))
    say(*failed_lines(probed))
    return probed.machine()


def _planned(lab: Lab, options: dict[str, Any]) -> PlannedCapture:
    from bringup import CaptureRequest, plan_capture
    from bringup.jobs.capture.probes import BOTH
    from bringup.twin.engines import TwinSetup

    request = CaptureRequest(
        probes=[probe for probe in BOTH if options[f"{probe}_probe"]] or BOTH,
        firmware=Firmware(options["firmware"]) if options["firmware"] else None,
        restart=options["restart"],
        override=options["override"],
        steal=options["steal"],
        keep_twin=options["keep"],
        twin=TwinSetup(options["engine"]),
    )
    return plan_capture(lab, options["board"], request)


def _draw(assessment: Assessment, path: Path, *, quiet: bool) -> None:
    from bringup.report.pci.svg import svg
    from bringup.report.write_file import STANDARD_OUTPUT, write_named

    write_named(path, svg(assessment))
    if not quiet and path != STANDARD_OUTPUT:
        say(f"wrote {path}")
