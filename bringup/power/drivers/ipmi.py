"""Power and boot override over IPMI (chassis commands, IPMI 2.0 chapter 28)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from bringup.base.errors import BmcTimeoutError, LabError, NotOfferedError, UnclearStateError
from bringup.base.events import Emit, Event
from bringup.ipmi.client import IpmiClient
from bringup.ipmi.errors import NOT_TAKEN, PERHAPS_DONE, UNKNOWN_COMMANDS, UNSETTLED
from bringup.ipmi.pacing import Kind
from bringup.power.base import BootOverride, Drivers, Override, Person, Power, PowerState
from bringup.power.bmc_address import bmc_address
from bringup.power.boot_flags import BootQuirks, decode, encode, took
from bringup.power.settings import NoSettings, power_settings

if TYPE_CHECKING:
    from bringup.lab.inventory import Board
    from bringup.profile.model import BmcFacts

_CHASSIS = 0x00
_GET_STATUS, _CONTROL, _SET_BOOT, _GET_BOOT = 0x01, 0x02, 0x08, 0x09
_OFF, _ON, _RESET, _SOFT = 0x00, 0x01, 0x03, 0x05
_EXPIRY_PARAMETER, _FLAGS_PARAMETER = 0x03, 0x05
_PARAMETER_INVALID = 0x80
_FLAGS_ANSWER_BYTES = 7

_SILENT_RETRIES = 1
# Every BMC has the chassis commands (IPMI 2.0 appendix G): one that knows none of them is still starting.
_UNWILLING = NOT_TAKEN | UNSETTLED | UNKNOWN_COMMANDS


def open_drivers(board: Board, emit: Emit, _person: Person | None) -> Drivers:
    """Return power and boot override by the board's BMC; nothing is sent before the first call on them."""
    power_settings(board, NoSettings)
    bmc = board.profile.bmc
    chassis = ChassisCommands(IpmiClient(bmc_address(board), spacing_s=bmc.spacing_s))
    return Drivers(IpmiPower(chassis), IpmiOverride(chassis, emit, _quirks(bmc)))


def _quirks(bmc: BmcFacts) -> BootQuirks:
    known = bmc.boot_flags
    flags = {
        BootOverride("network"): known.bios_network_once,
        BootOverride("network", persistent=True): known.bios_network_persistent,
        BootOverride("network", uefi=True): known.uefi_network_once,
        BootOverride("network", persistent=True, uefi=True): known.uefi_network_persistent,
        BootOverride("setup", uefi=True): known.uefi_setup_once,
    }
    quirks = BootQuirks(
        flags={override: bytes(fact.value) for override, fact in flags.items() if fact is not None},
        uefi_disk_selector=None if bmc.uefi_disk_selector is None else bmc.uefi_disk_selector.value,
    )
    stop = bmc.stop_boot_flag_expiry
    return quirks if stop is None else replace(quirks, stop_expiry=stop.value[-1])


class ChassisCommands:
    """Chassis commands to one BMC.

    A BMC that is busy, or cannot do it just now, is asked up to five times, one that gives no answer once
    more, except where asking twice might do the thing twice.
    """

    def __init__(self, client: IpmiClient) -> None:
        self._client = client

    def __str__(self) -> str:
        return str(self._client.bmc)

    def request(
        self,
        command: int,
        data: bytes,
        what: str,
        *,
        kind: Kind = Kind.READ,
        again: Collection[int] = NOT_TAKEN,
        repeatable: bool = True,
    ) -> bytes:
        """Return the answer to one command; raises LabError naming `what` was asked."""
        silences = 0
        while True:
            self._client.login()  # a BMC that is not there at all is not asked again
            try:
                return self._client.request(_CHASSIS, command, data, what, kind=kind, again=again)
            except BmcTimeoutError:
                silences += 1
                if not repeatable or silences > _SILENT_RETRIES:
                    raise

    def close(self) -> None:
        """Log out."""
        self._client.close()


