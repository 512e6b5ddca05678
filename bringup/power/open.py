"""From a board of the lab to what drives its power."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bringup.base.errors import LabError, ProfileError
from bringup.base.events import Emit, Event
from bringup.ipmi.client import BmcAddress, IpmiClient
from bringup.power.base import BootOverride, Power
from bringup.power.boot_flags import BootQuirks
from bringup.power.ipmi import IpmiPower

if TYPE_CHECKING:
    from bringup.lab.inventory import Board
    from bringup.profile.model import BmcFacts


def bmc_address(board: Board) -> BmcAddress:
    """Return where the board's BMC is now; raises LabError for a twin that is not up."""
    if board.twin:
        from bringup.twin.client import running

        twin = running(board.name)
        if twin is None:
            raise LabError(f"the twin {board.name} is not up", hint="bringup twin up")
        return BmcAddress(twin.bmc_address, twin.bmc_port, twin.user, twin.password)
    if board.bmc is None:
        raise ProfileError(
            f"the lab file names no BMC for {board.name}",
            hint=f"give [boards.{board.name}] `bmc = {{ address, user, password }}`",
        )
    return BmcAddress(board.bmc.address, board.bmc.port, board.bmc.user, board.bmc.password)


def open_power(board: Board, emit: Emit | None = None) -> Power:
    """Return the board's power; nothing is sent before the first call on it."""
    bmc = board.profile.bmc
    client = IpmiClient(bmc_address(board), spacing_s=bmc.min_command_spacing_s.value)
    return IpmiPower(client, emit or _ignore, _quirks(bmc))


def _ignore(_event: Event) -> None:
    return


def _quirks(bmc: BmcFacts) -> BootQuirks:
    known = bmc.boot_flags
    flags = {
        BootOverride("network"): known.bios_network_once,
        BootOverride("network", persistent=True): known.bios_network_persistent,
        BootOverride("network", uefi=True): known.uefi_network_once,
        BootOverride("network", persistent=True, uefi=True): known.uefi_network_persistent,
        BootOverride("setup", uefi=True): known.uefi_setup_once,
    }
    return BootQuirks(
        flags={override: bytes(fact.value) for override, fact in flags.items()},
        uefi_disk_selector=bmc.uefi_disk_selector.value,
        stop_expiry=bmc.stop_boot_flag_expiry.value[-1],
    )
