"""The only module that speaks to a BMC as a client: pyghmi behind one thin, bounded adapter.

What pyghmi 1.6.19 does that this module answers for (read in its session.py and console.py, and observed):

- Nothing moves unless somebody pumps `Session.wait_for_rsp`, a class method for all sessions of the process,
  and that call can raise ValueError, NotImplementedError or struct.error. One pump thread does it.
- Credentials given as `str` make a second object for the same BMC hang for ever (the session cache compares
  bytes with str). They are given as bytes.
- A login or command that gets no answer raises an exception without a text, or blocks for a minute. Every
  call here runs in a worker thread and has a deadline of its own.
"""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, Queue
from typing import Any, Protocol, TypeVar

from bringup.errors import (
    AuthenticationError,
    BmcBusyError,
    BmcTimeoutError,
    BringupError,
    CipherError,
    LabError,
)

T = TypeVar("T")

LOGIN_TIMEOUT_S = 8.0
COMMAND_TIMEOUT_S = 10.0
_PUMP_S = 0.05

_BUSY_CODES = (0xC0, 0xC3, 0xCF)


class Password(Protocol):
    """Something that gives a password when asked, and shows nothing otherwise."""

    def reveal(self) -> str:
        """Return the password."""


@dataclass(frozen=True, slots=True)
class BmcAddress:
    """Where a BMC is and who logs in; `spacing_s` is the least time between two commands to it."""

    address: str
    port: int
    user: str
    password: Password = field(repr=False)
    spacing_s: float = 0.0

    def __str__(self) -> str:
        return f"BMC {self.address} port {self.port}"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one of pyghmi's messages means for a person."""

    words: str
    kind: type[LabError]
    sentence: str
    hint: str


_CIPHER = "offers neither cipher suite 17 nor 3, and this tool uses no weaker one"
_CIPHER_HINT = "enable suite 17 or 3: `ipmitool lan print 1` on the board shows which are on"
_PASSWORD = "refuses the password of user {user}"  # noqa: S105
_PASSWORD_HINT = (  # noqa: S105
    "check the password's reference in lab.toml; old boards have ADMIN, newer ones a sticker (PWD)"
)

# The words are those of pyghmi's session.py and of its table of RMCP+ status codes (IPMI 2.0 table 13-15).
MEANINGS = (
    Meaning("incorrect password", AuthenticationError, _PASSWORD, _PASSWORD_HINT),
    Meaning("integrity check value", AuthenticationError, _PASSWORD, _PASSWORD_HINT),
    Meaning(
        "unauthorized name",
        AuthenticationError,
        "knows no user {user}",
        "`ipmitool user list 1` on the board names its users",
    ),
    Meaning(
        "privilege",
        AuthenticationError,
        "does not let user {user} be an administrator or operator",
        "`ipmitool channel setaccess 1 2 privilege=4` on the board",
    ),
    Meaning("no cipher suite match", CipherError, _CIPHER, _CIPHER_HINT),
    Meaning("no matching integrity", CipherError, _CIPHER, _CIPHER_HINT),
    Meaning("authentication algorithm", CipherError, _CIPHER, _CIPHER_HINT),
    Meaning("integrity algorithm", CipherError, _CIPHER, _CIPHER_HINT),
    Meaning("confidentiality algorithm", CipherError, _CIPHER, _CIPHER_HINT),
    Meaning(
        "session active for another client",
        BmcBusyError,
        "says that somebody else holds the console",
        "ask them, or take it with --steal",
    ),
    Meaning(
        "node busy",
        BmcBusyError,
        "is busy",
        "try again in a minute; a BMC that stays busy needs a cold reset",
    ),
    Meaning(
        "insufficient resources",
        BmcBusyError,
        "has no session free",
        "somebody left sessions open; they expire after a minute",
    ),
    Meaning(
        "sol is disabled",
        LabError,
        "has Serial-over-LAN switched off",
        "`ipmitool sol set enabled true 1`",
    ),
)


def translate(text: str | None, bmc: BmcAddress) -> LabError:
    """Return the error a person should see for pyghmi's message; None or `timeout` means no answer came."""
    lowered = (text or "timeout").lower()
    for meaning in MEANINGS:
        if meaning.words in lowered:
            return meaning.kind(f"{bmc} {meaning.sentence.format(user=bmc.user)}", hint=meaning.hint)
    if "timeout" in lowered or "no longer connected" in lowered or "disconnected" in lowered:
        return no_answer(bmc)
    return LabError(f"{bmc} says: {text}")


