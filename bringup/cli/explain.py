"""`bringup explain`: the verdict on a recorded console."""

from __future__ import annotations

from pathlib import Path

import click

from bringup.cli.boot_options import FAIL_TEXT, UNTIL, UNTIL_TEXT
from bringup.cli.file_path import FilePath
from bringup.cli.options import json_option


@click.command()
@click.argument("log", type=FilePath(allow_dash=True))
@click.option(
    "--image",
    type=FilePath(),
    metavar="DIR",
    help="The build's folder: its *.cdl names the VMs, a bringup.toml says what counts.",
)
@UNTIL
@UNTIL_TEXT
@FAIL_TEXT
@click.option("--vms", type=click.IntRange(0, 64), help="How many VMs must have logged in.")
@click.option("--strict", is_flag=True, help="A VM with a dead network controller is a failure.")
@json_option()
def command(
    log: Path,
    image: Path | None,
    until: str | None,
    until_text: tuple[str, ...],
    fail_text: tuple[str, ...],
    vms: int | None,
    strict: bool,
    as_json: bool,
) -> int:
    """Say what the console text in LOG proves: how far the boot came, why it stopped, what to do.

    LOG is a file, a run's folder, or - for standard input, recorded by any program: time stamps, quotes and
    several boots in one file are understood; the last boot counts. The judgement is that of `bringup boot`.
    What the text does not tell is undecided (exit 3).

    \b
    Example:
      bringup explain minicom.cap
      bringup explain boot.log --image build/ --vms 3 --strict
      ssh lab cat /var/log/conserver/e300 | bringup explain - --until login
    """
    from bringup import BootRequest, Stage
    from bringup.jobs.explain import explain
    from bringup.report.explain import explain_lines, recording_dict
    from bringup.report.output import answer_folded, emit_json

    request = BootRequest(
        until=None if until is None else Stage(until),
        until_texts=until_text,
        fail_texts=fail_text,
        vms=vms,
        strict=strict,
    )
    body = recording_dict(explain(log, request, image), str(log))
    if as_json:
        emit_json(body)
    else:
        answer_folded(*explain_lines(body))
    return int(body["exit_code"])
