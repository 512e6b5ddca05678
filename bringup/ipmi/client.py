"""IPMI over LAN as a client: log in, send a command, get its answer or one sentence saying why not.

pyghmi does RMCP+, in a thread of its own (`bringup.ipmi.pump`), and every wait has a deadline of ours. Only
this room knows pyghmi.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from bringup.base.clock import Clock
from bringup.ipmi.errors import NOT_TAKEN, UNSETTLED, no_answer, refusal
from bringup.ipmi.login import LOGIN_TIMEOUT_S, BmcAddress, Login, remember_suite
from bringup.ipmi.pacing import Kind, Pacing
from bringup.ipmi.pump import END_TIMEOUT_S, pump, result_of

if TYPE_CHECKING:
    from bringup.ipmi.session import ClientSession

REQUEST_TIMEOUT_S = 6.0
_AGAIN_PAUSES_S = (0.2, 0.5, 1.0, 1.0)

T = TypeVar("T")


class Answer(NamedTuple):
    """A completion code (IPMI 2.0 table 5-2; 0 is success) and the bytes after it."""

    code: int
    data: bytes


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
        self._begun: Login | None = None
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
                login, self._begun = self._begun or Login(self.bmc, timeout_s), None
                self._session = session = login.wait()
                remember_suite(self.bmc, session.suite)
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
                self._begun = self._begun or Login(self.bmc, LOGIN_TIMEOUT_S)
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
        response = result_of(future, timeout_s)
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
        own: Mapping[int, str] | None = None,
    ) -> bytes:
        """Send a command and return its data; raises what a completion code other than 0 means.

        `own` is what the codes of this command mean, those from 0x80.
        """
        answer = self.exchange(netfn, command, data, what, timeout_s=timeout_s, kind=kind, again=again)
        if answer.code:
            raise refusal(answer.code, what, where=str(self.bmc), user=self.bmc.user, own=own)
        return answer.data

    def close(self) -> None:
        """Log out; the BMC is told, and not waited for. A later command logs in again."""
        with self._lock:
            session, self._session = self._session, None
            begun, self._begun = self._begun, None
            if begun is not None:
                begun.end()
            if session is not None:
                result_of(pump().submit(session.end), END_TIMEOUT_S)


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