class IpmiPower(Power):
    """The power of one board through its BMC."""

    def __init__(self, chassis: ChassisCommands) -> None:
        self._chassis = chassis

    def describe(self) -> str:
        """Return who switches."""
        return str(self._chassis)

    def state(self) -> PowerState:
        """Read the power state once; an answer that is cut short is UNKNOWN.

        Raises UnclearStateError or BmcBusyError where the BMC cannot tell just now.
        """
        try:
            answer = self._chassis.request(_GET_STATUS, b"", "chassis power status")
        except NotOfferedError as error:  # every BMC has this command: it is still starting
            raise UnclearStateError(error.message, hint=error.hint) from None
        if not answer:
            return PowerState.UNKNOWN
        return PowerState.ON if answer[0] & 0x01 else PowerState.OFF

    def on(self) -> None:
        """Ask for power on."""
        self._control(_ON, "power on")

    def off(self) -> None:
        """Ask for power off."""
        self._control(_OFF, "power off")

    def reset(self) -> None:
        """Ask for a hard reset; not repeated when no answer comes, because it may have been carried out."""
        self._control(_RESET, "power reset", repeatable=False)

    def soft(self) -> None:
        """Ask the operating system to shut down; not repeated, because it is a press of a button."""
        self._control(_SOFT, "soft power off", repeatable=False)

    def close(self) -> None:
        """Log out."""
        self._chassis.close()

    def _control(self, action: int, what: str, *, repeatable: bool = True) -> None:
        again = _UNWILLING if repeatable else _UNWILLING - PERHAPS_DONE
        data = bytes([action])
        self._chassis.request(_CONTROL, data, what, kind=Kind.SWITCH, again=again, repeatable=repeatable)


class IpmiOverride(Override):
    """The boot override in a BMC's boot flags; emits what is set and read of it."""

    def __init__(self, chassis: ChassisCommands, emit: Emit, quirks: BootQuirks | None = None) -> None:
        self._chassis = chassis
        self._emit = emit
        self._quirks = quirks or BootQuirks()

    def describe(self) -> str:
        """Return who keeps it."""
        return str(self._chassis)

    def set(self, override: BootOverride) -> None:
        """Stop the 60 s expiry, set parameter 5 and read it back; raises LabError when a bit differs."""
        wanted = encode(override, self._quirks)
        timer = self._stop_expiry() if override.device != "none" else ""
        self._chassis.request(_SET_BOOT, bytes([_FLAGS_PARAMETER]) + wanted, "set boot flags")
        data = {"device": override.device, "persistent": override.persistent, "uefi": override.uefi}
        self._emit(Event("power", "override.set", f"{override}, flags {wanted.hex(' ')}", data))
        read = self._read_flags()
        held = decode(read, self._quirks)
        if not took(wanted, read):
            asked = f"asked for {override} ({wanted.hex(' ')}), it holds {held} ({read.hex(' ')})"
            raise LabError(
                f"{self.describe()} did not keep the boot override: {asked}",
                hint="choose the boot device in the firmware setup, or update the BMC's firmware",
            )
        self._emit(Event("power", "override.read", f"{held}, read back{timer}", {**data, "raw": read.hex()}))

    def read(self) -> BootOverride:
        """Return what boots next."""
        return decode(self._read_flags(), self._quirks)

    def _stop_expiry(self) -> str:
        # A BMC without this parameter keeps the flags 60 s, which is enough when power follows at once.
        data = bytes([_EXPIRY_PARAMETER, self._quirks.stop_expiry])
        try:
            self._chassis.request(_SET_BOOT, data, "stop the boot flags' expiry")
        except LabError as error:
            if type(error) is not LabError:  # busy, silent or not allowed: no word on the parameter
                raise
            return ", 60 s timer cannot be stopped"
        return ", 60 s timer off"

    def _read_flags(self) -> bytes:
        answer = self._chassis.request(_GET_BOOT, bytes([_FLAGS_PARAMETER, 0, 0]), "get boot flags")
        if len(answer) < _FLAGS_ANSWER_BYTES:
            raise LabError(f"{self.describe()} cut its boot flags short: {answer.hex(' ')}")
        if answer[1] & _PARAMETER_INVALID:
            return bytes(5)  # marked invalid or locked: nothing in it holds
        return answer[2:7]
