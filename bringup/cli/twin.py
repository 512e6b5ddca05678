"""`bringup twin`: the virtual board, for everyone without one and for tests of tools that drive one."""

from __future__ import annotations

import os
import shlex
from typing import Any

import click

from bringup.base.errors import LabError, UsageError
from bringup.cli.context import Context
from bringup.report.output import answer, emit_json
from bringup.twin import client
from bringup.twin.info import TwinInfo, twin_folder
from bringup.twin.machine import VARIANTS, Variant
from bringup.twin.monitor import ask_monitor
from bringup.twin.network import BOARD_ADDRESS, BRIDGE, SERVER_ADDRESS

_DEFAULT = "e300"


def _checked(ctx: click.Context, _parameter: click.Parameter, name: str) -> str:
    """Refuse a name that is no board's, and one that the lab file gives to a real board."""
    from bringup.lab.inventory import check_board_name

    check_board_name(name)
    context = ctx.find_object(Context) or Context(lab_file=None)
    board = context.lab().boards.get(name)
    if board is not None and not board.twin:
        raise UsageError(f"{name} is a real board in this lab, not a twin", hint="choose another name")
    return name


_NAME = click.argument("name", default=_DEFAULT, callback=_checked)
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")


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
@click.option(
    "--memory", "memory_mib", type=click.IntRange(256, 65536), default=client.DEFAULT_MEMORY_MIB, help="MiB."
)
@click.option(
    "--variant",
    type=click.Choice(VARIANTS),
    default="standard",
    show_default=True,
    help="8c: the 8-core sibling, with LAN1 and LAN2 at b7:00 instead of b5:00. no-acpi, crowded: for tests.",
)
@_JSON
def up(name: str, port: int, memory_mib: int, variant: Variant, as_json: bool) -> None:
    """Start the twin and leave it up until `bringup twin down`; the board in it is off.

    \b
    Example:
      bringup twin up
      bringup twin up --variant 8c
    """
    request = client.TwinRequest(name, tied=False, memory_mib=memory_mib, bmc_port=port, variant=variant)
    info = client.StartedTwin(request).info
    if as_json:
        emit_json(describe(name, info))
        return
    answer(f"the twin {_called(name, info)} is up: BMC at {info.bmc_address} port {info.bmc_port}, board off")
    answer(f"try    {ipmitool(info)} chassis power status")
    answer(f"end    {_command('down', name)}")


@command.command()
@_NAME
@click.option("--force", is_flag=True, help="Also while somebody works on it; they are told.")
@_JSON
def down(name: str, force: bool, as_json: bool) -> None:
    """Switch the board off and end the twin; nothing is left running.

    \b
    Example:
      bringup twin down
    """
    from bringup.boot.session import Session
    from bringup.lab.inventory import twin_board

    with Session(twin_board(name), "twin down", force=force):
        was_up = client.down(name)
    if as_json:
        emit_json({"twin": name, "up": False, "was_up": was_up})
    else:
        answer(f"the twin {name} is down" if was_up else f"the twin {name} was not up")


@command.command()
@_NAME
@_JSON
def status(name: str, as_json: bool) -> None:
    """Say whether the twin is up, and how to reach it with other tools.

    \b
    Example:
      bringup twin status --json
    """
    info = client.running(name)
    if as_json:
        emit_json(describe(name, info))
        return
    if info is None:
        answer(f"the twin {name} is not up; start it with: {_command('up', name)}")
        return
    answer(f"the twin {_called(name, info)} is up (process {info.pid})")
    where = f"{info.bmc_address} port {info.bmc_port}"
    answer(f"BMC      {where}, user {info.user}, password in {info.password_file}")
    answer(f"network  {BRIDGE} {SERVER_ADDRESS} in a namespace of its own; the board gets {BOARD_ADDRESS}")
    answer(f"NIC      17:00.0 {info.boot_mac} boots from the network")
    answer(f"try      {ipmitool(info)} chassis power status")


@command.command(context_settings={"ignore_unknown_options": True})
@click.option("--name", default=_DEFAULT, callback=_checked, help="Which twin.")
@click.argument("program", nargs=-1, type=click.UNPROCESSED)
def shell(name: str, program: tuple[str, ...]) -> None:
    """Run a shell, or PROGRAM, in the twin's private network (tcpdump, curl, ping see the board there).

    \b
    Example:
      bringup twin shell
      bringup twin shell tcpdump -ni br0
    """
    info = client.running(name)
    if info is None:
        raise LabError(f"the twin {name} is not up", hint=_command("up", name))
    words = [*info.namespace.enter, *(program or (os.environ.get("SHELL", "/bin/sh"),))]
    os.execvp(words[0], words)  # noqa: S606  # the person's own program, as asked


@command.command()
@click.option("--name", default=_DEFAULT, callback=_checked, help="Which twin.")
@click.argument("words", nargs=-1, required=True, metavar="COMMAND...")
@_JSON
def monitor(name: str, words: tuple[str, ...], as_json: bool) -> None:
    """Ask QEMU's own monitor about the running board: what the machine is, whatever software thinks of it.

    \b
    Example:
      bringup twin monitor info pci
      bringup twin monitor info qtree
    """
    info = client.running(name)
    if info is None:
        raise LabError(f"the twin {name} is not up", hint=_command("up", name))
    text = ask_monitor(twin_folder(name), " ".join(words))
    if as_json:
        emit_json({"twin": name, "command": " ".join(words), "text": text})
    else:
        answer(*text.splitlines())


def _called(name: str, info: TwinInfo) -> str:
    return name if info.variant == "standard" else f"{name} (variant {info.variant})"


def _command(verb: str, name: str) -> str:
    return f"bringup twin {verb}" + ("" if name == _DEFAULT else f" {name}")


def ipmitool(info: TwinInfo) -> str:
    """Return the start of an ipmitool command for this twin, ready to paste."""
    where = f"-H {info.bmc_address} -p {info.bmc_port} -U {info.user}"
    return f"ipmitool -I lanplus {where} -f {shlex.quote(str(info.password_file))}"


def describe(name: str, info: TwinInfo | None) -> dict[str, Any]:
    """Return what `--json` prints of a twin."""
    if info is None:
        return {"twin": name, "up": False}
    return {
        "twin": name,
        "up": True,
        "variant": info.variant,
        "pid": info.pid,
        "bmc": {
            "address": info.bmc_address,
            "port": info.bmc_port,
            "user": info.user,
            "password_file": str(info.password_file),
        },
        "network": {"bridge": BRIDGE, "address": SERVER_ADDRESS, "board_address": BOARD_ADDRESS},
        "boot_mac": info.boot_mac,
        "keeper_pid": info.keeper_pid,
    }