def no_answer(bmc: BmcAddress) -> BmcTimeoutError:
    """Return the error for silence."""
    return BmcTimeoutError(
        f"{bmc} does not answer",
        hint="is the management LAN plugged in, the address right, UDP not filtered? `ping` it first",
    )


class Pump:
    """Drives pyghmi's event loop from one thread for the whole process, from first use to its end."""

    _lock = threading.Lock()
    _thread: threading.Thread | None = None

    @classmethod
    def start(cls) -> None:
        """Start the thread, once."""
        with cls._lock:
            if cls._thread is None:
                cls._thread = threading.Thread(target=cls._run, name="ipmi-pump", daemon=True)
                cls._thread.start()

    @staticmethod
    def _run() -> None:
        from pyghmi.ipmi.private.session import Session

        while True:
            try:
                if not Session.wait_for_rsp(timeout=_PUMP_S):
                    time.sleep(0.002)
            except (ValueError, NotImplementedError, struct.error, KeyError, IndexError, TypeError, OSError):
                # A packet pyghmi cannot read must not stop the packets of other sessions.
                time.sleep(0.01)


def bounded(call: Callable[[], T], timeout_s: float, bmc: BmcAddress) -> T:
    """Run a pyghmi call with a deadline of our own; raises what `translate` makes of its failure."""
    from pyghmi.exceptions import IpmiException

    answers: Queue[tuple[bool, Any]] = Queue()

    def work() -> None:
        try:
            answers.put((True, call()))
        except BaseException as error:  # noqa: BLE001  # carried to the caller's thread
            answers.put((False, error))

    threading.Thread(target=work, name="ipmi-call", daemon=True).start()
    try:
        ok, value = answers.get(timeout=timeout_s)
    except Empty:
        raise no_answer(bmc) from None
    if ok:
        result: T = value
        return result
    if isinstance(value, IpmiException):
        raise translate(str(value) if value.args and value.args[0] else None, bmc) from None
    if isinstance(value, BringupError):
        raise value
    if isinstance(value, OSError):
        raise LabError(
            f"{bmc} cannot be reached: {value.strerror or value}", hint="check the address in lab.toml"
        ) from None
    raise LabError(f"{bmc} gave an answer that cannot be read ({type(value).__name__})") from None


class IpmiClient:
    """One logged-in session; commands are spaced, bounded, and answer bytes or raise."""

    def __init__(self, bmc: BmcAddress) -> None:
        self.bmc = bmc
        self._command: Any = None
        self._next_s = 0.0

    def open(self, timeout_s: float = LOGIN_TIMEOUT_S) -> None:
        """Log in; raises AuthenticationError, CipherError, BmcTimeoutError or LabError."""
        from pyghmi.ipmi.command import Command

        if self._command is not None:
            return
        bmc = self.bmc
        user, password = bmc.user.encode(), bmc.password.reveal().encode()
        Pump.start()
        self._command = bounded(
            lambda: Command(bmc=bmc.address, userid=user, password=password, port=bmc.port), timeout_s, bmc
        )

    def raw(self, netfn: int, command: int, data: bytes = b"") -> bytes:
        """Send one command and return the data of its answer.

        Raises BmcBusyError for a busy completion code, LabError naming the code for another.
        """
        self.open()
        self._space()
        session = self._command
        answer = bounded(
            lambda: session.raw_command(netfn=netfn, command=command, data=tuple(data)),
            COMMAND_TIMEOUT_S,
            self.bmc,
        )
        code = int(answer.get("code", 0) or 0)
        if code in _BUSY_CODES:
            raise BmcBusyError(
                f"{self.bmc} is busy (completion code {code:#04x})", hint="try again in a minute"
            )
        if code:
            raise LabError(
                f"{self.bmc} refuses command {netfn:#04x}/{command:#04x} (completion code {code:#04x})"
            )
        if "error" in answer:
            self.close()
            raise translate(str(answer["error"]), self.bmc)
        return bytes(answer["data"])

    def _space(self) -> None:
        # Some BMCs crash when asked too quickly (ironic keeps 5 s between commands to one BMC).
        wait_s = self._next_s - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)
        self._next_s = time.monotonic() + self.bmc.spacing_s

    def close(self) -> None:
        """Log out; harmless when not logged in."""
        command, self._command = self._command, None
        if command is not None:
            try:
                bounded(command.ipmi_session.logout, 2.0, self.bmc)
            except LabError:
                return  # it is gone already, which is what we want
