"""`bringup twin`: the virtual board, for everyone without one and for tests of tools that drive one."""

from __future__ import annotations

import os

import click

from bringup import Firmware, LabError, UsageError
from bringup.base.size import counted
from bringup.cli.complete import disk_kinds, faults_by_board, twin_names
from bringup.cli.lab import lab_of
from bringup.cli.options import SEED, engine_option, fault_options, json_option, memory_option
from bringup.lab.names import BUILTIN_BOARD, check_board_name
from bringup.report.output import answer, emit_json
from bringup.report.twin import ended_line, started_lines, status_lines, twin_command, twin_json
from bringup.twin import client
from bringup.twin.disks import NO_DISK, TwinDisk, parse_disk, parse_size_mib
from bringup.twin.engines import TwinSetup
from bringup.twin.info import TwinInfo, running, twin_folder
from bringup.twin.machine import VARIANTS, Variant
from bringup.twin.monitor import ask_monitor


def _checked(ctx: click.Context, _parameter: click.Parameter, name: str) -> str:
    """Refuse a name that is no board's, and one that the lab file gives to a real board."""
    check_board_name(name)
    board = lab_of(ctx).boards.get(name)
    if board is not None and not board.twin:
        raise UsageError(f"{name} is a real board in this lab, not a twin", hint="choose another name")
    return name


_NAME = click.argument("name", default=BUILTIN_BOARD, callback=_checked, shell_complete=twin_names)
_TWIN = click.option(
    "--name", default=BUILTIN_BOARD, callback=_checked, shell_complete=twin_names, help="Which twin."
)


@click.group()
def command() -> None:
    """Start, end or enter the twin: a virtual SYS-E300-9D that ipmitool, FreeIPMI and PXE accept as one.

    \b
    Example:
      bringup twin up
      bringup twin status
      bringup twin down
    """


@command.command()
@_NAME
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="UDP port of the BMC (0: a free one).")
@memory_option("Its memory")
@engine_option()
@click.option(
    "--variant",
    type=click.Choice(VARIANTS),
    default="standard",
    show_default=True,
    help="8c: the 8-core sibling, with LAN1 and LAN2 at b7:00 instead of b5:00. igb: an 82576 at 17:00.1 "
    "and .2 (QEMU 8 and later). no-acpi, crowded: for tests.",
)
@click.option(
    "--disk",
    "disks",
    multiple=True,
    metavar="KIND[,size=8G][,serial=S]",
    shell_complete=disk_kinds,
    help="A disk that keeps its bytes: ahci, nvme, nvme4k, usb; none. Repeatable (default: the last time's).",
)
@click.option(
    "--firmware",
    type=click.Choice([str(f) for f in Firmware]),
    default=str(Firmware.BIOS),
    show_default=True,
    help="What its setup says: how it boots where no boot override is set.",
)
@fault_options()
@json_option()
def up(
    name: str,
    port: int,
    memory_mib: int | None,
    engine: str,
    variant: Variant,
    disks: tuple[str, ...],
    firmware: str,
    faults: tuple[str, ...],
    seed: int,
    as_json: bool,
) -> None:
    """Start the twin and leave it up until `bringup twin down`; the board in it is off.

    \b
    Example:
      bringup twin up
      bringup twin up --variant 8c
      bringup twin up --disk nvme,size=8G,serial=M2
      bringup twin up --engine bochs
      bringup twin up --fault sol-drop@kernel --fault bmc-slow,delay=2 --seed 7
    """
    request = client.request_of(
        TwinSetup(engine, memory_mib, faults=faults, seed=seed),
        name,
        tied=False,
        bmc_port=port,
        variant=variant,
        disks=_disks(disks),
        firmware=Firmware(firmware),
    )
    info = client.StartedTwin(request).info
    if as_json:
        emit_json(twin_json(name, info))
    else:
        answer(*started_lines(info))


@command.command()
@click.argument("count", type=click.IntRange(1), required=False)
@click.option("--full", type=click.IntRange(0), help="How many are full twins (default: one per processor).")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="BOARD=FAULT",
    shell_complete=faults_by_board,
    help="What one of them plays (see `bringup twin faults`). Repeatable.",
)
@click.option(
    "--disk",
    "disks",
    multiple=True,
    metavar="BOARD=SIZE",
    help="How large the disk of one is, such as 512M (default: 4G). Repeatable.",
)
@SEED
@click.option("--down", "end", is_flag=True, help="End the shelf.")
@json_option()
def shelf(
    count: int | None,
    full: int | None,
    faults: tuple[str, ...],
    disks: tuple[str, ...],
    seed: int,
    end: bool,
    as_json: bool,
) -> None:
    """Start COUNT boards: full twins while processors last, then scripted ones; without COUNT, list them.

    A scripted board has a real BMC, power, console text, network boot and a disk that keeps its bytes, and
    runs no image. All are named in a lab file, with the tags shelf, full and scripted. With BRINGUP_LAB set
    to it, as is told, `bringup boot scripted --jobs 16 --yes` boots them all.

    \b
    Example:
      bringup twin shelf 64 --full 2 --fault shelf-07=bmc-silent
      bringup twin shelf --down
    """
    from bringup.report.twin import shelf_lines
    from bringup.twin.shelf import client as shelves

    if end:
        ended = shelves.down_shelf()
        emit_json({"ended": ended}) if as_json else answer(f"{counted(ended, 'board')} ended")
        return
    if count is not None:
        plan = shelves.plan_shelf(
            count, full=full, faults=_faults_by_board(faults), disks_mib=_disks_by_board(disks)
        )
        shelves.start_shelf(plan, seed)
    boards = shelves.shelf_boards()
    path = shelves.shelf_lab_file()
    if as_json:
        emit_json({"lab": str(path), "boards": [twin_json(info.name, info) for info in boards]})
    else:
        answer(*shelf_lines(boards, path))


