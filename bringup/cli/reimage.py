"""`bringup reimage`: an image onto a board's own disk, and up from there."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from bringup import UsageError
from bringup.cli import boot_options
from bringup.cli.batch import batch_options_beside_yes, chosen, heard_by, many, refuse_for_many, run_many
from bringup.cli.complete import board_and_tag_names
from bringup.cli.file_path import FilePath
from bringup.cli.lab import lab_of
from bringup.cli.options import (
    as_option,
    disk_option,
    json_option,
    override_option,
    refuse_two_forms,
)
from bringup.report.output import BELOW_LABEL, answer_folded, emit_json, say_folded

if TYPE_CHECKING:
    from bringup import Board, Lab, PlannedReimage
    from bringup.base.events import Emit
    from bringup.boot.stop import Stop
    from bringup.jobs.batch import Outcome


@click.command()
@click.argument("board", shell_complete=board_and_tag_names)
@click.argument("image", nargs=-1, type=FilePath())
@disk_option("Serial, WWN or path of the disk (default: the only one that fits).")
@click.option("--yes", is_flag=True, help="Overwrite without asking.")
@click.option(
    "--confirm",
    type=click.Choice(["auto", "ask", "never"]),
    default="auto",
    show_default=True,
    help="An image that came up: keep it; ask; leave it on trial.",
)
@click.option(
    "--relayout", is_flag=True, help="Write the whole disk anew though it has slots; not power-safe."
)
@boot_options.CONFIG
@boot_options.PIN
@click.option("--ignore-needs", is_flag=True, help="Write although the machine lacks what the image demands.")
@click.option(
    "--allow-drift", is_flag=True, help="Write although the board is not the machine it was made for."
)
@boot_options.FIRMWARE
@boot_options.UNTIL
@boot_options.UNTIL_TEXT
@boot_options.FAIL_TEXT
@boot_options.APPEND
@boot_options.MODULE_SIZE
@override_option()
@boot_options.RESTART
@boot_options.STEAL
@boot_options.KEEP
@boot_options.DRY_RUN
@boot_options.EVENTS
@json_option()
@as_option()
@batch_options_beside_yes
@click.pass_context
def command(ctx: click.Context, /, as_json: bool, dry_run: bool, events: bool, **options: Any) -> int:
    """Write IMAGE to the disk of BOARD over the network, boot it from there, and keep it when it came up.

    The disk gets two slots. An update writes the one that is not in use, and the other stays as it is until
    the new image has come up: a power cut at any moment leaves a board that boots the old one or the new one.
    What is on the disk is overwritten, not erased. Without IMAGE, the twin gets the stand-in image.

    BOARD may stand for several: a list with commas, a pattern ('shelf-*') or a tag of the lab file. Then it
    is asked once about all of them, and each board's disk is the one of the lab file, or the only one that
    fits.

    \b
    Example:
      bringup reimage e300
      bringup reimage e300 build/ --disk S45PNA0M512345
      bringup reimage e300 build/ --yes --json
      bringup reimage e300 build/ --yes --events
      bringup reimage e300 build/ --dry-run
      bringup reimage 'shelf-*' build/ --jobs 8 --yes
      bringup reimage 'shelf-*' build/ --only-failed --yes
    """
    refuse_two_forms(as_json=as_json, events=events)
    lab = lab_of(ctx)
    if many(lab, options["board"], options):
        refuse_for_many(dry_run=dry_run, events=events)
        return _reimage_many(lab, {**options, "as_json": as_json})
    work = partial(_reimage, lab, options, as_json=as_json, dry_run=dry_run, events=events)
    return boot_options.carry_out(work, events=events)


def _reimage(lab: Lab, options: dict[str, Any], *, as_json: bool, dry_run: bool, events: bool) -> int:
    from bringup.report.person import TerminalPerson

    planned = _planned(lab, options["board"], options)
    if dry_run:
        return boot_options.dry_run(planned.jobs(), as_json=as_json or events)
    if events:
        from bringup.report.event_stream import stream_job

        return stream_job(planned.run, lambda done: done.to_dict()).exit_code
    if as_json:
        done = planned.run(None, TerminalPerson())
        emit_json(done.to_dict())
        return done.exit_code
    from bringup.report.boot_view import boot_display
    from bringup.report.reimage import reimaged_lines
    from bringup.report.run import verdict_lines
    from bringup.report.viewer import Viewer

    for note in planned.notes:
        say_folded(f"careful   {note}", indent=BELOW_LABEL)
    with Viewer(boot_display) as viewer:
        done = planned.run(viewer, TerminalPerson(viewer.tell))
    answer_folded(*verdict_lines(done.last.verdict), *reimaged_lines(done.to_dict()))
    return done.exit_code


def _reimage_many(lab: Lab, options: dict[str, Any]) -> int:
    from bringup.jobs.batch import of_verdict
    from bringup.report.reimage import reimaged_words

    if options["disk"]:
        raise UsageError(
            "--disk names a disk of one board, and several boards are named",
            hint='leave it out: taken is the only one that fits, or that of the lab file (disk = "SERIAL")',
        )
    if options["confirm"] == "ask":
        raise UsageError(
            "--confirm ask is about one board, and several are named", hint="--confirm auto or never"
        )
    # All of them are agreed to by one question, before the first is touched.
    agreed = {**options, "yes": True}

    def work(board: Board, hear: Emit, stop: Stop) -> Outcome:
        done = _planned(lab, board.name, agreed).run(heard_by(hear), None, stop)
        outcome = of_verdict(done.last.verdict)
        return replace(outcome, reached=reimaged_words(done.to_dict())) if done.ok else outcome

    boards = chosen(lab, options["board"], "reimage", only_failed=options["only_failed"])
    question = "Overwrite a disk of {boards} (overwritten, not erased)?"
    return run_many(lab, "reimage", boards, work, options, question=question, asks_above=0)


def _planned(lab: Lab, board: str, options: dict[str, Any]) -> PlannedReimage:
    from bringup import BootRequest, ReimageRequest, plan_reimage

    boot = BootRequest(**boot_options.how_to_boot(options))
    request = ReimageRequest(
        options["disk"], options["yes"], options["confirm"], relayout=options["relayout"], boot=boot
    )
    return plan_reimage(
        lab,
        board,
        options["image"],
        request,
        append=options["append"],
        module_mib=options["module_size"],
        config=options["config"],
        pins=options["pins"],
        allow_drift=options["allow_drift"],
    )
