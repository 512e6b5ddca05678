"""`bringup pci`: work on captures of PCI functions, without any board."""

from __future__ import annotations

import click

from bringup import UsageError
from bringup.cli.complete import capture_names
from bringup.cli.lab import lab_for
from bringup.cli.options import json_option
from bringup.report.output import answer, emit_json

_DIFFERS = 12


@click.group()
def command() -> None:
    """Compare captures that `bringup probe-pci` made or can read.

    \b
    Example:
      bringup pci diff before.tar.gz after.tar.gz
    """


@command.command()
@click.argument("a", shell_complete=capture_names)
@click.argument("b", shell_complete=capture_names)
@json_option("docs/probe-pci.md")
@click.option("--check", is_flag=True, help="Exit with 12 when an address, a BAR or a pin differs.")
@click.pass_context
def diff(ctx: click.Context, a: str, b: str, as_json: bool, check: bool) -> int:
    """Tell what moved, came, went or changed from capture A to capture B.

    A and B: anything that `bringup probe-pci --from` reads, or a board, which stands for its latest capture.
    A function that got another bus number is told as moved. The exit code is 0 whether they differ or not.

    \b
    Example:
      bringup pci diff before.tar.gz after.tar.gz
      bringup pci diff e300 lspci.txt --check
    """
    from bringup import find_capture, open_capture
    from bringup.pci.diff.compare import differences

    if a == b == "-":
        raise UsageError("standard input was named twice, and can be read once", hint="write one to a file")
    lab = lab_for(ctx, (a, b))
    first, second = (open_capture([find_capture(lab, text)]) for text in (a, b))
    found = differences(first, second)
    if as_json:
        from bringup.pci.diff.export import diff_json

        emit_json(diff_json(found, first, second))
    else:
        from bringup.report.pci.diff import diff_lines
        from bringup.report.screen import screen_width

        answer(*diff_lines(found, width=screen_width()))
    return _DIFFERS if check and found.matters else 0