def _disks_by_board(texts: tuple[str, ...]) -> dict[str, int]:
    found: dict[str, int] = {}
    for text in texts:
        board, _, size = text.partition("=")
        mib = parse_size_mib(size)
        if not board or mib is None:
            raise UsageError(f"not BOARD=SIZE: {text!r}", hint="--disk shelf-07=512M")
        found[board] = mib
    return found


def _faults_by_board(texts: tuple[str, ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for text in texts:
        board, sign, fault = text.partition("=")
        if not sign or not board or not fault:
            raise UsageError(f"not BOARD=FAULT: {text!r}", hint="--fault shelf-07=bmc-silent")
        found.setdefault(board, []).append(fault)
    return found


@command.command()
@_NAME
@click.option("--force", is_flag=True, help="Also while somebody works on it; they are told.")
@json_option()
def down(name: str, force: bool, as_json: bool) -> None:
    """Switch the board off and end the twin; nothing is left running.

    \b
    Example:
      bringup twin down
    """
    from bringup import Session
    from bringup.lab.inventory import twin_board

    found = running(name)
    if found is not None and found.shelf:
        raise UsageError(f"{name} is one of a shelf, which ends as a whole", hint="bringup twin shelf --down")
    with Session(twin_board(name), "twin down", force=force):
        was_up = client.down(name)
    if as_json:
        emit_json({"twin": name, "up": False, "was_up": was_up})
    else:
        answer(ended_line(name, was_up=was_up))


@command.command()
@_NAME
@json_option()
def status(name: str, as_json: bool) -> None:
    """Say whether the twin is up, and how to reach it with other tools.

    \b
    Example:
      bringup twin status --json
    """
    info = running(name)
    if as_json:
        emit_json(twin_json(name, info))
    else:
        answer(*status_lines(name, info))


@command.command(context_settings={"ignore_unknown_options": True})
@_TWIN
@click.argument("program", nargs=-1, type=click.UNPROCESSED)
def shell(name: str, program: tuple[str, ...]) -> None:
    """Run a shell, or PROGRAM, in the twin's private network (tcpdump, curl, ping see the board there).

    \b
    Example:
      bringup twin shell
      bringup twin shell tcpdump -ni br0
    """
    info = _running(name)
    words = [*info.namespace.enter, *(program or (os.environ.get("SHELL", "/bin/sh"),))]
    os.execvp(words[0], words)  # noqa: S606  # the person's own program, as asked


@command.command()
@_TWIN
@click.argument("words", nargs=-1, required=True, metavar="COMMAND...")
@json_option()
def monitor(name: str, words: tuple[str, ...], as_json: bool) -> None:
    """Ask QEMU's own monitor about the running board: what the machine is, whatever software thinks of it.

    \b
    Example:
      bringup twin monitor info pci
      bringup twin monitor info qtree
    """
    _running(name)
    text = ask_monitor(twin_folder(name), " ".join(words))
    if as_json:
        emit_json({"twin": name, "command": " ".join(words), "text": text})
    else:
        answer(*text.splitlines())


def _disks(words: tuple[str, ...]) -> tuple[TwinDisk, ...] | None:
    if NO_DISK in words:
        if len(words) > 1:
            raise UsageError("--disk none and another --disk", hint="leave out one of them")
        return ()
    return tuple(map(parse_disk, words)) or None


@command.command()
@json_option()
def faults(as_json: bool) -> None:
    """List what a twin can be made to do wrong, and the verdict that a boot then ends in (docs/faults.md).

    \b
    Example:
      bringup twin faults
      bringup twin faults --json
    """
    from bringup.report.faults import fault_lines, faults_json

    if as_json:
        emit_json(faults_json())
    else:
        answer(*fault_lines())


def _running(name: str) -> TwinInfo:
    info = running(name)
    if info is None:
        raise LabError(f"the twin {name} is not up", hint=twin_command("up", name))
    return info
