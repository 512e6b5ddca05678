"""`bringup boot`: from power-off to a verdict."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bringup import UsageError
from bringup.base.clock import WATCH_ON_MAX_S
from bringup.base.firmware import LOADER_CHOICES
from bringup.cli import boot_options
from bringup.cli.batch import batch_options, chosen, heard_by, many, refuse_for_many, run_many
from bringup.cli.complete import board_and_tag_names
from bringup.cli.file_path import FilePath
from bringup.cli.lab import lab_of
from bringup.cli.length import Length
from bringup.cli.options import (
    as_option,
    engine_option,
    fault_options,
    json_option,
    memory_option,
    override_option,
    refuse_two_forms,
)
from bringup.report.output import answer, answer_folded, emit_json, say

if TYPE_CHECKING:
    from bringup import Board, BootRequest, Lab, PlannedBoot
    from bringup.base.events import Emit
    from bringup.boot.stop import Stop
    from bringup.jobs.batch import Outcome
    from bringup.jobs.boot import Display


@click.command()
@click.argument("board", shell_complete=board_and_tag_names)
@click.argument("image", nargs=-1, type=FilePath())
@click.option(
    "--image",
    "image_folder",
    type=FilePath(),
    metavar="DIR",
    help="The same as IMAGE: a build's folder.",
)
@boot_options.CONFIG
@boot_options.PIN
@click.option(
    "--allow-drift",
    is_flag=True,
    help="Boot although the board is not the machine that the configuration was made for.",
)
@click.option("--ignore-needs", is_flag=True, help="Boot although the machine lacks what the image demands.")
@boot_options.FIRMWARE
@boot_options.UNTIL
@boot_options.UNTIL_TEXT
@boot_options.FAIL_TEXT
@click.option(
    "--for",
    "for_s",
    type=Length(0, WATCH_ON_MAX_S),
    metavar="TIME",
    help="Watch on after success: 30 (seconds), 10m, 2h.",
)
@click.option("--strict", is_flag=True, help="A login with a dead network controller is a failure.")
@click.option(
    "--loader",
    type=click.Choice(LOADER_CHOICES),
    default="auto",
    show_default=True,
    help="auto: ipxe under BIOS, efi under UEFI, efi-tftp on a shared LAN; grub where those cannot.",
)
@boot_options.APPEND
@click.option("--vms", type=click.IntRange(0, 64), help="How many VMs must reach their login.")
@boot_options.MODULE_SIZE
@memory_option("Memory of a twin that this boot starts")
@engine_option()
@fault_options()
@override_option()
@boot_options.RESTART
@boot_options.STEAL
@boot_options.KEEP
@click.option("--detach", is_flag=True, help="Begin and return; `bringup runs follow` shows how it goes on.")
@boot_options.DRY_RUN
@boot_options.EVENTS
@json_option()
@as_option()
@batch_options
@click.pass_context
def command(
    ctx: click.Context, /, as_json: bool, dry_run: bool, events: bool, detach: bool, **options: Any
) -> int:
    """Boot BOARD from the network and say how far it came.

    BOARD may stand for several: a list with commas, a pattern ('shelf-*') or a tag of the lab file.

    The boot goes on when its terminal is closed or nobody reads its output any more (`| head`); Ctrl-C ends
    it and leaves the board safe.

    IMAGE is a folder as a CAmkES build leaves it, or KERNEL MODULE..., or a Linux bzImage and its initrd.
    Without one, the twin boots the stand-in image. A bringup.toml beside the image may say until, fail, for,
    vms, append and engine; options have the last word.

    \b
    Example:
      bringup boot e300
      bringup boot e300 build/ --until login
      bringup boot e300 build/ --until-text "iperf Done" --fail-text "panic" --for 30
      bringup boot e300 --image build/ --config apps/zmq/e300/passthrough.camkes
      bringup boot e300 --fault sol-drop@kernel
      bringup boot 'shelf-*' build/ --jobs 8 --restart
      bringup boot e300 xen.gz vmlinuz --append "loglvl=all" --until kernel
    """
    refuse_two_forms(as_json=as_json, events=events, detach=detach)
    if dry_run and detach:
        raise UsageError(
            "--dry-run begins nothing that --detach could leave running", hint="leave one of the two out"
        )
    lab = lab_of(ctx)
    if many(lab, options["board"], options):
        refuse_for_many(dry_run=dry_run, events=events, detach=detach)
        return _boot_many(lab, options, as_json=as_json)
    work = partial(_boot, lab, options, as_json=as_json, dry_run=dry_run, events=events, detach=detach)
    return boot_options.carry_out(work, events=events)


def _boot(
    lab: Lab, options: dict[str, Any], *, as_json: bool, dry_run: bool, events: bool, detach: bool
) -> int:
    quiet = as_json or events
    boot = _planned(lab, options["board"], options)
    if lab.is_builtin and not quiet:
        say(
            f"no lab.toml here: {boot.plan.board} is the virtual SYS-E300-9D "
            f"(see `bringup boards show {boot.plan.board}`)"
        )
    for note in () if quiet or dry_run else boot.notes:
        say(f"careful   {note}")
    if dry_run:
        _print_plan(boot.plan.to_dict(), quiet)
        return 0
    if detach:
        from bringup.cli.detach import detached

        return detached(boot.run, partial(_tell_begun, as_json=as_json))
    return _run(boot, as_json=as_json, events=events)


def _planned(lab: Lab, board: str, options: dict[str, Any]) -> PlannedBoot:
    from bringup import plan_boot

    return plan_boot(
        lab,
        board,
        _image_paths(options["image"], options["image_folder"]),
        _request(options),
        append=options["append"],
        module_mib=options["module_size"],
        config=options["config"],
        pins=options["pins"],
        allow_drift=options["allow_drift"],
    )


def _boot_many(lab: Lab, options: dict[str, Any], *, as_json: bool) -> int:
    from bringup.jobs.batch import of_verdict

    def work(board: Board, hear: Emit, stop: Stop) -> Outcome:
        boot = _planned(lab, board.name, options)
        return of_verdict(boot.run(heard_by(hear), None, stop).verdict)

    boards = chosen(lab, options["board"], "boot", only_failed=options["only_failed"])
    return run_many(lab, "boot", boards, work, {**options, "as_json": as_json}, question="Restart {boards}?")


def _request(options: dict[str, Any]) -> BootRequest:
    from bringup import BootRequest
    from bringup.twin.engines import TwinSetup

    return BootRequest(
        **boot_options.how_to_boot(options),
        for_s=options["for_s"],
        strict=options["strict"],
        loader=options["loader"],
        vms=options["vms"],
        twin=TwinSetup(
            options["engine"], options["memory_mib"], faults=options["faults"], seed=options["seed"]
        ),
    )


def _run(boot: PlannedBoot, *, as_json: bool, events: bool) -> int:
    """Boot, show how it goes on and how it ended, and return the exit code."""
    from bringup.report.person import TerminalPerson
    from bringup.report.run import verdict_lines
    from bringup.report.viewer import Viewer

    if as_json:
        ended = boot.run(None, TerminalPerson())
        emit_json(ended.verdict)
        return ended.exit_code
    usual_s = boot.usual_s
    with Viewer(_display(events=events)) as viewer:
        ended = boot.run(viewer, TerminalPerson(viewer.tell))
    if not events:
        answer_folded(*verdict_lines(ended.verdict, usual_s=usual_s))
    return ended.exit_code


def _display(*, events: bool) -> Display:
    if events:
        from bringup.report.event_stream import stream_display

        return stream_display
    from bringup.report.boot_view import boot_display

    return boot_display


def _tell_begun(began: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        emit_json(began)
        return
    answer(f"begun     run {began['run']} on {began['board']}, process {began['pid']}")
    say(f"follow    bringup runs follow {began['run']}", f"end       kill {began['pid']}")


def _image_paths(paths: tuple[Path, ...], folder: Path | None) -> tuple[Path, ...]:
    if folder is None:
        return paths
    if paths:
        raise UsageError(f"two images are named: {paths[0]} and --image {folder}", hint="name one")
    return (folder,)


def _print_plan(plan: dict[str, Any], as_json: bool) -> None:
    if as_json:
        emit_json(plan)
        return
    from bringup.report.run import plan_lines

    answer(*plan_lines(plan))
