"""`bringup explain`: the verdict on a recorded console."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from bringup import UsageError
from bringup.base.stage import BOOT_STAGES

_PIECE = 65536
_STAGES = [str(stage) for stage in BOOT_STAGES]


@click.command()
@click.argument("log", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--image",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The build's folder: its *.cdl names the VMs.",
)
@click.option(
    "--until",
    type=click.Choice(_STAGES),
    help="Stage that counts as success (default: what the image is good for).",
)
@click.option(
    "--until-text", multiple=True, metavar="REGEX", help="A text that must come; repeatable, all of them."
)
@click.option("--fail-text", multiple=True, metavar="REGEX", help="A text that means failure; repeatable.")
@click.option("--vms", type=click.IntRange(1, 64), help="How many VMs must have logged in.")
@click.option("--strict", is_flag=True, help="A VM with a dead network controller is a failure.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
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
    from bringup import Firmware, Stage
    from bringup.boot.recorded import judge_recording
    from bringup.boot.watch_request import WatchRequest
    from bringup.report.explain import explain_lines, recording_dict
    from bringup.report.output import answer, emit_json
    from bringup.transcript.vms import find_vm_names

    if image is not None and not image.is_dir():
        raise UsageError(f"{image} is no folder", hint="name the build's folder")
    names = None if image is None else find_vm_names(image)
    request = WatchRequest(
        Firmware.BIOS,
        until=Stage.USER_SPACE if until is None else Stage(until),
        by_itself=until is None,
        until_texts=until_text,
        fail_texts=fail_text,
        vms=vms or (len(names.vms) if names is not None and until in (None, "login") else None),
        strict=strict,
        vm_names=names,
        netboot=False,
    )
    body = recording_dict(judge_recording(_pieces(log), request), str(log))
    if as_json:
        emit_json(body)
    else:
        answer(*explain_lines(body))
    return int(body["exit_code"])


def _pieces(log: Path) -> Iterator[bytes]:
    """Yield the text of LOG in pieces; raises UsageError when it cannot be read."""
    if str(log) == "-":
        yield from iter(lambda: sys.stdin.buffer.read(_PIECE), b"")
        return
    path = log / "console.log" if log.is_dir() else log
    try:
        with path.open("rb") as file:
            yield from iter(lambda: file.read(_PIECE), b"")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", hint="name a recorded console") from error
