"""A twin as text and as JSON: whether it is up, where its BMC answers, and which commands reach it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bringup.base.size import counted
from bringup.lab.names import BUILTIN_BOARD
from bringup.twin.info import TwinInfo
from bringup.twin.network import NETWORK


def started_lines(info: TwinInfo) -> Iterator[str]:
    """Yield where a twin that was just started answers, and how to go on."""
    where = f"BMC at {info.bmc_address} port {info.bmc_port}"
    yield f"the twin {_called(info)} is up: {where}, board off"
    yield f"try    {ipmitool(info)} chassis power status"
    yield f"end    {twin_command('down', info.name)}"


def ended_line(name: str, *, was_up: bool) -> str:
    """Return that a twin is down."""
    return f"the twin {name} is down" if was_up else f"the twin {name} was not up"


def status_lines(name: str, info: TwinInfo | None) -> Iterator[str]:
    """Yield whether a twin is up, and how to reach it with other tools."""
    if info is None:
        yield f"the twin {name} is not up; start it with: {twin_command('up', name)}"
        return
    yield f"the twin {_called(info)} is up (process {info.pid})"
    where = f"{info.bmc_address} port {info.bmc_port}"
    yield f"machine  {info.engine}, {info.memory_mib} MiB"
    yield f"BMC      {where}, user {info.user}, password in {info.password_file}"
    for disk in info.disks:
        yield f"disk     {disk.kind}, {disk.size_mib} MiB, serial {disk.serial}, in {disk.file}"
    network = f"{NETWORK.interface} {NETWORK.address}"
    yield f"network  {network} in a namespace of its own; the board gets {info.board_address}"
    yield f"NIC      17:00.0 {info.boot_mac} boots from the network"
    if info.faults:
        yield f"plays    {', '.join(info.faults)} (seed {info.seed})"
    yield f"try      {ipmitool(info)} chassis power status"


def shelf_lines(boards: Sequence[TwinInfo], lab_file: Path) -> Iterator[str]:
    """Yield what stands on the shelf, and how to work with it."""
    if not boards:
        yield "no shelf is up; start one with: bringup twin shelf 8"
        return
    scripted = sum(board.shelf for board in boards)
    are = "board is" if len(boards) == 1 else "boards are"
    yield f"{len(boards)} {are} up: {counted(len(boards) - scripted, 'full twin')}, {scripted} scripted"
    for board in boards:
        if board.faults:
            yield f"plays  {board.name}: {', '.join(board.faults)}"
    yield f"use    export BRINGUP_LAB={shlex.quote(str(lab_file))}"
    yield "try    bringup power shelf     bringup boot scripted --yes"
    yield "end    bringup twin shelf --down"


def twin_json(name: str, info: TwinInfo | None) -> dict[str, Any]:
    """Return a twin as plain JSON data; `info` is None where it is not up."""
    if info is None:
        return {"twin": name, "up": False}
    return {
        "twin": name,
        "up": True,
        "variant": info.variant,
        "engine": info.engine,
        "memory_mib": info.memory_mib,
        "disks": [asdict(disk) for disk in info.disks],
        "faults": list(info.faults),
        "seed": info.seed,
        "pid": info.pid,
        "bmc": {
            "address": info.bmc_address,
            "port": info.bmc_port,
            "user": info.user,
            "password_file": str(info.password_file),
        },
        "network": {
            "bridge": NETWORK.interface,
            "address": NETWORK.address,
            "board_address": info.board_address,
        },
        "boot_mac": info.boot_mac,
        "keeper_pid": info.keeper_pid,
    }


def twin_command(verb: str, name: str) -> str:
    """Return the command that does `verb` to a twin; the usual one need not be named."""
    return f"bringup twin {verb}" + ("" if name == BUILTIN_BOARD else f" {name}")


def ipmitool(info: TwinInfo) -> str:
    """Return the start of an ipmitool command for a twin, ready to paste."""
    where = f"-H {info.bmc_address} -p {info.bmc_port} -U {info.user}"
    return f"ipmitool -I lanplus {where} -f {shlex.quote(str(info.password_file))}"


def _called(info: TwinInfo) -> str:
    return info.name if info.variant == "standard" else f"{info.name} (variant {info.variant})"
