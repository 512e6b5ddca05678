"""`bringup media write`: an image onto a stick, compared afterwards."""

from __future__ import annotations

from pathlib import Path

import click

from bringup import UsageError
from bringup.base.size import rough_size
from bringup.cli.file_path import FilePath
from bringup.cli.options import json_option
from bringup.report.output import BELOW_LABEL, answer, emit_json, say, say_folded
from bringup.report.style import glyph


@click.command()
@click.argument("file", type=FilePath())
@click.argument("device")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option()
def command(file: Path, device: str, yes: bool, as_json: bool) -> None:
    """Write FILE to DEVICE, a stick of this host, and read all of it back.

    Only what is removable or on USB is written to, never what is mounted, held or the running system's. What
    was on it is overwritten, not erased. A stick made by `media build` gets a partition table of its own,
    with its own GUIDs, that fits its size.

    \b
    Example:
      bringup media write rescue.img /dev/sdb
      bringup media write rescue.img /dev/disk/by-id/usb-SanDisk_Ultra_4C53-0:0 --yes
    """
    from bringup.jobs.media_write import plan_media
    from bringup.report.person import TerminalPerson
    from bringup.report.transfer import TransferLine

    planned = plan_media(file, device)
    say_folded(f"stick     {planned.device}", f"holds     {planned.contents}", indent=BELOW_LABEL)
    if not yes:
        question = f"{planned.device.node} will be overwritten by {file.name}. Go on?"
        if TerminalPerson().choose(question, ("yes", "no")) != "yes":
            raise UsageError(f"answered no: nothing was written to {planned.device}")
    with TransferLine() as line:
        planned.run(lambda at: line.show(at.stage, at.done, at.total, at.seconds))
    if as_json:
        told = {"device": planned.device.to_dict(), "held": str(planned.contents), "written": planned.size}
        emit_json({"file": str(file), **told})
        return
    mark = glyph("ok")
    answer(f"{mark} {planned.device} holds {file.name}: {rough_size(planned.size)} written and read back")
    say("overwritten, not erased: what lay behind it on the stick is still there")
