"""pyghmi's RMCP+ session, tamed: not shared, never blocking, no silent second login.

Everything here runs in the one thread that also calls `ClientSession.wait_for_rsp` (see `ipmi.pump`).
What is worked around is pyghmi 1.6.19's ipmi/private/session.py; the package is pinned to that version.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any

from pyghmi.exceptions import PyghmiException
from pyghmi.ipmi.private import session as library

from bringup.base.clock import boottime_s
from bringup.ipmi.errors import NO_PRIVILEGE, NO_PRIVILEGE_YET, NOT_READY, NOT_TAKEN, OLD_BMC, UNSETTLED

SOL_PAYLOAD_TYPE = 1
_APP, _SET_PRIVILEGE = 0x06, 0x3B
_OPERATOR, _ADMINISTRATOR = 3, 4
_PRIVILEGE_REFUSED = (0x80, 0x81)  # Set Session Privilege Level, IPMI 2.0 22.18
# A BMC that has just started answers a step of the login by anything else (busy, unspecified, no resources,
# even "insufficient privilege", before it has read its users) and goes on a moment later.
_AGAIN_PAUSES_S = (0.2, 0.5, 1.0)
_INSUFFICIENT = 0xD4
# Status codes of a login's steps, IPMI 2.0 table 13-15. Some mean to pyghmi what others mean to BMCs.
_NO_RESOURCES, _INVALID_SESSION, _INACTIVE_SESSION = 0x01, 0x02, 0x08
_INVALID_ROLE, _UNAUTHORIZED_ROLE = 0x09, 0x0A
_READ_AS = {_INACTIVE_SESSION: _INVALID_SESSION, _UNAUTHORIZED_ROLE: _INVALID_ROLE}
_FORGOTTEN_MAX = 2
# How long a message that proves something waits for its answer once one was not answered soon: the first
# second is less than some BMCs take to compute theirs, and then every beginning anew is in vain.
_EXPECTING = ("OPENSESSION", "EXPECTINGRAKP2", "EXPECTINGRAKP4")
_PATIENCE_FIRST_S, _PATIENCE_LOGIN_MAX_S = 2.5, 5.0
# BMCs end a session after 60 s without a packet (IPMI 2.0 6.12.15).
_IDLE_LIMIT_S = 25.0

# Cipher suites (IPMI 2.0 table 22-20): the bits of pyghmi's hash, and the numbers of the authentication,
# integrity and confidentiality algorithms that are asked for and have to be granted.
_SUITES = {17: (256, (3, 4, 1)), 3: (1, (1, 1, 1))}
_GRANTED_AT = (16, 24, 32)  # in the answer to Open Session, IPMI 2.0 table 13-10
_NO_SUITE_MATCH = 0x11
# How long the first repetition of a command waits after an answer that was not quick.
_QUICK_S, _PATIENCE_MAX_S = 0.4, 3.0
# Packets of a login with one suite that may go unanswered before the next suite is tried.
_SILENCES_MAX = 2

# What pyghmi lets escape while it takes a packet apart that does not fit the protocol.
_MALFORMED = (struct.error, ValueError, LookupError, TypeError, NotImplementedError, PyghmiException)

Answered = Callable[[dict[str, Any]], None]


class ClientSession(library.Session):  # type: ignore[misc]  # pyghmi carries no types
    """One login to one BMC.

    `onlogon` is called with `{"success": True}` or `{"error": text}`. An idle session logs itself out after
    about 25 s (`keepalive=False`); `broken` then is true, as it is after every failure.

    `suites` are tried in this order: the next one when the BMC refuses a suite, grants another than the one
    asked for, or leaves it without an answer. pyghmi alone would know 17 then 3, and only refusals.

    `opened`: the BMC began a session for the login, whatever came of it.

    `heard_s` is when an answer of the BMC came last (CLOCK_BOOTTIME), whether anybody waited for it or not.
    """

    privlevel: int
    seqlun: int

    def __init__(self, *, suites: Sequence[int], **login: Any) -> None:
        self._untried = list(suites)
        self.suite = self._untried.pop(0)
        self._silences = 0
        self._retries = 0
        self._forgotten = 0
        self._login_patience_s = 0.0
        self.opened = False
        self._patience_s: float | None = None
        self._due: tuple[float, Callable[[], None]] | None = None
        self.heard_s = boottime_s()
        super().__init__(**login)

    def __new__(cls, *_args: Any, **_keywords: Any) -> ClientSession:
        """Make a session of its own; pyghmi would hand out one that somebody else may log out.

        Packets are told apart by socket, so a session must not share one with another to the same BMC.
        """
        self: ClientSession = object.__new__(cls)
        self.forbidsock = {
            each.socket for sessions in cls.bmc_handlers.values() for each in sessions.values()
        }
        return self

    @property
    def heard(self) -> bool:
        """Whether the BMC has answered anything at all."""
        return self.sockaddr is not None

    @property
    def busy(self) -> bool:
        """Whether a command is under way, so that the next one would block."""
        return bool(self._isincommand())

    def stay(self) -> None:
        """Give up instead of logging in again when the BMC falls silent.

        A second login behind our back would repeat a power command and lose the SOL payload.
        """
        self.logontries = 0

    def tick(self, now_s: float) -> None:
        """Go on with a login that a busy BMC held up, when it is time (`now_s`: monotonic seconds)."""
        if self._due is not None and now_s >= self._due[0] and not self.broken:
            (_, go_on), self._due = self._due, None
            go_on()

    def _try_again(self, step: Callable[[], None]) -> bool:
        """Take a step of the login again after a pause; False when that was done often enough."""
        if self._retries >= len(_AGAIN_PAUSES_S):
            return False
        self._due = time.monotonic() + _AGAIN_PAUSES_S[self._retries], step
        self._retries += 1
        return True

    def process_pktqueue(self) -> None:
        """Take packets apart; one that is malformed is dropped, and the rest is still looked at."""
        while self.pktqueue:
            with contextlib.suppress(*_MALFORMED):
                super().process_pktqueue()

    def request(self, netfn: int, command: int, data: bytes, answered: Answered) -> None:
        """Send a command; `answered` is called once with `{"code", "data"}`, or `{"error"}` after ~9 s.

        Must not be called while `busy`.
        """

        asked_s = time.monotonic()

        def finish(response: dict[str, Any]) -> None:
            took_s = time.monotonic() - asked_s
            self._patience_s = min(2 * took_s, _PATIENCE_MAX_S) if took_s > _QUICK_S else None
            self.incommand = False
            while self.evq:
                self.evq.popleft().set()
            self._send_held_back()
            answered(response)

        # pyghmi sends a command again after half a second: twice the work for a BMC that labours.
        self.raw_command(netfn, command, data=data, timeout=self._patience_s, callback=finish)

    def ask(self, netfn: int, command: int, data: bytes, answered: Answered) -> None:
        """Send a command once. `answered` is called when its answer comes; until then, or `withdraw`, `busy`.

        Must not be called while `busy`.
        """

        def finish(response: dict[str, Any]) -> None:
            self.incommand = False
            answered(response)

        with contextlib.suppress(PyghmiException):
            self.raw_command(netfn, command, data=data, callback=finish, retry=False)

    def withdraw(self) -> None:
        """Stop waiting for what was asked; an answer that comes late is not taken for another's."""
        self.incommand = False
        self.request_entry.clear()
        self.seqlun = (self.seqlun + 1) & 0x3F

    def listen(self, handler: Callable[[bytearray], None] | None) -> None:
        """Give every SOL payload of this session to `handler`; with None they are dropped."""
        self.sol_handler = handler

    def send_sol(self, payload: bytes) -> None:
        """Send one SOL payload, without the repetitions pyghmi makes for commands."""
        with contextlib.suppress(PyghmiException):
            self.send_payload(bytearray(payload), payload_type=SOL_PAYLOAD_TYPE, retry=False)

    def end(self) -> None:
        """Forget the session now; the BMC is told once, without waiting for its answer."""
        # pyghmi's own logout would wait for what is under way, and deactivate SOL with a blocking command.
        self.listen(None)
        self._customkeepalives = None
        self.incommand = False
        self.lastpayload = None
        self.pendingpayloads.clear()
        with contextlib.suppress(PyghmiException):
            self._mark_broken("closed")

    def _initsession(self) -> None:
        super()._initsession()
        self.attemptedhash, _ = _SUITES[self.suite]

    def _got_channel_auth_cap(self, response: dict[str, Any]) -> None:
        code = response.get("code")
        if code in NOT_TAKEN | UNSETTLED:
            if not self._try_again(self._get_channel_auth_cap):
                self.onlogon({"error": f"{NOT_READY} (code {code:#04x})"})
        elif code == 0 and not _offers_rmcp_plus(response["data"]):
            self.onlogon({"error": OLD_BMC})  # pyghmi would log in without encryption
        else:
            super()._got_channel_auth_cap(response)

    def _got_rmcp_response(self, data: bytearray) -> None:
        if self.sessioncontext != "OPENSESSION" or data[0] != self.rmcptag:
            return
        status = data[1] or (0 if self._is_granted(data) else _NO_SUITE_MATCH)
        if not status:
            self.opened = True
            super()._got_rmcp_response(data)
        elif status == _NO_RESOURCES and self._try_again(self._open_rmcpplus_request):
            return
        elif self._take_next_suite():
            self._open_rmcpplus_request()
        else:
            self.onlogon({"error": library.constants.rmcp_codes.get(status, f"RMCP+ status {status:#04x}")})

    def _got_rakp2(self, data: bytearray) -> None:
        data[1] = _READ_AS.get(data[1], data[1])
        if data[1] == _INVALID_SESSION and data[0] == self.rmcptag:
            self._forgotten += 1
            if self._forgotten > _FORGOTTEN_MAX:
                self.onlogon({"error": "Invalid Session ID in RAKP2"})
                return
        super()._got_rakp2(data)

    def _got_rakp4(self, data: bytearray) -> None:
        data[1] = _READ_AS.get(data[1], data[1])
        super()._got_rakp4(data)

    def _xmit_packet(
        self, retry: bool = True, delay_xmit: float | None = None, timeout: float | None = None
    ) -> None:
        if timeout is None and self._login_patience_s > self.timeout and self.sessioncontext in _EXPECTING:
            timeout = self._login_patience_s
        super()._xmit_packet(retry, delay_xmit, timeout)

    def _is_granted(self, data: bytearray) -> bool:
        _, wanted = _SUITES[self.suite]
        return tuple(data[at] & 0x3F for at in _GRANTED_AT) == wanted

    def _relog(self) -> None:
        # pyghmi asks twice to open a session, and once for each later step, before it begins again.
        if self.sessioncontext in ("OPENSESSION", "EXPECTINGRAKP2"):
            self._silences += _SILENCES_MAX if self.sessioncontext == "OPENSESSION" else 1
        if self.sessioncontext in _EXPECTING:
            self._login_patience_s = min(
                max(_PATIENCE_FIRST_S, 2 * self._login_patience_s), _PATIENCE_LOGIN_MAX_S
            )
        if self._silences >= _SILENCES_MAX:
            self._take_next_suite()
        super()._relog()

    def _take_next_suite(self) -> bool:
        """Turn to the next suite of the order; False when there is none left."""
        if not self._untried:
            return False
        self.suite = self._untried.pop(0)
        self.attemptedhash, _ = _SUITES[self.suite]
        self._silences = 0
        return True

    def _req_priv_level(self) -> None:
        # pyghmi's own waits for the answer here, and now and then misses it for half a second.
        self.logged = 1
        self.logoutexpiry = None
        self.maxtimeout = 4
        self.request(_APP, _SET_PRIVILEGE, bytes([self.privlevel]), self._got_privilege)

    def _got_privilege(self, response: dict[str, Any]) -> None:
        code = response.get("code")
        if code and code not in _PRIVILEGE_REFUSED and self._try_again(self._req_priv_level):
            return
        refused = code in (*_PRIVILEGE_REFUSED, _INSUFFICIENT)
        if refused and self.privlevel == _ADMINISTRATOR:
            self.privlevel = _OPERATOR
            self._due = (
                time.monotonic(),
                self._req_priv_level,
            )  # not from here: pyghmi still holds this answer
            return
        self.logging = False
        if code or "error" in response:
            if refused:
                error = "Requested privilege refused"
            else:
                soon = code in NOT_TAKEN | UNSETTLED
                told = NO_PRIVILEGE_YET if soon else NO_PRIVILEGE
                error = f"{told} (code {code:#04x})" if code else "Session failed to initialize"
            self.onlogon({"error": error})
            return
        idle_since = library._monotonic_time()
        self.keepalive_sessions[self] = {"ipmisession": self, "timeout": idle_since + _IDLE_LIMIT_S}
        self.onlogon({"success": True})

    def _parse_ipmi_payload(self, payload: bytearray) -> None:
        self.heard_s = boottime_s()  # authentic, whether it is what was asked for or not
        super()._parse_ipmi_payload(payload)

    def _keepalive(self) -> None:
        # A session with a console is kept alive by that. Where this process stood still for longer than a
        # session may idle, pyghmi would log out first thing, deactivate SOL and wait for it.
        if self.sol_handler is None:
            super()._keepalive()

    def _send_held_back(self) -> None:
        # pyghmi holds payloads back while a command is under way and then sends only the first of them.
        while self.pendingpayloads and not self.lastpayload:
            payload, payload_type, retry = self.pendingpayloads.popleft()
            self.send_payload(payload=payload, payload_type=payload_type, retry=retry)


