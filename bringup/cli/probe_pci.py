"""`bringup probe-pci`: what a machine's PCI functions are, and which of them can be given to a VM."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bringup.base.errors import UsageError
from bringup.base.firmware import Firmware
from bringup.cli.complete import board_names, profile_names
from bringup.cli.context import Context
from bringup.cli.options import json_option
from bringup.report.output import answer, emit, emit_json, say

if TYPE_CHECKING:
    from bringup.jobs.capture.job import CaptureRequest
    from bringup.pci.assessment import Assessment
    from bringup.pci.model import Machine
    from bringup.profile.model import Profile


class _Source(click.Path):
    """A path that was given: an empty one, from a variable that is not set, is not this folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            raise UsageError("--from has an empty name", hint="is a variable not set?")
        return super().convert(value, param, ctx)


@click.command("probe-pci")
@click.argument("board", required=False, shell_complete=board_names)
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
@json_option("docs/probe-pci.md")
@click.option(
    "--svg",
    metavar="FILE",
    type=click.Path(path_type=Path, readable=False),
    help="Draw the topology into FILE; - is stdout.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show evidence and sources too.")
@click.option("--firmware-probe", is_flag=True, help="BOARD: only the probe that runs before any system.")
@click.option("--linux-probe", is_flag=True, help="BOARD: only the small Linux.")
@click.option(
    "--firmware", type=click.Choice([str(f) for f in Firmware]), help="BOARD: how to boot the probe."
)
@click.option("--restart", is_flag=True, help="BOARD: restart it even though it is on.")
@click.option("--steal", is_flag=True, help="BOARD: take the console even if somebody else holds it.")
@click.option("--dry-run", is_flag=True, help="BOARD: print what would be done and touch nothing.")
@click.option("--keep", is_flag=True, help="BOARD: leave the twin up afterwards if this probe started it.")
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> int:
    """Say what PCI functions a machine has, and which Ethernet controllers can be given to a VM.

    BOARD is booted from the network twice: into a probe that sees the machine as seL4 will find it, then
    into a small Linux that only reads. What both saw is kept as the board's latest capture. The exit code is
    0 when the facts could be read, whatever they say; where one of the two probes failed, a line tells.

    \b
    Example:
      bringup probe-pci e300
      bringup probe-pci --from capture.tar.gz --tree
      bringup probe-pci --from lspci.txt --from boot.log --profile supermicro-e300-9d --json
      bringup probe-pci --collector > collect.sh      then, on the machine: sh collect.sh
    """
    _check(options)
    if options["collector"]:
        from bringup.probe.collector import collector_script

        emit(collector_script())
        return 0
    context = Context.of(ctx)
    if options["dry_run"]:
        return _dry_run(context, options)
    assessment, why_no_profile = _assessed(context, options)
    if options["svg"] is not None:
        _draw(assessment, options["svg"], quiet=options["as_json"])
    if options["as_json"]:
        from bringup.pci.export.machine import to_json

        emit_json(to_json(assessment))
    elif options["svg"] is None or options["tree"] or options["everything"]:
        _show(assessment, options, why_no_profile)
    return 0


def _check(options: dict[str, Any]) -> None:
    """Refuse a command line that names no machine, or several, or options that have no meaning with it."""
    named = [
        word
        for word, given in (
            ("BOARD", options["board"]),
            ("--from", options["paths"]),
            ("--local", options["local"]),
            ("--collector", options["collector"]),
        )
        if given
    ]
    if len(named) != 1:
        told = f"{' and '.join(named)} exclude each other" if named else "no machine named"
        raise UsageError(
            told, hint="give one of: BOARD, --from PATH, --local, --collector; see bringup probe-pci --help"
        )
    if not options["board"]:
        for word in ("firmware_probe", "linux_probe", "firmware", "restart", "steal", "keep", "dry_run"):
            if options[word]:
                option = f"--{word.replace('_', '-')}"
                raise UsageError(f"{option} is about probing a board, and none is named", hint="name a BOARD")
    if options["collector"]:
        for word in ("profile", "everything", "tree", "as_json", "svg", "verbose"):
            if options[word]:
                raise UsageError("--collector prints a script and nothing else", hint="leave the rest out")
    if options["as_json"] and options["tree"]:
        raise UsageError("--json and --tree exclude each other", hint="the JSON has the topology: `path`")
    if options["svg"] is not None and options["svg"].is_dir():
        raise UsageError(f"{options['svg']} is a folder", hint="name a file: --svg topology.svg")
    if options["as_json"] and str(options["svg"]) == "-":
        raise UsageError(
            "--json and --svg - both go to standard output", hint="name a file: --svg topology.svg"
        )


