"""`bringup media build`: a stick or disc that starts an image."""

from __future__ import annotations

from pathlib import Path

import click

from bringup import UsageError
from bringup.base.size import rough_size
from bringup.cli.boot_options import APPEND
from bringup.cli.complete import board_names
from bringup.cli.file_path import FilePath
from bringup.cli.lab import lab_of
from bringup.cli.options import json_option
from bringup.report.output import answer, emit_json, say


@click.command()
@click.argument("image", nargs=-1, required=True, type=FilePath())
@click.option(
    "-o",
    "--output",
    required=True,
    type=FilePath(dir_okay=False),
    metavar="FILE",
    help="FILE.img is a stick, FILE.iso a disc.",
)
@click.option(
    "--board",
    shell_complete=board_names,
    metavar="BOARD",
    help="Whose console it talks on (default: the only board of the lab).",
)
@APPEND
@click.option(
    "--without",
    multiple=True,
    type=click.Choice(["probe", "linux"]),
    help="Leave the firmware probe or Linux out. Repeatable.",
)
@json_option()
@click.pass_context
def command(
    ctx: click.Context,
    image: tuple[Path, ...],
    output: Path,
    board: str | None,
    append: str,
    without: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make a stick or disc that boots by BIOS and UEFI and starts IMAGE.

    Its menu, on the board's console, offers IMAGE (which starts by itself after 5 s), the firmware probe and
    a bare Linux with a shell: the number before each starts it. IMAGE is a build's folder, KERNEL MODULE...,
    or a Linux and its initrd. It is not signed: Secure Boot must be off. A FILE that was made so before is
    replaced, no other.

    \b
    Example:
      bringup media build build/ -o rescue.img
      bringup media build build/ -o rescue.iso --board e300
      bringup media build bzImage initrd -o linux.img --append "quiet" --without probe
    """
    from bringup.jobs.media_build import build_media

    lab = lab_of(ctx)
    if board is None:
        if len(lab.boards) != 1:
            raise UsageError(
                "whose console does it talk on? This lab has several boards",
                hint=f"--board {next(iter(lab.boards), 'NAME')}",
            )
        board = next(iter(lab.boards))
    unit = lab.board(board)
    built = build_media(unit, image, output, append=append, without=without)
    if as_json:
        emit_json(built.to_dict())
        return
    answer(f"wrote {built.path}  {rough_size(built.size)}, BIOS and UEFI")
    answer(*(f"  {number}. {title}" for number, title in enumerate(built.titles, 1)))
    say(f"console   {unit.kernel_port:#x}, {unit.line_rate} baud; the first starts by itself after 5 s")
    for sentence in built.careful:
        say(f"careful   {sentence}")
    if output.suffix == ".img":
        say(f"next      bringup media write {output} DEVICE")
