"""`bringup media`: images that a board's BMC shows to it as a disc."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bringup import Firmware, UsageError
from bringup.cli.complete import board_names
from bringup.cli.lab import lab_of
from bringup.cli.options import as_option, json_option
from bringup.report.output import answer, emit_json, say
from bringup.report.style import glyph

if TYPE_CHECKING:
    from bringup import Board
    from bringup.power.base import BootOverride, MediaSlot

_LOOK_S = 5.0


@click.command()
@click.argument("board", shell_complete=board_names)
@click.argument("action", type=click.Choice(["status", "insert", "eject"]), default="status")
@click.argument("url", metavar="[URL|FILE]", required=False)
@click.option(
    "--boot", type=click.Choice([str(f) for f in Firmware]), help="insert: boot from it next, once."
)
@as_option()
@click.option("--force", is_flag=True, help="Also while somebody else works on it; they are told.")
@json_option()
@click.pass_context
def command(
    ctx: click.Context, board: str, action: str, url: str | None, boot: str | None, force: bool, as_json: bool
) -> None:
    """Show, insert or eject virtual media of BOARD, whose lab file says `power = "redfish"`.

    The BMC fetches the image at URL by itself, with HEAD and ranges: from a server that has them, at an
    address that it reaches. A FILE of this host is served to this BMC alone as long as the command runs;
    Ctrl-C, or an eject by anybody, ends it and takes the disc out.

    \b
    Example:
      bringup media board e300-1
      bringup media e300-1 insert http://10.0.0.1/rescue.iso --boot uefi
      bringup media e300-1 insert rescue.iso --boot uefi
      bringup media e300-1 eject
    """
    from bringup.jobs.media import eject_media, insert_media, media_slots

    if (url is None) == (action == "insert"):
        raise UsageError(f"{action} takes {'a URL' if action == 'insert' else 'no URL'}")
    if boot is not None and action != "insert":
        raise UsageError("--boot goes with insert")
    unit = lab_of(ctx).board(board)
    if action == "insert" and "://" not in str(url):
        _serve(unit, Path(str(url)), Firmware(boot) if boot else None, force=force, as_json=as_json)
        return
    slots: tuple[MediaSlot, ...]
    override = None
    if action == "insert":
        slot, override = insert_media(unit, str(url), boot=Firmware(boot) if boot else None, force=force)
        slots = (slot,)
    elif action == "eject":
        slots = eject_media(unit, force=force)
    else:
        slots = media_slots(unit)
    _tell(board, action, slots, override, as_json=as_json)


def _serve(unit: Board, image: Path, boot: Firmware | None, *, force: bool, as_json: bool) -> None:
    from bringup.jobs.media import served_media, shows

    def told(what: str) -> None:
        if not as_json:
            say(f"the BMC asks for {what}")

    with served_media(unit, image, told, boot=boot, force=force) as (slot, override):
        _tell(unit.name, "insert", (slot,), override, as_json=as_json)
        say(f"served until Ctrl-C, or: bringup media {unit.name} eject")
        try:
            while shows(unit, str(slot.image)):
                time.sleep(_LOOK_S)
        except KeyboardInterrupt:
            say("taken out")


def _tell(
    board: str, action: str, slots: Sequence[MediaSlot], override: BootOverride | None, *, as_json: bool
) -> None:
    if as_json:
        drives = [asdict(each) for each in slots]
        emit_json({"board": board, "drives": drives, "boots_next": override and str(override)})
        return
    answer(*_lines(action, slots))
    if override is not None:
        answer(f"boots     {override}; then: bringup power {board} cycle")


def _lines(action: str, slots: Sequence[MediaSlot]) -> Iterator[str]:
    if not slots:
        yield "nothing was in" if action == "eject" else "no virtual drives"
    for slot in slots:
        was = "taken out: " if action == "eject" else ""
        mark, kinds = glyph("ok" if slot.image else "idle"), ", ".join(slot.kinds)
        yield f"{mark} {slot.name:<10}{was}{slot.image or 'empty'}  ({kinds})"
