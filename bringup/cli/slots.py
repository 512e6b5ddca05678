"""`bringup slots`: what a board's disk holds and starts."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from bringup import Firmware, UsageError
from bringup.cli.batch import batch_options, chosen, heard_by, many, refuse_for_many, run_many
from bringup.cli.boot_options import DRY_RUN, EVENTS, FIRMWARE, KEEP, RESTART, STEAL, carry_out, dry_run
from bringup.cli.complete import board_and_tag_names
from bringup.cli.lab import lab_of
from bringup.cli.options import as_option, disk_option, json_option, override_option, refuse_two_forms
from bringup.report.output import answer, answer_folded, emit_json

if TYPE_CHECKING:
    from bringup import Board, Lab, PlannedSlots
    from bringup.base.events import Emit
    from bringup.boot.stop import Stop
    from bringup.jobs.batch import Outcome


def slots_options(function: Any) -> Any:
    """Add what `slots` and `rollback` take."""
    for option in reversed(
        (
            click.argument("board", shell_complete=board_and_tag_names),
            disk_option("Serial, WWN or path, where several disks have slots."),
            FIRMWARE,
            override_option(),
            RESTART,
            STEAL,
            KEEP,
            DRY_RUN,
            EVENTS,
            json_option(),
            as_option(),
            batch_options,
            click.pass_context,
        )
    ):
        function = option(function)
    return function


def _image_id(_ctx: click.Context, _option: click.Parameter, text: str | None) -> str | None:
    from bringup.disk.manifest import is_image_id

    image_id = None if text is None else text.strip().lower()
    if image_id is not None and not is_image_id(image_id):
        raise UsageError(
            f"--confirm {text!r}: no image's id, which has 8 digits, as in 37ff5704",
            hint="bringup slots BOARD shows them",
        )
    return image_id


@click.command()
@click.option(
    "--confirm",
    metavar="ID",
    callback=_image_id,
    help="Keep the image that was tried, if it has this id: it starts from now on.",
)
@slots_options
def command(ctx: click.Context, /, as_json: bool, events: bool, **options: Any) -> int:
    """Show what is in the slots of BOARD's disk, and which one starts; the board is booted into a ramdisk.

    With --confirm, an image that `reimage` left on trial is kept without being written again: nothing but the
    two state files is written. Refused are any other image than the one that was tried, and an image that
    was not started yet.

    BOARD may stand for several: a list with commas, a pattern ('shelf-*') or a tag of the lab file.

    \b
    Example:
      bringup slots e300
      bringup slots e300 --confirm 37ff5704
      bringup slots e300 --events
      bringup slots e300 --dry-run
      bringup slots 'shelf-*' --jobs 16 --yes
    """
    return run_slots(ctx, options, back=False, as_json=as_json, events=events)


def run_slots(ctx: click.Context, options: dict[str, Any], *, back: bool, as_json: bool, events: bool) -> int:
    """Look at the slots, go back where `back`, tell, and return the exit code."""
    refuse_two_forms(as_json=as_json, events=events)
    lab = lab_of(ctx)
    if many(lab, options["board"], options):
        refuse_for_many(disk=bool(options["disk"]), dry_run=options["dry_run"], events=events)
        return _run_many(lab, {**options, "as_json": as_json}, back=back)
    work = partial(_run, lab, options, back=back, as_json=as_json, events=events)
    return carry_out(work, events=events)


def _run(lab: Lab, options: dict[str, Any], *, back: bool, as_json: bool, events: bool) -> int:
    from bringup.report.person import TerminalPerson

    planned = _planned(lab, options["board"], options, back=back)
    if options["dry_run"]:
        return dry_run([planned.job], as_json=as_json or events)
    if events:
        from bringup.report.event_stream import stream_job

        return stream_job(planned.run, planned.told).exit_code
    if as_json:
        done = planned.run(None, TerminalPerson())
        emit_json(planned.told(done))
        return done.exit_code
    from bringup.report.boot_view import boot_display
    from bringup.report.reimage import slots_lines
    from bringup.report.run import verdict_lines
    from bringup.report.viewer import Viewer

    with Viewer(boot_display) as viewer:
        done = planned.run(viewer, TerminalPerson(viewer.tell))
    if done.ok:
        answer(*slots_lines(options["board"], planned.seen.to_dict()))
    else:
        answer_folded(*verdict_lines(done.verdict))
    return done.exit_code


def _planned(lab: Lab, board: str, options: dict[str, Any], *, back: bool) -> PlannedSlots:
    from bringup import BootRequest, plan_slots

    boot = BootRequest(
        firmware=Firmware(options["firmware"]) if options["firmware"] else None,
        steal=options["steal"],
        keep_twin=options["keep"],
        override=options["override"],
        restart=options["restart"],
    )
    return plan_slots(lab, board, boot, disk=options["disk"], back=back, confirm=options.get("confirm"))


def _run_many(lab: Lab, options: dict[str, Any], *, back: bool) -> int:
    """Do it with several boards: what each starts is what its row says."""
    from bringup.jobs.batch import of_verdict
    from bringup.report.reimage import slots_words

    def work(board: Board, hear: Emit, stop: Stop) -> Outcome:
        planned = _planned(lab, board.name, options, back=back)
        done = planned.run(heard_by(hear), None, stop)
        outcome = of_verdict(done.verdict)
        return replace(outcome, reached=slots_words(planned.seen.to_dict())) if done.ok else outcome

    command = "rollback" if back else "slots --confirm" if options.get("confirm") else "slots"
    boards = chosen(lab, options["board"], command, only_failed=options["only_failed"])
    question = "Roll back {boards}, which restarts them?" if back else "Restart {boards}?"
    if options.get("confirm"):
        question = f"Keep image {options['confirm']} on {{boards}}, which restarts them?"
    return run_many(lab, command, boards, work, options, question=question)
