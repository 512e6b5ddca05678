"""IPMI over LAN as a client: log in, send a command, get its answer or one sentence saying why not.

pyghmi does RMCP+; it is driven by one thread of this process, so that no call of ours ever enters it from
two sides, and every wait has a deadline of ours. Only this module and bringup.ipmi.session know pyghmi.
"""

from __future__ import annotations

import atexit
import queue
import socket
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_address
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from bringup.base.clock import Clock
from bringup.base.errors import AuthenticationError, LabError
from bringup.ipmi.errors import NOT_TAKEN, UNSETTLED, login_failure, no_answer, refusal
from bringup.ipmi.pacing import Kind, Pacing
from bringup.lab.secret import Secret

if TYPE_CHECKING:
    from bringup.ipmi.session import ClientSession

SAFE_SUITES = (17, 3)
"""The cipher suites (IPMI 2.0 table 22-20) with a key, integrity and encryption that pyghmi knows."""
LOGIN_TIMEOUT_S = 7.0
REQUEST_TIMEOUT_S = 6.0
_AGAIN_PAUSES_S = (0.2, 0.5, 1.0, 1.0)
_RESOLVE_TIMEOUT_S = 5.0
_STEP_S = 0.1
_END_TIMEOUT_S = 1.0
_USER_MAX_BYTES, _PASSWORD_MAX_BYTES = 16, 20  # IPMI 2.0 22.28 and 22.30

T = TypeVar("T")


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


class Answer(NamedTuple):
    """A completion code (IPMI 2.0 table 5-2; 0 is success) and the bytes after it."""

    code: int
    data: bytes


class Pump:
    """The thread that owns pyghmi: it runs jobs, handles packets and calls the tickers of its users.

    Use `pump()`; there is one for the process, because pyghmi's tables are the process's.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._sessions: set[ClientSession] = set()
        self._tickers: list[Callable[[float], None]] = []
        self._later: list[Callable[[], None]] = []
        self._asleep = False
        threading.Thread(target=self._run, name="ipmi", daemon=True).start()
        atexit.register(self._end_all)

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """Run `job` in the thread; it must not block."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(job())
            except BaseException as error:  # noqa: BLE001  # handed to whoever waits for it
                future.set_exception(error)

        self._jobs.put(run)
        if self._asleep:
            from bringup.ipmi.session import wake

            self._asleep = False  # once is enough, of many that come together
            wake()
        return future

    # Only inside jobs and tickers:

    def submit_later(self, job: Callable[[], None]) -> None:
        """Run `job` again when packets have been handled, or after about 0.1 s."""
        self._later.append(job)

    def add_session(self, session: ClientSession) -> None:
        """Handle packets of this session until it is broken."""
        self._sessions.add(session)

    def add_ticker(self, tick: Callable[[float], None]) -> None:
        """Call `tick` with the monotonic time about every 0.1 s while a session is open."""
        self._tickers.append(tick)

    def remove_ticker(self, tick: Callable[[float], None]) -> None:
        """Stop calling `tick`, which may be gone already."""
        if tick in self._tickers:
            self._tickers.remove(tick)

    def _run(self) -> None:
        while True:
            if not self._sessions:
                self._jobs.get()()
            for _ in range(self._jobs.qsize()):  # not those that come meanwhile: packets are waiting, too
                self._jobs.get()()
            if self._sessions:
                self._step()

    def _step(self) -> None:
        from bringup.ipmi.session import wait

        self._asleep = True
        # Whoever puts a job from now on wakes this thread; one that was put before is seen here.
        wait(_STEP_S if self._jobs.empty() else 0.0)
        self._asleep = False
        now = time.monotonic()
        for session in list(self._sessions):
            session.tick(now)
        for tick in list(self._tickers):
            tick(now)
        self._sessions = {session for session in self._sessions if not session.broken}
        later, self._later = self._later, []
        for job in later:
            self._jobs.put(job)

    def _end_all(self) -> None:
        # A BMC has few sessions; one that is left open is lost to others for a minute.
        def end() -> None:
            for session in self._sessions:
                session.end()

        if self._sessions:
            _result(self.submit(end), _END_TIMEOUT_S)


