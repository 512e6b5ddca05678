"""Where a board's BMC is, be it real or a twin's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bringup.base.errors import LabError, ProfileError
from bringup.ipmi.login import SAFE_SUITES, BmcAddress

if TYPE_CHECKING:
    from bringup.lab.inventory import Board


def bmc_address(board: Board) -> BmcAddress:
    """Return where the board's BMC is now; raises LabError for a twin that is not up."""
    order = board.profile.bmc.cipher_order
    suites = SAFE_SUITES if order is None else order.value
    if board.twin:
        from bringup.twin.info import running

        twin = running(board.name)
        if twin is None:
            raise LabError(f"the twin {board.name} is not up", hint=f"bringup twin up {board.name}")
        return BmcAddress(twin.bmc_address, twin.bmc_port, twin.user, twin.password, suites)
    if board.bmc is None:
        raise ProfileError(
            f"the lab file names no BMC for {board.name}",
            hint=f"give [boards.{board.name}] `bmc = {{ address, user, password }}`",
        )
    return BmcAddress(board.bmc.address, board.bmc.port, board.bmc.user, board.bmc.password, suites)
