"""Power and boot override over IPMI (chassis commands, IPMI 2.0 chapter 28)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from bringup.base.errors import (
    BmcTimeoutError,
    LabError,
    NotOfferedError,
    OverrideError,
    OverrideRefusedError,
    UnclearStateError,
)
from bringup.base.events import Emit, Event
from bringup.ipmi.client import Answer, IpmiClient
from bringup.ipmi.errors import NOT_TAKEN, PERHAPS_DONE, UNKNOWN_COMMANDS, UNSETTLED
from bringup.ipmi.fru import serial_number
from bringup.ipmi.pacing import Kind
from bringup.ipmi.sel import FIRST, LAST, RECORD_BYTES, SelEntry, decode_entry
from bringup.power.base import (
    BoardLog,
    BootOverride,
    Drivers,
    Identified,
    Logged,
    Override,
    Person,
    Power,
    PowerState,
)
from bringup.power.bmc_address import bmc_address
from bringup.power.boot_flags import BootQuirks, Kept, decode, encode, kept, unmarked
from bringup.power.settings import NoSettings, power_settings

if TYPE_CHECKING:
    from concurrent.futures import Future

    from bringup.lab.inventory import Board
    from bringup.profile.model import BmcFacts

T = TypeVar("T")

_CHASSIS, _APP, _STORAGE = 0x00, 0x06, 0x0A
_SYSTEM_GUID, _DEVICE_GUID, _READ_FRU, _GET_SEL_ENTRY = 0x37, 0x08, 0x11, 0x43
_GUID_BYTES, _FRU_PIECE_BYTES = 16, 32
_GET_STATUS, _CONTROL, _SET_BOOT, _GET_BOOT = 0x01, 0x02, 0x08, 0x09
_OFF, _ON, _RESET, _SOFT = 0x00, 0x01, 0x03, 0x05
_EXPIRY_PARAMETER, _FLAGS_PARAMETER = 0x03, 0x05
_PARAMETER_INVALID = 0x80
_SET_IN_PROGRESS = 0x81
_SET_BOOT_CODES = {  # Set System Boot Options, IPMI 2.0 28.12
    0x80: "keeps no boot flags",
    _SET_IN_PROGRESS: "is having its boot options set by somebody else",
    0x82: "lets nobody set its boot flags",
}
# What keeps a board off, or switched it off: bits of the three bytes of Get Chassis Status (IPMI 2.0 28.2).
_FAULTS = (
    (0, 0x02, "a power overload"),
    (0, 0x04, "an open interlock (a chassis panel)"),
    (0, 0x08, "a fault of the power supply"),
    (0, 0x10, "that it cannot control the power"),
    (1, 0x02, "that a power overload switched the board off last"),
    (1, 0x04, "that the interlock (a chassis panel) switched the board off last"),
    (1, 0x08, "that a power fault switched the board off last"),
    (2, 0x08, "a fault of a fan"),
)
_FLAGS_ANSWER_BYTES = 7
_NOT_PRESENT = 0xCB
_WHOLE_RECORD = 0xFF
_LOG_TIMEOUT_S = 2.0
_LOG_ENTRIES_MAX = 24

_SILENT_RETRIES = 1
# Every BMC has the chassis commands (IPMI 2.0 appendix G): one that knows none of them is still starting.
_UNSETTLED = NOT_TAKEN | UNSETTLED
_UNWILLING = NOT_TAKEN | UNSETTLED | UNKNOWN_COMMANDS


def open_drivers(board: Board, emit: Emit, _person: Person | None) -> Drivers:
    """Return power and boot override by the board's BMC; nothing is sent before the first call on them."""
    if board.power_table:
        power_settings(board, NoSettings)
    bmc = board.profile.bmc
    client = IpmiClient(bmc_address(board), spacing_s=bmc.spacing_s)
    chassis = ChassisCommands(client)
    override = IpmiOverride(chassis, emit, _quirks(bmc))
    power = IpmiPower(chassis)
    return Drivers(power, override, IpmiIdentity(client), log=IpmiLog(client), ahead=power)


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
        own: Mapping[int, str] | None = None,
    ) -> bytes:
        """Return the answer to one command; raises LabError naming `what` was asked."""
        silences = 0
        while True:
            self._client.login()  # a BMC that is not there at all is not asked again
            try:
                return self._client.request(_CHASSIS, command, data, what, kind=kind, again=again, own=own)
            except BmcTimeoutError:
                silences += 1
                if not repeatable or silences > _SILENT_RETRIES:
                    raise

    def ask_ahead(self, command: int, data: bytes, read: Callable[[Answer | None], T]) -> Future[T]:
        """Return at once with what `read` will make of the answer to a command; as `IpmiClient.ask_ahead`."""
        return self._client.ask_ahead(_CHASSIS, command, data, read)

    def close(self) -> None:
        """Log out."""
        self._client.close()