_one_pump = threading.Lock()


def pump() -> Pump:
    """Return the process's pump, started on first use, from whichever thread that is."""
    with _one_pump:
        return _pump()


@cache
def _pump() -> Pump:
    return Pump()


class IpmiClient:
    """A BMC as something to ask: logs in when needed, and again when the BMC ended an idle session.

    `spacing_s` is the least time between two commands to a BMC that labours (`bringup.ipmi.pacing`). Calls
    may come from any thread, one at a time is under way. Use it as a context manager, or call `close`.
    """

    def __init__(self, bmc: BmcAddress, *, spacing_s: float = 0.0, clock: Clock | None = None) -> None:
        self.bmc = bmc
        self._clock = clock or Clock()
        self._pacing = Pacing(spacing_s, self._clock)
        self._session: ClientSession | None = None
        self._begun: _Login | None = None
        self._lock = threading.RLock()

    def __enter__(self) -> IpmiClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def at_ease(self) -> bool:
        """Whether the BMC answers at once: one that labours is asked for no more than has to be."""
        return self._pacing.at_ease

    def another(self) -> IpmiClient:
        """Return a client of the same BMC with a session of its own."""
        return IpmiClient(self.bmc, spacing_s=self._pacing.spacing_s, clock=self._clock)

    def login(self, timeout_s: float = LOGIN_TIMEOUT_S) -> ClientSession:
        """Return the session, logging in if there is none; raises LabError and its subclasses."""
        with self._lock:
            if self._session is None or self._session.broken:
                login, self._begun = self._begun or _Login(self.bmc, timeout_s), None
                self._session = session = login.wait()
                # A suite that a BMC is silent to costs seconds: the one that worked comes first from now on.
                _worked[self.bmc.address, self.bmc.port] = session.suite
            return self._session

    def exchange(
        self,
        netfn: int,
        command: int,
        data: bytes,
        what: str,
        *,
        timeout_s: float = REQUEST_TIMEOUT_S,
        kind: Kind = Kind.READ,
        again: Collection[int] = NOT_TAKEN,
    ) -> Answer:
        """Send a command and return its answer, whatever the completion code.

        One of the codes `again` is asked about up to four times more, as a BMC is that has no time just now.
        `what` names the command for people. Raises BmcTimeoutError when no answer comes within `timeout_s`;
        the session is given up then.
        """
        with self._lock:
            for pause_s in _AGAIN_PAUSES_S:
                answer = self._exchange(netfn, command, data, what, timeout_s, kind)
                if answer.code not in again:
                    return answer
                self._clock.sleep(pause_s)
            return self._exchange(netfn, command, data, what, timeout_s, kind)

    def ask_ahead(
        self, netfn: int, command: int, data: bytes, read: Callable[[Answer | None], T]
    ) -> Future[T]:
        """Send a command that only reads, once, and return at once with what `read` will make of its answer.

        Many BMCs are asked together this way, with no thread for each. The answer is None from one that gives
        none, or labours: `exchange` tells why, and goes on with the login that was begun. Raises LabError
        without a password or an address, and for a login that was begun and has failed.
        """
        found: Future[T] = Future()

        def answered(response: dict[str, Any]) -> None:
            answer = _answer_of(response)
            if answer is not None:
                self._note(answer, Kind.READ)
            found.set_result(read(answer))

        def send(session: ClientSession) -> None:
            self._pacing.sent()
            _send(session, netfn, command, data, answered)

        with self._lock:
            if self._begun is not None and self._begun.ended:
                self.login()
            if not self.at_ease:
                found.set_result(read(None))
            elif self._session is not None and not self._session.broken:
                session = self._session
                self._pacing.rest()
                pump().submit(lambda: send(session))
            else:
                self._begun = self._begun or _Login(self.bmc, LOGIN_TIMEOUT_S)
                self._begun.then(send, lambda: found.set_result(read(None)))
        return found

    def _exchange(
        self, netfn: int, command: int, data: bytes, what: str, timeout_s: float, kind: Kind
    ) -> Answer:
        session = self.login()
        self._pacing.wait()
        answer = self._ask(session, netfn, command, data, timeout_s)
        if answer is None:
            self._pacing.silent()
            self.close()
            raise no_answer(what, where=str(self.bmc), waited_s=timeout_s)
        self._note(answer, kind)
        return answer

    def _note(self, answer: Answer, kind: Kind) -> None:
        self._pacing.answered(kind, willing=answer.code not in NOT_TAKEN | UNSETTLED)

    def _ask(
        self, session: ClientSession, netfn: int, command: int, data: bytes, timeout_s: float
    ) -> Answer | None:
        """Send a command once; None when no answer came in time."""
        future: Future[dict[str, Any]] = Future()
        pump().submit(lambda: _send(session, netfn, command, data, future.set_result))
        response = _result(future, timeout_s)
        return None if response is None else _answer_of(response)

    def request(
        self,
        netfn: int,
        command: int,
        data: bytes,
        what: str,
        *,
        timeout_s: float = REQUEST_TIMEOUT_S,
        kind: Kind = Kind.READ,
        again: Collection[int] = NOT_TAKEN,
    ) -> bytes:
        """Send a command and return its data; raises what a completion code other than 0 means."""
        answer = self.exchange(netfn, command, data, what, timeout_s=timeout_s, kind=kind, again=again)
        if answer.code:
            raise refusal(answer.code, what, where=str(self.bmc), user=self.bmc.user)
        return answer.data

    def close(self) -> None:
        """Log out; the BMC is told, and not waited for. A later command logs in again."""
        with self._lock:
            session, self._session = self._session, None
            begun, self._begun = self._begun, None
            if begun is not None:
                begun.end()
            if session is not None:
                _result(pump().submit(session.end), _END_TIMEOUT_S)


