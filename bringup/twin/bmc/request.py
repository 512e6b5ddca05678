"""What an IPMI command handler is given and may answer: the words all command tables of the BMC share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from bringup.twin.bmc.state import BmcState


class NetFn(IntEnum):
    """Network functions of requests (IPMI 2.0 table 5-1)."""

    CHASSIS = 0x00
    SENSOR = 0x04
    APP = 0x06
    STORAGE = 0x0A
    TRANSPORT = 0x0C
    OEM_SUPERMICRO = 0x30


class Code(IntEnum):
    """Completion codes (IPMI 2.0 table 5-2); 0x80 and above below 0xC0 belong to one command each."""

    OK = 0x00
    PARAMETER_NOT_SUPPORTED = 0x80
    NODE_BUSY = 0xC0
    INVALID_COMMAND = 0xC1
    RESERVATION_CANCELED = 0xC5
    LENGTH_INVALID = 0xC7
    OUT_OF_RANGE = 0xC9
    NOT_PRESENT = 0xCB
    INVALID_FIELD = 0xCC
    INSUFFICIENT_PRIVILEGE = 0xD4
    NOT_IN_PRESENT_STATE = 0xD5


class Privilege(IntEnum):
    """Privilege levels (IPMI 2.0 table 6-5); NONE is a request outside any session."""

    NONE = 0
    CALLBACK = 1
    USER = 2
    OPERATOR = 3
    ADMINISTRATOR = 4


class RefusedError(Exception):
    """Ends a command with a completion code other than OK."""

    def __init__(self, code: int) -> None:
        super().__init__(f"completion code {code:#04x}")
        self.code = code


class WatchedBoard(Protocol):
    """The board a BMC watches over. Every method returns quickly: commands wait for it."""

    def is_on(self) -> bool:
        """Return whether the board has power."""

    def power_on(self) -> None:
        """Switch on."""

    def power_off(self) -> None:
        """Switch off at once."""

    def power_cycle(self) -> None:
        """Switch off, pause, switch on."""

    def reset(self) -> None:
        """Reset the running board."""

    def soft_off(self) -> None:
        """Press the power button; the operating system decides."""

    def pulse_diag(self) -> None:
        """Send a diagnostic interrupt."""

    def write_serial(self, data: bytes) -> None:
        """Send bytes into the UART that SOL stands on."""

    def send_break(self) -> None:
        """Hold that UART's line low for longer than a character."""


class BmcSession(Protocol):
    """A logged-in session, as far as commands look at it or change it."""

    managed_id: bytes
    username: str
    privilege: Privilege
    max_privilege: Privilege
    sockaddr: tuple[str, int]

    def close(self) -> None:
        """End the session once the answer to the present command is out."""

    def send_sol(self, payload: bytes) -> None:
        """Send one SOL payload."""


class Sol(Protocol):
    """The one Serial-over-LAN payload instance."""

    @property
    def owner(self) -> BmcSession | None:
        """The session that holds the console."""

    def activate(self, session: BmcSession) -> None:
        """Give the console to `session`."""

    def deactivate(self) -> None:
        """Take the console from its owner and tell it."""


@dataclass(frozen=True, slots=True)
class LanIdentity:
    """What the BMC says of its own LAN interface."""

    address: str
    port: int
    mac: bytes


@dataclass(frozen=True, slots=True)
class Shared:
    """Everything commands work on, the same for every caller."""

    state: BmcState
    chassis: WatchedBoard
    identity: LanIdentity
    users: Mapping[str, Privilege]
    suites: Sequence[int]
    sol: Sol
    sessions: Callable[[], Sequence[BmcSession]]

    def user_name(self, number: int) -> str | None:
        """Return the name of user `number`; as on the board, user 1 is anonymous and people start at 2."""
        names = list(self.users)
        return names[number - 2] if 2 <= number < 2 + len(names) else None


@dataclass(frozen=True, slots=True)
class Request:
    """One command and who asks: a session of the LAN channel, or the board itself over KCS (no session)."""

    netfn: int
    command: int
    data: bytes
    privilege: Privilege = Privilege.ADMINISTRATOR
    session: BmcSession | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """Completion code and the bytes after it."""

    code: int
    data: bytes = b""


Handler = Callable[[Request, Shared], bytes]


@dataclass(frozen=True, slots=True)
class Command:
    """A handler, who may call it (IPMI 2.0 appendix G) and the least number of data bytes it needs."""

    handler: Handler
    privilege: Privilege
    minimum: int = 0


Table = Mapping[tuple[int, int], Command]

MAX_USERS = 10
LAN_CHANNEL = 1
SYSTEM_CHANNEL = 15
PRESENT_CHANNEL = 14


def require_lan_channel(number: int, request: Request) -> int:
    """Return the LAN channel a field names, "this channel" included; refuse any other (0xCC)."""
    number &= 0x0F
    if number == PRESENT_CHANNEL and (request.session or request.privilege is Privilege.NONE):
        return LAN_CHANNEL
    if number != LAN_CHANNEL:
        raise RefusedError(Code.INVALID_FIELD)
    return number