def _offers_rmcp_plus(data: Sequence[int]) -> bool:
    """Return what Get Channel Authentication Capabilities says of IPMI 2.0 (22.13); cut short it says no."""
    return len(data) > 3 and bool(data[1] & 0x80) and bool(data[3] & 0x02)


def wait(timeout_s: float) -> None:
    """Let pyghmi handle packets and timers for at most `timeout_s`; returns early on activity."""
    with contextlib.suppress(*_MALFORMED):
        library.Session.wait_for_rsp(timeout_s)


def _receive(sock: socket.socket, size: int) -> tuple[bytes, Any] | None:
    # pyghmi's own switches the socket to non-blocking first; when another thread sends at that moment, and so
    # switches it back, pyghmi's thread hangs in recvfrom and with it every session of the process.
    try:
        return sock.recvfrom(size, socket.MSG_DONTWAIT)
    except OSError:
        return None


def _collect(sockets: list[socket.socket], waiters: dict[Any, Any]) -> list[Any]:
    try:
        # Of many sockets few have a packet, and the library would try each of them.
        ready, _, _ = select.select(sockets, (), (), 0)
        addresses: list[Any] = _library_collect(ready, waiters)
    except KeyError:  # a session that ended between pyghmi's look for it and its use
        return []
    return addresses


_library_collect = library._io_graball
library._io_recvfrom = _receive
library._io_graball = _collect


class _NoPackets:
    """Stands in pyghmi's queue of sessions with packets, so that a `wait` that begins now ends at once."""

    def process_pktqueue(self) -> None:
        """Have none."""


def wake() -> None:
    """End a `wait` of the other thread early, the way pyghmi's own callers do (`_io_wait`)."""
    library.sessionqueue.append(_NoPackets())
    if library.myself is not None:
        own = library.iosockets[0]
        with contextlib.suppress(OSError):
            # Four bytes count as activity even for a waiter that pyghmi's thread has not registered yet.
            own.sendto(bytes(4), (library.myself, own.getsockname()[1]))