class IpmiIdentity(Identified):
    """What a BMC calls itself: the system's GUID, else its own, else the board's serial number."""

    def __init__(self, client: IpmiClient) -> None:
        self._client = client

    def identity(self) -> str | None:
        """Ask for it; raises BmcTimeoutError and BmcBusyError, refusals mean that there is none."""
        for command, what in ((_SYSTEM_GUID, "system GUID"), (_DEVICE_GUID, "BMC GUID")):
            guid = self._ask(_APP, command, b"", what)
            if len(guid) == _GUID_BYTES and len(set(guid)) > 1:  # zeros or ones are nobody's
                return f"GUID {UUID(bytes_le=guid)}"  # the byte order of SMBIOS, as boards answer it
        serial = serial_number(self._inventory)
        return None if serial is None else f"serial number {serial}"

    def _ask(self, netfn: int, command: int, data: bytes, what: str) -> bytes:
        answer = self._client.exchange(netfn, command, data, what, again=_UNSETTLED)
        return b"" if answer.code else answer.data

    def _inventory(self, start: int, size: int) -> bytes:
        """Read a piece of FRU inventory 0 (IPMI 2.0 34.2); some BMCs answer little at a time."""
        data = b""
        while len(data) < size:
            at, count = start + len(data), min(size - len(data), _FRU_PIECE_BYTES)
            request = bytes([0, *at.to_bytes(2, "little"), count])
            piece = self._ask(_STORAGE, _READ_FRU, request, "FRU inventory")[1:]
            if not piece:
                break
            data += piece
        return data[:size]


class IpmiLog(BoardLog):
    """The BMC's system event log, read from its end of a moment ago (IPMI 2.0 31.5).

    A BMC that labours, refuses, or does not answer soon is not asked: then nothing is known.
    """

    def __init__(self, client: IpmiClient) -> None:
        self._client = client
        self._last: int | None = None

    def mark(self) -> None:
        """Remember the last entry; an empty log is one that begins with its first."""
        found = self._ask(LAST)
        self._last = None if found is None else found[1].number if found[1] is not None else FIRST

    def since_mark(self) -> tuple[Logged, ...] | None:
        """Return the entries with a meaning that were added since, each once, in their order."""
        if self._last is None:
            return None
        found = self._ask(self._last)
        if found is None:
            return None
        # One that was emptied meanwhile knows the old entry no more: all that it holds is new.
        following = found[0] if found[1] is not None and self._last != FIRST else FIRST
        told: list[Logged] = []
        for _ in range(_LOG_ENTRIES_MAX):
            if following == LAST:
                return tuple(dict.fromkeys(told))
            found = self._ask(following)
            if found is None:
                return None
            following, entry = found
            if entry is None:
                return tuple(dict.fromkeys(told))
            if entry.kind is not None:
                told.append(Logged(entry.kind, entry.text))
        return None  # a log that runs over with entries explains nothing

    def _ask(self, number: int) -> tuple[int, SelEntry | None] | None:
        """Return the number of the next entry and this one, None for it where there is none; or None."""
        if not self._client.at_ease:
            return None
        request = bytes([0, 0, *number.to_bytes(2, "little"), 0, _WHOLE_RECORD])
        try:
            answer = self._client.exchange(
                _STORAGE, _GET_SEL_ENTRY, request, "event log", timeout_s=_LOG_TIMEOUT_S, again=()
            )
        except LabError:
            return None
        if answer.code == _NOT_PRESENT:
            return LAST, None
        if answer.code or len(answer.data) < 2 + RECORD_BYTES:
            return None
        return int.from_bytes(answer.data[:2], "little"), decode_entry(answer.data[2:])


class IpmiPower(Power):
    """The power of one board through its BMC."""

    def __init__(self, chassis: ChassisCommands) -> None:
        self._chassis = chassis
        self._status = b""

    def describe(self) -> str:
        """Return who switches."""
        return str(self._chassis)

    def trouble(self) -> str | None:
        """Return what the last chassis status says that keeps the board off."""
        found = [text for at, bit, text in _FAULTS if len(self._status) > at and self._status[at] & bit]
        return f"the BMC reports {' and '.join(found)}" if found else None

    def state(self) -> PowerState:
        """Read the power state once; an answer that is cut short is UNKNOWN.

        Raises UnclearStateError or BmcBusyError where the BMC cannot tell just now.
        """
        try:
            answer = self._chassis.request(_GET_STATUS, b"", "chassis power status")
        except NotOfferedError as error:  # every BMC has this command: it is still starting
            raise UnclearStateError(error.message, hint=error.hint) from None
        self._status = answer
        return _state_of(answer)

    def ask_ahead(self) -> Future[PowerState]:
        """Ask for the power state once; any answer that is not a plain one is UNKNOWN."""
        return self._chassis.ask_ahead(
            _GET_STATUS, b"", lambda answer: _state_of(b"" if answer is None or answer.code else answer.data)
        )

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


