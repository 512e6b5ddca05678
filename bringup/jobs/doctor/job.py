"""`bringup doctor`: which checks there are for a board, run."""

from __future__ import annotations

import functools
from contextlib import closing
from pathlib import Path

from bringup.base.errors import BringupError, LabError
from bringup.ipmi.client import IpmiClient
from bringup.ipmi.login import BmcAddress
from bringup.jobs.doctor.bmc import Bmc, bmc_checks
from bringup.jobs.doctor.check import Check, Checked, Group, examine, failed_by, skipped
from bringup.jobs.doctor.host import file_checks, host_checks
from bringup.jobs.doctor.ports import port_checks
from bringup.jobs.doctor.segment import segment_checks, switch_checks
from bringup.jobs.doctor.serial import serial_checks
from bringup.jobs.doctor.tools import tool_checks
from bringup.lab.inventory import Board, Lab, twin_board
from bringup.lab.names import BUILTIN_BOARD
from bringup.power.bmc_address import bmc_address
from bringup.power.open import open_drivers


def default_board(lab: Lab) -> Board:
    """Return the board that is meant where none is named: the only one, else the twin."""
    boards = list(lab.boards.values())
    return boards[0] if len(boards) == 1 else lab.boards.get(BUILTIN_BOARD) or twin_board(BUILTIN_BOARD)


def diagnose(lab: Lab, board: Board) -> list[Checked]:
    """Return what was found of this host and a board; changes nothing, and takes at most 40 s."""
    groups = [tool_checks(), host_checks(board), file_checks(lab), serial_checks(board), *_network(board)]
    looked = bmc_of(board)
    if not isinstance(looked, Bmc):
        return examine([*groups, looked])
    with closing(looked.client):
        return examine([*groups, bmc_checks(looked)])


def lab_refused(error: BringupError) -> list[Checked]:
    """Return what is found without a lab: its file is what is wrong, and this host can be looked at."""
    wrong = Group("files", [Check("files-lab", "lab file", lambda: failed_by(error))])
    return examine([tool_checks(), wrong])


def _network(board: Board) -> list[Group]:
    if board.twin:
        return [_without("network", "network", "the twin has a network of its own, which nobody else is on")]
    if board.network is None:
        return [_without("network", "network", f"the lab file names no network for {board.name}")]
    network = board.network
    return [port_checks(network), segment_checks(board.name, network), switch_checks(network)]


def bmc_of(board: Board) -> Bmc | Group:
    """Return the board's BMC, or the one line that says why it is not looked at."""
    if not board.twin and board.bmc is None:
        return _without("BMC", "bmc", f"the lab file names no BMC for {board.name}")
    if board.twin and not _is_up(board):
        return _without("BMC", "bmc", f"the twin {board.name} is not up", f"bringup twin up {board.name}")
    try:
        profile, address = board.profile, bmc_address(board)
        override = open_drivers(board).override
        if board.bmc is not None and board.bmc.password_file is not None and not _opens(address):
            return _without("BMC", "bmc", "not looked at without its password: see files")
        address.password.reveal()
    except BringupError as error:
        return Group("BMC", [Check("bmc", "BMC", functools.partial(failed_by, error))])
    baud = None
    if board.serial == "sol":
        said = profile.serial.baud
        baud = board.baud or (None if said is None else said.value)
    client = IpmiClient(address, spacing_s=profile.bmc.spacing_s)
    return Bmc(board.name, client, override, baud, _password_file(board))


def _opens(address: BmcAddress) -> bool:
    """Whether the password can be had from its file; why not is told where files are looked at."""
    try:
        address.password.reveal()
    except LabError:
        return False
    return True


def _is_up(board: Board) -> bool:
    from bringup.twin.info import running

    return running(board.name) is not None


def _password_file(board: Board) -> Path | None:
    if board.bmc is not None:
        return board.bmc.password_file
    from bringup.twin.info import running

    twin = running(board.name)
    return None if twin is None else twin.password_file


def _without(title: str, name: str, why: str, fix: str | None = None) -> Group:
    return Group(title, [Check(name, title, functools.partial(skipped, why, fix))])