def _assessed(context: Context, options: dict[str, Any]) -> tuple[Assessment, str]:
    """Return what follows from the machine that was named, and why it was judged without a profile, if so."""
    from bringup.pci.match.board import profile_and_reason
    from bringup.rules.assess import assess

    profile, reason = _named_profile(context, options), ""
    machine = _machine(context, options)
    if profile is None:
        profile, reason = profile_and_reason(machine, context.lab().profile_folders)
    return assess(machine, profile), reason


def _machine(context: Context, options: dict[str, Any]) -> Machine:
    from bringup.pci.capture.open import open_capture, open_local

    if options["local"]:
        return open_local()
    if options["paths"]:
        return open_capture(options["paths"])
    return _probed(context, options)


def _probed(context: Context, options: dict[str, Any]) -> Machine:
    """Boot the probes on a board and return what they saw."""
    from bringup.jobs.capture.job import plan_capture
    from bringup.report.boot_view import boot_display
    from bringup.report.person import TerminalPerson
    from bringup.report.probe import failed_lines

    planned = plan_capture(context.lab(), options["board"], _request(options))
    probed = planned.run(None if options["as_json"] else boot_display, TerminalPerson())
    if not options["as_json"]:
        say(*failed_lines(probed))
    return probed.machine()


def _request(options: dict[str, Any]) -> CaptureRequest:
    from bringup.jobs.capture.job import CaptureRequest
    from bringup.jobs.capture.probes import BOTH

    return CaptureRequest(
        probes=[probe for probe in BOTH if options[f"{probe}_probe"]] or BOTH,
        firmware=Firmware(options["firmware"]) if options["firmware"] else None,
        restart=options["restart"],
        steal=options["steal"],
        keep_twin=options["keep"],
    )


def _dry_run(context: Context, options: dict[str, Any]) -> int:
    from bringup.jobs.capture.job import plan_capture

    planned = plan_capture(context.lab(), options["board"], _request(options))
    plans = [job.plan.to_dict() for job in planned.jobs.values()]
    if options["as_json"]:
        emit_json({"plans": plans})
        return 0
    from bringup.report.run import plan_lines

    for plan in plans:
        answer(*plan_lines(plan))
    return 0


def _named_profile(context: Context, options: dict[str, Any]) -> Profile | None:
    """Return the profile that was named, else the board's; asked before a boot, so that a typo costs none."""
    if options["profile"] is not None:
        from bringup.profile.load import load_profile

        return load_profile(options["profile"], context.lab().profile_folders)
    return context.lab().board(options["board"]).profile if options["board"] else None


def _show(assessment: Assessment, options: dict[str, Any], why_no_profile: str) -> None:
    from bringup.report.screen import screen_width

    width = screen_width()
    if options["tree"]:
        from bringup.report.pci.text import headline
        from bringup.report.pci.tree import tree_lines

        answer(*headline(assessment, width, why_no_profile))
        answer(*tree_lines(assessment, width=width, everything=options["everything"]))
        return
    from bringup.report.pci.text import View, report_lines

    view = View(width, options["everything"], options["verbose"], why_no_profile)
    answer(*report_lines(assessment, view))


def _draw(assessment: Assessment, path: Path, *, quiet: bool) -> None:
    from bringup.report.pci.svg import svg
    from bringup.report.write_file import STANDARD_OUTPUT, write_named

    write_named(path, svg(assessment))
    if not quiet and path != STANDARD_OUTPUT:
        say(f"wrote {path}")
