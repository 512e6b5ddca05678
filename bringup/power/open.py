"""From a board of the lab to its power switch."""

from __future__ import annotations

from bringup.errors import LabError, ProfileError
from bringup.ipmi import BmcAddress, IpmiClient
from bringup.lab import Board
from bringup.power.ipmi import IpmiPower


def bmc_address(board: Board) -> BmcAddress:
    """Return how to log in to a board's BMC; raises LabError for a twin that is not up."""
    spacing_s = board.profile.bmc.min_command_spacing_s.value
    if board.twin:
        from bringup.twin.client import running

        info = running(board.name)
        if info is None:
            raise LabError(f"the twin {board.name} is not up", hint="bringup twin up")
        return BmcAddress(info.bmc_address, info.bmc_port, info.user, info.password, spacing_s)
    bmc = board.bmc
    if bmc is None:
        raise ProfileError(
            f"the lab file names no BMC for {board.name}",
            hint=f"give [boards.{board.name}] bmc = {{ address, user, password }}",
        )
    return BmcAddress(bmc.address, bmc.port, bmc.user, bmc.password, spacing_s)


def open_power(board: Board) -> IpmiPower:
    """Return the board's power switch; the login happens with the first command."""
    selector = board.profile.bmc.uefi_disk_selector.value
    return IpmiPower(IpmiClient(bmc_address(board)), uefi_disk_selector=selector)
