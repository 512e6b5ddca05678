"""Power and boot override over IPMI (chassis commands, IPMI 2.0 chapter 28)."""

from __future__ import annotations

import time
from collections.abc import Callable

from bringup.base.errors import BmcBusyError, BmcTimeoutError, LabError
from bringup.base.events import Emit, Event
from bringup.ipmi.client import IpmiClient
from bringup.power.base import BootOverride, PowerState
from bringup.power.boot_flags import BootQuirks, decode, encode, took

_CHASSIS = 0x00
_GET_STATUS, _CONTROL, _SET_BOOT, _GET_BOOT = 0x01, 0x02, 0x08, 0x09
_OFF, _ON, _RESET, _SOFT = 0x00, 0x01, 0x03, 0x05
_EXPIRY_PARAMETER, _FLAGS_PARAMETER = 0x03, 0x05
_PARAMETER_INVALID = 0x80
_FLAGS_ANSWER_BYTES = 7

_BUSY_RETRIES = 3
_SILENT_RETRIES = 1
_BUSY_PAUSE_S = 1.0


class IpmiPower:
    """The power of one board through its BMC; emits what is set and read of the boot override.

    A busy BMC is asked up to four times, one that gives no answer once more, except where asking twice would
    do the thing twice.
    """

    def __init__(
        self,
        client: IpmiClient,
        emit: Emit,
        quirks: BootQuirks | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._emit = emit
        self._quirks = quirks or BootQuirks()
        self._sleep = sleep

    def describe(self) -> str:
        """Return who switches."""
        return str(self._client.bmc)

    def state(self) -> PowerState:
        """Read the power state once; an answer that is cut short is UNKNOWN."""
        answer = self._request(_GET_STATUS, b"", "chassis power status")
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

    def set_override(self, override: BootOverride) -> None:
        """Stop the 60 s expiry, set parameter 5 and read it back; raises LabError when a bit differs."""
        wanted = encode(override, self._quirks)
        timer = self._stop_expiry() if override.device != "none" else ""
        self._request(_SET_BOOT, bytes([_FLAGS_PARAMETER]) + wanted, "set boot flags")
        data = {"device": override.device, "persistent": override.persistent, "uefi": override.uefi}
        self._emit(Event("power", "override.set", f"{override}, flags {wanted.hex(' ')}", data))
        read = self._read_flags()
        held = decode(read, self._quirks)
        if not took(wanted, read):
            asked = f"asked for {override} ({wanted.hex(' ')}), it holds {held} ({read.hex(' ')})"
            raise LabError(
                f"{self.describe()} did not keep the boot override: {asked}",
                hint="choose the boot device in the BIOS, or update the BMC's firmware",
            )
        self._emit(Event("power", "override.read", f"{held}, read back{timer}", {**data, "raw": read.hex()}))

    def read_override(self) -> BootOverride:
        """Return what boots next."""
        return decode(self._read_flags(), self._quirks)

    def close(self) -> None:
        """Log out."""
        self._client.close()

    def _stop_expiry(self) -> str:
        # A BMC without this parameter keeps the flags 60 s, which is enough when power follows at once.
        data = bytes([_EXPIRY_PARAMETER, self._quirks.stop_expiry])
        try:
            self._request(_SET_BOOT, data, "stop the boot flags' expiry")
        except LabError as error:
            if type(error) is not LabError:  # busy, silent or not allowed: no word on the parameter
                raise
            return ", 60 s timer cannot be stopped"
        return ", 60 s timer off"

    def _read_flags(self) -> bytes:
        answer = self._request(_GET_BOOT, bytes([_FLAGS_PARAMETER, 0, 0]), "get boot flags")
        if len(answer) < _FLAGS_ANSWER_BYTES:
            raise LabError(f"{self.describe()} cut its boot flags short: {answer.hex(' ')}")
        if answer[1] & _PARAMETER_INVALID:
            return bytes(5)  # marked invalid or locked: nothing in it holds
        return answer[2:7]

    def _control(self, action: int, what: str, *, repeatable: bool = True) -> None:
        self._request(_CONTROL, bytes([action]), what, repeatable=repeatable)

    def _request(self, command: int, data: bytes, what: str, *, repeatable: bool = True) -> bytes:
        silences = busy_answers = 0
        while True:
            self._client.login()  # a BMC that is not there at all is not asked again
            try:
                return self._client.request(_CHASSIS, command, data, what)
            except BmcTimeoutError:
                silences += 1
                if not repeatable or silences > _SILENT_RETRIES:
                    raise
            except BmcBusyError:
                busy_answers += 1
                if busy_answers > _BUSY_RETRIES:
                    raise
                self._sleep(_BUSY_PAUSE_S)