def _state_of(status: bytes) -> PowerState:
    """Return what a chassis status says (IPMI 2.0 28.2); one that is cut short says nothing."""
    if not status:
        return PowerState.UNKNOWN
    return PowerState.ON if status[0] & 0x01 else PowerState.OFF


class IpmiOverride(Override):
    """The boot override in a BMC's boot flags; emits what is set and read of it."""

    def __init__(self, chassis: ChassisCommands, emit: Emit, quirks: BootQuirks | None = None) -> None:
        self._chassis = chassis
        self._emit = emit
        self._quirks = quirks or BootQuirks()

    def describe(self) -> str:
        """Return who keeps it."""
        return str(self._chassis)

    def set(self, override: BootOverride) -> bool:
        """Stop the 60 s expiry, set parameter 5, read it back; return whether it is marked valid.

        Raises OverrideRefusedError, and OverrideError where something else is held or nothing is told.
        """
        wanted = encode(override, self._quirks)
        stopped = override.device != "none" and self._stop_expiry()
        timer = "60 s timer off" if stopped else "60 s timer cannot be stopped"
        self._store(wanted)
        data: dict[str, Any] = {
            "device": override.device,
            "persistent": override.persistent,
            "uefi": override.uefi,
            "expires": not stopped,
        }
        self._emit(Event("power", "override.set", f"{override}, flags {wanted.hex(' ')}, {timer}", data))
        read = self._read_flags()
        if read is None:
            raise OverrideError(
                f"{self.describe()} took the boot override ({override}) and does not tell what it holds"
            )
        held = kept(override, read, self._quirks)
        if held is Kept.OTHER:
            holds = f"{decode(read, self._quirks)} ({read.hex(' ')})"
            raise OverrideError(
                f"{self.describe()} did not keep the boot override: asked for {override} "
                f"({wanted.hex(' ')}), it holds {holds}"
            )
        data["raw"] = read.hex()
        if override.device == "none":
            self._emit(Event("power", "override.read", "none, read back", data))
        elif held is Kept.UNMARKED:
            text = f"{override}, read back and not marked valid: the board's first DHCP packet will tell"
            self._emit(Event("power", "override.unsure", text, data))
        else:
            self._emit(Event("power", "override.read", f"{override}, read back, {timer}", data))
        return held is Kept.HELD

    def clear(self) -> None:
        """Ask for nothing, and ask whether that was understood where the BMC tells."""
        try:
            self.set(BootOverride("none"))
        except OverrideRefusedError:
            raise
        except OverrideError:
            if self._read_flags() is not None:
                raise

    def read(self) -> BootOverride:
        """Return what boots next; raises OverrideError where the BMC does not tell."""
        read = self._read_flags()
        if read is None:
            raise OverrideError(f"{self.describe()} does not tell its boot override")
        return decode(read, self._quirks)

    def _store(self, flags: bytes) -> None:
        data = bytes([_FLAGS_PARAMETER]) + flags
        try:
            self._chassis.request(
                _SET_BOOT,
                data,
                "set boot flags",
                kind=Kind.STORE,
                again=_UNSETTLED | {_SET_IN_PROGRESS},
                own=_SET_BOOT_CODES,
            )
        except BmcTimeoutError:
            raise
        except LabError as error:
            told = f"the boot override was refused: {error.message}"
            raise OverrideRefusedError(told, hint=error.hint) from None

    def _stop_expiry(self) -> bool:
        # A BMC without this parameter keeps the flags 60 s, which is enough when power follows at once.
        data = bytes([_EXPIRY_PARAMETER, self._quirks.stop_expiry])
        try:
            self._chassis.request(_SET_BOOT, data, "stop the boot flags' expiry", kind=Kind.STORE)
        except BmcTimeoutError:
            raise
        except LabError:
            return False
        return True

    def _read_flags(self) -> bytes | None:
        """Return the five bytes, None where the BMC does not tell them."""
        data = bytes([_FLAGS_PARAMETER, 0, 0])
        try:
            answer = self._chassis.request(_GET_BOOT, data, "get boot flags", again=_UNSETTLED)
        except BmcTimeoutError:
            raise
        except LabError:
            return None
        if len(answer) < _FLAGS_ANSWER_BYTES:
            return None  # cut short
        flags = answer[2:7]
        # Marked invalid or locked (IPMI 2.0 28.13): what stands there may be from before, as without the mark
        # that the flags themselves have for that.
        return unmarked(flags) if answer[1] & _PARAMETER_INVALID else flags
