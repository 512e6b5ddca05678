"""What each fault does: to the BMC's answers, to the console on its way, to the board's orders and boots.

An effect sleeps until its moment (`begin`). The wire's faults and those that the image plays have none here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from bringup.twin.bmc.boot import BootFlags
from bringup.twin.bmc.commands import COMMANDS
from bringup.twin.bmc.request import Code, NetFn, Request, WatchedBoard
from bringup.twin.bmc.server import VirtualBmc
from bringup.twin.faults.choice import ChosenFault

_SET_BOOT_OPTIONS, _GET_BOOT_OPTIONS = 0x08, 0x09
_VALID_BIT_CLEARING, _BOOT_FLAGS = 3, 5
_ACTIVATE_PAYLOAD = 0x48
# Without these nobody is logged in, and nobody is told anything.
_LOGIN = ((NetFn.APP, 0x3B), (NetFn.APP, 0x3C))
# FFh unspecified, C3h timeout, D3h destination unavailable, C0h busy (IPMI 2.0 table 5-2): what BMCs say that
# labour.
_ODD_CODES = (0xFF, 0xC3, 0xD3, 0xC0)
_PERCENT = 100.0
# What a receiver at another speed makes of characters: runs of equal bits.
_SMEARED = b"\x00\x80\xc0\xe0\xf0\xf8\xfc\xfe\xff"
_EFI_BIT = 0x20


@dataclass(frozen=True)
class Hands:
    """What an effect acts with: the BMC, the board behind it, and a clock that calls back after seconds."""

    bmc: VirtualBmc
    board: WatchedBoard
    later: Callable[[float, Callable[[], None]], None]


class Effect:
    """One fault at work; the hooks of one that has not begun, or is over, change nothing."""

    def __init__(self, chosen: ChosenFault, random: Random) -> None:
        self.chosen = chosen
        self.random = random
        self.active = False

    def begin(self, hands: Hands) -> None:
        """Act from now on, for the seconds of the parameter `for` where it has one that is not 0."""
        self.active = True
        lasts_s = self._lasts_s()
        if lasts_s:
            hands.later(lasts_s, lambda: self.end(hands))

    def end(self, hands: Hands) -> None:
        """Act no more."""
        self.active = False

    def _lasts_s(self) -> float:
        named = {one.name for one in self.chosen.fault.parameters}
        return self.chosen.number("for") if "for" in named else 0.0

    def answers(self, request: Request) -> int | None:
        """Return the completion code that a command is answered with instead of being run."""
        return None

    def console(self, data: bytes) -> bytes:
        """Return what of the board's console reaches the BMC."""
        return data

    def obeys(self, order: str) -> bool:
        """Return whether the board follows an order of the BMC (a method's name of WatchedBoard)."""
        return True

    def boots(self, flags: BootFlags) -> BootFlags:
        """Return the boot flags that the firmware goes by, of those that the BMC holds."""
        return flags


class _SolDrop(Effect):
    def begin(self, hands: Hands) -> None:
        hands.bmc.drop_console()


class _SolStolen(Effect):
    def begin(self, hands: Hands) -> None:
        hands.bmc.give_console_away()
        super().begin(hands)

    def end(self, hands: Hands) -> None:
        hands.bmc.drop_console()


class _FirstBytesLost(Effect):
    def begin(self, hands: Hands) -> None:
        self._left = int(self.chosen.number("bytes"))
        super().begin(hands)

    def console(self, data: bytes) -> bytes:
        lost = min(self._left, len(data))
        self._left -= lost
        return data[lost:]


class _ConsoleGap(Effect):
    def begin(self, hands: Hands) -> None:
        super().begin(hands)
        hands.bmc.drop_console()

    def answers(self, request: Request) -> int | None:
        asks = (request.netfn, request.command) == (NetFn.APP, _ACTIVATE_PAYLOAD)
        return Code.NODE_BUSY if asks else None

    def console(self, data: bytes) -> bytes:
        return b""


class _WrongBaud(Effect):
    def console(self, data: bytes) -> bytes:
        return bytes(self.random.choices(_SMEARED, k=len(data)))


class _Silent(Effect):
    def begin(self, hands: Hands) -> None:
        hands.bmc.frozen = True
        super().begin(hands)

    def end(self, hands: Hands) -> None:
        hands.bmc.frozen = False