_worked: dict[tuple[str, int], int] = {}
"""The cipher suite that a BMC took, by its address and port, as long as this process lives."""


def _order(bmc: BmcAddress) -> tuple[int, ...]:
    worked = _worked.get((bmc.address, bmc.port))
    return tuple(sorted(bmc.suites, key=lambda suite: suite != worked))


class _Login:
    """A login under way in the pump's thread, at most for `timeout_s` seconds from now on."""

    def __init__(self, bmc: BmcAddress, timeout_s: float) -> None:
        """Begin; raises LabError without a password or an address."""
        user, password = _credentials(bmc)
        address = _resolve(bmc)
        self._bmc = bmc
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
        try:
            error = self._error.result(self._until_s - time.monotonic())
        except FutureTimeoutError:
            error = "timeout"
        session, bmc = self._session, self._bmc
        if session is not None and error is None:
            return session
        heard = session is not None and session.heard
        self.end()
        raise login_failure(error or "timeout", where=str(bmc), user=bmc.user, heard=heard, suites=bmc.suites)

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
            self._error.set_result(None if "success" in result else str(result.get("error") or "timeout"))


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


def _send(
    session: ClientSession,
    netfn: int,
    command: int,
    data: bytes,
    answered: Callable[[dict[str, Any]], None],
) -> None:
    """Send a command in the pump's thread; `answered` is called once."""
    waiting = [answered]

    def answer(response: dict[str, Any]) -> None:
        if waiting:
            waiting.pop()(response)

    if session.broken or not session.logged:
        answer({"error": "the session is gone"})
    elif session.busy:
        pump().submit_later(lambda: _send(session, netfn, command, data, answered))
    else:
        session.request(netfn, command, data, answer)


def _answer_of(response: dict[str, Any]) -> Answer | None:
    """Return what pyghmi hands on as an answer, None where there was none."""
    if "code" not in response or "error" in response:
        return None
    return Answer(response["code"], bytes(response["data"]))


def _result(future: Future[T], timeout_s: float) -> T | None:
    try:
        return future.result(timeout_s)
    except FutureTimeoutError:
        return None
