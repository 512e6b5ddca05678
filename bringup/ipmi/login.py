"""Logging in to a BMC: where it listens, who asks, by which cipher suites, and why it did not succeed."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from bringup.base.errors import AuthenticationError, LabError
from bringup.ipmi.errors import login_failure
from bringup.ipmi.pump import pump
from bringup.lab.secret import Secret

if TYPE_CHECKING:
    from bringup.ipmi.session import ClientSession

SAFE_SUITES = (17, 3)
"""The cipher suites (IPMI 2.0 table 22-20) with a key, integrity and encryption that pyghmi knows."""
LOGIN_TIMEOUT_S = 7.0
_LATE = "timeout"
_RESOLVE_TIMEOUT_S = 5.0
_USER_MAX_BYTES, _PASSWORD_MAX_BYTES = 16, 20  # IPMI 2.0 22.28 and 22.30


@dataclass(frozen=True)
class BmcAddress:
    """Where a BMC listens (UDP), who logs in, and by which cipher suites, in the order to try."""

    address: str
    port: int
    user: str
    password: Secret = field(repr=False)
    suites: tuple[int, ...] = SAFE_SUITES

    def __str__(self) -> str:
        return f"the BMC at {self.address} port {self.port}"


_worked: dict[tuple[str, int], int] = {}
"""The cipher suite that a BMC took, by its address and port, as long as this process lives."""


def remember_suite(bmc: BmcAddress, suite: int) -> None:
    """Let the suite that a BMC took come first from now on: one that it is silent to costs seconds."""
    _worked[bmc.address, bmc.port] = suite


def _order(bmc: BmcAddress) -> tuple[int, ...]:
    worked = _worked.get((bmc.address, bmc.port))
    return tuple(sorted(bmc.suites, key=lambda suite: suite != worked))


class Login:
    """A login under way in the pump's thread, at most for `timeout_s` seconds from now on.

    A BMC that answered a step of it has as long again.
    """

    def __init__(self, bmc: BmcAddress, timeout_s: float) -> None:
        """Begin; raises LabError without a password or an address."""
        user, password = _credentials(bmc)
        address = _resolve(bmc)
        self._bmc = bmc
        self._timeout_s = timeout_s
        self._until_s = time.monotonic() + timeout_s
        self._session: ClientSession | None = None
        self._error: Future[str | None] = Future()  # None when there is none
        pump().submit(lambda: self._start(address, user, password))

    @property
    def ended(self) -> bool:
        """Whether it has succeeded or failed, so that `wait` does not wait."""
        return self._error.done()

    def wait(self) -> ClientSession:
        """Return the session when it is there; raises LabError and its subclasses."""
        error = self._result(self._until_s)
        if error == _LATE and self._session is not None and self._session.heard:
            error = self._result(self._until_s + self._timeout_s)  # it answers, if slowly
        session, bmc = self._session, self._bmc
        if session is not None and error is None:
            return session
        heard = session is not None and session.heard
        opened = session is not None and session.opened
        self.end()
        raise login_failure(
            error or _LATE, where=str(bmc), user=bmc.user, heard=heard, suites=bmc.suites, opened=opened
        )

    def _result(self, until_s: float) -> str | None:
        """Return what the login said at its end, None where it succeeded; waits for it until `until_s`."""
        try:
            return self._error.result(max(0.0, until_s - time.monotonic()))
        except FutureTimeoutError:
            return _LATE

    def then(self, go_on: Callable[[ClientSession], None], failed: Callable[[], None]) -> None:
        """Call `go_on` in the pump's thread when the session is there, `failed` when there will be none."""

        def ended(error: Future[str | None]) -> None:
            session = self._session
            if session is None or error.exception() is not None or error.result() is not None:
                failed()
            else:
                pump().submit(lambda: go_on(session))

        self._error.add_done_callback(ended)

    def end(self) -> None:
        """Forget the session, such as there is."""

        def end() -> None:
            if self._session is not None:
                self._session.end()

        pump().submit(end)

    def _start(self, address: str, user: bytes, password: bytes) -> None:
        from bringup.ipmi.session import ClientSession

        try:
            self._session = ClientSession(
                suites=_order(self._bmc),
                bmc=address,
                userid=user,
                password=password,
                port=self._bmc.port,
                onlogon=self._on_logon,
                keepalive=False,
            )
        except BaseException as error:  # noqa: BLE001  # handed to whoever waits for it
            self._error.set_exception(error)
        else:
            pump().add_session(self._session)

    def _on_logon(self, result: dict[str, Any]) -> None:
        if "success" in result and self._session is not None:
            self._session.stay()
        if not self._error.done():
            self._error.set_result(None if "success" in result else str(result.get("error") or _LATE))


def _credentials(bmc: BmcAddress) -> tuple[bytes, bytes]:
    # As bytes: pyghmi compares what it stored, which is bytes, with what it is given.
    user, password = bmc.user.encode(), bmc.password.reveal().encode()
    if len(user) > _USER_MAX_BYTES:
        raise AuthenticationError(f"the user name for {bmc} is longer than IPMI's {_USER_MAX_BYTES} bytes")
    if len(password) > _PASSWORD_MAX_BYTES:
        raise AuthenticationError(
            f"the password for {bmc} is longer than IPMI's {_PASSWORD_MAX_BYTES} bytes",
            hint="give the BMC's user a shorter one",
        )
    return user, password


def _resolve(bmc: BmcAddress) -> str:
    """Return the numeric address; of several the first IPv4 one, which is what BMCs have."""
    with suppress(ValueError):
        return str(ip_address(bmc.address))  # one that needs nobody to ask
    found: Future[list[Any]] = Future()

    def look_up() -> None:
        try:
            found.set_result(socket.getaddrinfo(bmc.address, bmc.port, 0, socket.SOCK_DGRAM))
        except (OSError, UnicodeError) as error:
            found.set_exception(error)

    # A resolver may take half a minute to give up, and cannot be told to hurry.
    threading.Thread(target=look_up, name="resolve", daemon=True).start()
    hint = "check `address` in the lab file and this host's name server"
    try:
        addresses = found.result(_RESOLVE_TIMEOUT_S)
    except FutureTimeoutError:
        raise LabError(
            f"the name of {bmc} was not resolved within {_RESOLVE_TIMEOUT_S:.0f} s", hint=hint
        ) from None
    except (OSError, UnicodeError):
        raise LabError(f"the name of {bmc} cannot be resolved", hint=hint) from None
    addresses.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return str(addresses[0][4][0])