class _Restarts(_Silent):
    def begin(self, hands: Hands) -> None:
        hands.bmc.end_sessions()
        super().begin(hands)


class _PlugPulled(_Restarts):
    """Without mains there is no BMC either; both are back with the plug, and the board stays off."""

    def begin(self, hands: Hands) -> None:
        super().begin(hands)
        hands.board.power_off()


class _Busy(Effect):
    def begin(self, hands: Hands) -> None:
        self._left = int(self.chosen.number("times"))
        super().begin(hands)

    def answers(self, request: Request) -> int | None:
        if not self._left or not _is_command(request):
            return None
        self._left -= 1
        return Code.NODE_BUSY


class _OddCodes(Effect):
    def answers(self, request: Request) -> int | None:
        if not _is_command(request) or self.random.random() >= self.chosen.number("share") / _PERCENT:
            return None
        return self.random.choice(_ODD_CODES)


class _Slow(Effect):
    def answers(self, request: Request) -> int | None:
        if request.session is not None:
            time.sleep(self.chosen.number("delay"))
        return None


class _CipherRefused(Effect):
    def begin(self, hands: Hands) -> None:
        hands.bmc.refuse_suites()


class _OverrideIgnored(Effect):
    def boots(self, flags: BootFlags) -> BootFlags:
        return BootFlags()


class _OverrideUnreadable(Effect):
    def answers(self, request: Request) -> int | None:
        reads = _names_parameter(request, _GET_BOOT_OPTIONS, _BOOT_FLAGS)
        return Code.PARAMETER_NOT_SUPPORTED if reads else None


class _OverrideExpired(_OverrideIgnored):
    def answers(self, request: Request) -> int | None:
        keeps = _names_parameter(request, _SET_BOOT_OPTIONS, _VALID_BIT_CLEARING)
        return Code.PARAMETER_NOT_SUPPORTED if keeps else None


class _PowerDead(Effect):
    def obeys(self, order: str) -> bool:
        return False


class _PowerOnIgnored(Effect):
    def begin(self, hands: Hands) -> None:
        self._left = int(self.chosen.number("times"))
        super().begin(hands)

    def obeys(self, order: str) -> bool:
        if order != "power_on" or not self._left:
            return True
        self._left -= 1
        return False


class _Watchdog(Effect):
    def begin(self, hands: Hands) -> None:
        hands.later(self.chosen.number("after"), hands.bmc.expire_watchdog)


class _WrongArchitecture(Effect):
    def boots(self, flags: BootFlags) -> BootFlags:
        return BootFlags(bytes([flags.raw[0] ^ _EFI_BIT]) + flags.raw[1:])


_KINDS: Mapping[str, type[Effect]] = {
    "sol-drop": _SolDrop,
    "sol-stolen": _SolStolen,
    "first-bytes-lost": _FirstBytesLost,
    "console-gap": _ConsoleGap,
    "wrong-baud": _WrongBaud,
    "bmc-silent": _Silent,
    "bmc-busy": _Busy,
    "bmc-odd-codes": _OddCodes,
    "bmc-slow": _Slow,
    "bmc-restarts": _Restarts,
    "cipher-refused": _CipherRefused,
    "override-ignored": _OverrideIgnored,
    "override-unreadable": _OverrideUnreadable,
    "override-expired": _OverrideExpired,
    "power-dead": _PowerDead,
    "power-on-ignored": _PowerOnIgnored,
    "plug-pulled": _PlugPulled,
    "watchdog": _Watchdog,
    "wrong-architecture": _WrongArchitecture,
}


def effect_of(chosen: ChosenFault, seed: int) -> Effect:
    """Return the effect of a fault; its chances depend on the seed and its name only."""
    return _KINDS.get(chosen.name, Effect)(chosen, Random(f"{seed}/{chosen.name}"))  # noqa: S311  no secret


def _is_command(request: Request) -> bool:
    command = (request.netfn, request.command)
    return request.session is not None and command in COMMANDS and command not in _LOGIN


def _names_parameter(request: Request, command: int, parameter: int) -> bool:
    asks = (request.netfn, request.command) == (NetFn.CHASSIS, command)
    return asks and bool(request.data) and request.data[0] & 0x7F == parameter
