"""`bringup vlab`: two sites over WireGuard in namespaces or guests, without root and without hardware."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bringup import UsageError
from bringup.cli.file_path import FilePath
from bringup.cli.options import Function, json_option
from bringup.report.output import answer, emit_json

if TYPE_CHECKING:
    from bringup.vlab.guests import GuestImage
    from bringup.vlab.lab import LabInfo
    from bringup.vlab.scripts import Backend

_NODES = ("pc-a", "vm0-a", "vm1-a", "vm2-a", "pc-b", "vm0-b", "vm1-b", "vm2-b", "internet", "attacker")


@click.group()
def command() -> None:
    """Two sites over WireGuard in network namespaces: PCs, red, crypto and black VMs, an Internet between.

    One description (TOML) says addresses and roles; routes and firewall rules follow from it. Nothing needs
    root. Every segment is recorded. With `--engine qemu` the six VMs are QEMU guests, with a kernel of
    their own each.

    \b
    Example:
      bringup vlab up
      bringup vlab shell pc-a ping -c 3 10.0.2.10
      bringup vlab down
    """


def lab_options() -> Callable[[Function], Function]:
    """Return what adds to a command the options that say which lab is made."""

    def add(function: Function) -> Function:
        for option in (
            click.option(
                "--rules",
                type=FilePath(file_okay=False),
                metavar="DIR",
                help="Your own scripts, NODE.sh each, run in place of the generated ones.",
            ),
            click.option(
                "--firewall",
                type=click.Choice(["iptables", "nftables"]),
                default="nftables",
                show_default=True,
                help="What the generated rules are written for.",
            ),
            click.option(
                "--description",
                type=FilePath(dir_okay=False),
                metavar="FILE",
                help="Addresses and roles (default: those of the encryptor's two sites).",
            ),
        ):
            function = option(function)
        return function

    return add


def guests_of(engine: str) -> GuestImage | None:
    """Return what the guests of an engine boot; None where the VMs are namespaces."""
    if engine != "qemu":
        return None
    from bringup.report.output import say
    from bringup.verify.guests.lab_rootfs import lab_guests

    image = lab_guests()
    say(f"six QEMU guests of {image.memory_mib} MiB boot {image.kernel.name}: a minute or more on two cores")
    return image


@command.command()
@lab_options()
@click.option(
    "--engine",
    type=click.Choice(["namespaces", "qemu"]),
    default="namespaces",
    show_default=True,
    help="What the VMs are: namespaces of this kernel, or QEMU guests with this host's kernel of their own.",
)
@click.option(
    "--captures",
    type=FilePath(file_okay=False),
    metavar="DIR",
    help="Where the segments are recorded (default: a folder of its own).",
)
@json_option()
def up(
    description: Path | None,
    firewall: Backend,
    rules: Path | None,
    engine: str,
    captures: Path | None,
    as_json: bool,
) -> None:
    """Make the lab and leave it up until `bringup vlab down`.

    \b
    Example:
      bringup vlab up
      bringup vlab up --engine qemu
      bringup vlab up --firewall iptables --rules my-rules
    """
    from bringup.base.paths import state_dir
    from bringup.base.whole_file import make_folder
    from bringup.report.vlab import lab_json, up_lines
    from bringup.vlab.lab import LabRequest, VirtualLab, find_lab

    if find_lab() is not None:
        raise UsageError("the virtual lab is up already", hint="bringup vlab down")
    # Not below /run: inside of the lab that is another one.
    folder = captures or state_dir() / "vlab-captures"
    make_folder(folder)
    request = LabRequest.of(description, firewall, rules, guests_of(engine))
    lab = VirtualLab.start(request, folder.resolve(), tied=False)
    lab.release(folder.resolve())
    info = find_lab()
    assert info is not None  # noqa: S101
    if as_json:
        emit_json(lab_json(info))
    else:
        answer(*up_lines(info))


@command.command()
@json_option()
def status(as_json: bool) -> None:
    """Say whether the lab is up, and which nodes it has.

    \b
    Example:
      bringup vlab status
    """
    from bringup.report.vlab import lab_json, status_lines
    from bringup.vlab.lab import find_lab

    info = find_lab()
    if as_json:
        emit_json(lab_json(info))
    else:
        answer(*status_lines(info))


@command.command(context_settings={"ignore_unknown_options": True})
@click.argument("node", type=click.Choice(_NODES), metavar="NODE")
@click.argument("program", nargs=-1, type=click.UNPROCESSED)
def shell(node: str, program: tuple[str, ...]) -> int:
    """Run a shell, or PROGRAM, in a node of the lab that is up.

    A node that is a QEMU guest shows its console (Ctrl-] leaves it); PROGRAM is given to its agent and
    shown when it has ended.

    \b
    Example:
      bringup vlab shell vm1-a wg show
      bringup vlab shell pc-a
    """
    from bringup.vlab.lab import find_lab

    info = find_lab()
    if info is None:
        raise UsageError("the virtual lab is not up", hint="bringup vlab up")
    if node in info.guests:
        return _in_guest(info, node, program)
    words = [*info.namespaces.enter(node), *(program or (os.environ.get("SHELL", "/bin/sh"),))]
    return os.execvp(words[0], words)  # noqa: S606  # the person's own program, as asked


def _in_guest(info: LabInfo, node: str, program: tuple[str, ...]) -> int:
    from bringup.base.local_socket import connect
    from bringup.console.line import sit_at
    from bringup.report.output import say
    from bringup.vlab.guests import READY_S, GuestLine, console_name
    from bringup.vlab.lab import guests_folder

    folder = guests_folder(info.namespaces)
    if program:
        done = GuestLine(folder, node).act("run", script=shlex.join(program), timeout_s=READY_S)
        sys.stdout.write(done["out"])
        sys.stderr.write(done["err"])
        return int(done["code"])
    say(f"the console of {node}; Ctrl-] leaves it")
    with connect(folder, console_name(node), READY_S) as line:
        # The shell is there already, and says its prompt when it is asked.
        line.sendall(b"\n")
        sit_at(line, sys.stdin.fileno(), sys.stdout.fileno())
    return 0


@command.command()
@json_option()
def down(as_json: bool) -> None:
    """End the lab and everything that runs in it; the captures stay.

    \b
    Example:
      bringup vlab down
    """
    from bringup.vlab.lab import end_lab

    was_up = end_lab()
    if as_json:
        emit_json({"up": False, "was_up": was_up})
    else:
        answer("the virtual lab is down" if was_up else "the virtual lab was not up")


@command.command()
@click.argument("folder", type=FilePath(file_okay=False))
@click.option(
    "--firewall",
    type=click.Choice(["iptables", "nftables"]),
    default="iptables",
    show_default=True,
    help="What the rules are written for.",
)
@click.option(
    "--description",
    type=FilePath(dir_okay=False),
    metavar="FILE",
    help="Addresses and roles (default: those of the encryptor's two sites).",
)
@json_option()
def export(folder: Path, firewall: Backend, description: Path | None, as_json: bool) -> None:
    """Write the generated settings, rules and routes of each VM into FOLDER, a shell script each.

    They run as they are in the guests; changed, they can be judged with `--rules FOLDER`.

    \b
    Example:
      bringup vlab export rules
      bringup vlab export rules --firewall nftables
    """
    from bringup.base.whole_file import make_folder, write_whole
    from bringup.report.vlab import exported_lines
    from bringup.vlab.lab import LabRequest

    request = LabRequest.of(description, firewall)
    make_folder(folder)
    files = []
    for node in request.description.nodes():
        if node.role in {"vm0", "vm1", "vm2"}:
            write_whole(folder / f"{node.name}.sh", request.script(node).encode())
            files.append(f"{node.name}.sh")
    if as_json:
        emit_json({"folder": str(folder), "files": files, "firewall": firewall})
    else:
        answer(*exported_lines(folder, files))
