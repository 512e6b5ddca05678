"""Serial over LAN as a console: operational before it says so, alive or lost, never silently dead.

The session is pyghmi's; the SOL payload on it is ours (bringup.console.sol.protocol), because pyghmi's own
console waits inside its callers, forgets the tail of a partly accepted packet and drops four characters when
a repeated packet carries new ones (pyghmi 1.6.19 console.py).
"""

from __future__ import annotations

import contextlib
import queue
import secrets
import threading
import time
from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Any

from bringup.base.errors import BmcBusyError, ConsoleHeldError, ConsoleLostError, LabError
from bringup.console.sol.protocol import HEADER_BYTES, SolProtocol
from bringup.ipmi.client import REQUEST_TIMEOUT_S, Answer, IpmiClient, pump
from bringup.ipmi.errors import NOT_TAKEN, UNSETTLED, refusal

if TYPE_CHECKING:
    from bringup.ipmi.session import ClientSession

_APP = 0x06
_ACTIVATE, _DEACTIVATE, _INSTANCE_INFO = 0x48, 0x49, 0x4B
_SOL_INSTANCE = bytes([0x01, 0x01])  # payload type SOL, instance 1
_ENCRYPTED_AUTHENTICATED = 0xC0
_ACTIVE_ELSEWHERE = 0x80
_NOBODY = 0  # what owns a payload that is not active
_REFUSED = {  # Activate Payload, IPMI 2.0 24.1
    0x81: ("SOL is disabled on {who}", "enable it: ipmitool sol set enabled true 1"),
    0x82: ("{who} has its greatest number of SOL sessions", "end another one, or try --steal"),
    0x83: ("{who} does not allow SOL with encryption", "change the BMC's SOL settings"),
    0x84: ("{who} does not allow SOL without encryption", "change the BMC's SOL settings"),
}

_ACTIVATE_TRIES = 4
_ACTIVATE_PAUSE_S = 0.3
_PROBE_TIMEOUT_S = 5.0
_WRITE_TIMEOUT_S = 15.0
_WRITE_PIECE = 1024  # which a line of 9600 baud takes within a tenth of the time-out
_CLOSE_TIMEOUT_S = 2.0
_PACKET_DEFAULT, _PACKET_MAX = 60, 200


class SolConsole:
    """The SOL console of one BMC, on a session of its own.

    `steal` takes it from whoever has it, once: at the first `open` that succeeds. A session that this object
    had before and the BMC still counts as active is taken back without that. After `probe_after_s` seconds of
    silence the BMC is asked whether the console is still ours; without an answer in 5 s it is lost.
    """

    def __init__(self, client: IpmiClient, *, steal: bool = False, probe_after_s: float = 5.0) -> None:
        self._client = client
        self._steal = steal
        self._probe_after_s = probe_after_s
        self._line: _Line | None = None
        self._own_id: int | None = None
        self._alive_s = time.monotonic()

    @property
    def alive_s(self) -> float:
        """When the BMC was last heard on this console."""
        return self._alive_s if self._line is None else self._line.heard_s

    def describe(self) -> str:
        """Return which console this is."""
        return f"SOL of {self._client.bmc}"

    def open(self, timeout_s: float) -> None:
        """Log in and activate SOL; raises ConsoleHeldError, BmcBusyError and other LabErrors."""
        deadline_s = time.monotonic() + timeout_s
        self._detach()
        session = self._client.login(timeout_s)
        line = _Line(session, self._probe_after_s)
        pump().submit(line.begin)
        try:
            line.resize(self._activate(deadline_s))
            line.owner_is_told = self._owner(deadline_s) == session.sessionid
        except BaseException:
            line.finish("not activated")
            self._client.close()
            raise
        self._line, self._own_id, self._steal = line, session.sessionid, False

    def read(self, timeout_s: float) -> bytes:
        """Return what came in within `timeout_s`."""
        return self._attached().take(timeout_s)

    def write(self, data: bytes) -> None:
        """Send characters; returns when the BMC has taken them all (those for a board that is off vanish)."""
        line = self._attached()
        for start in range(0, len(data), _WRITE_PIECE):
            piece = data[start : start + _WRITE_PIECE]
            line.wait_for(partial(line.protocol.write, piece))

    def send_break(self) -> None:
        """Send a break of the length the BMC gives it."""
        line = self._attached()
        line.wait_for(line.protocol.send_break)

    def close(self) -> None:
        """Deactivate SOL and log out; a BMC that is gone is not waited for."""
        attached = self._line is not None and self._line.lost is None
        self._detach()  # before the BMC is asked: it tells everybody who listens that the console ended
        if attached:
            with contextlib.suppress(LabError):
                self._command(_DEACTIVATE, _SOL_INSTANCE + bytes(4), "deactivate SOL", _CLOSE_TIMEOUT_S)
        self._client.close()

    def _detach(self) -> None:
        if self._line is not None:
            self._alive_s = self._line.heard_s
            self._line.finish("closed")
            self._line = None

    def _attached(self) -> _Line:
        if self._line is None:
            raise ConsoleLostError(f"{self.describe()} is not attached")
        return self._line

    def _activate(self, deadline_s: float) -> bytes:
        data = _SOL_INSTANCE + bytes([_ENCRYPTED_AUTHENTICATED, 0, 0, 0])
        for _ in range(_ACTIVATE_TRIES):
            answer = self._command(
                _ACTIVATE, data, "activate SOL", _left(deadline_s), again=NOT_TAKEN | UNSETTLED
            )
            if answer.code == 0:
                return answer.data
            if answer.code != _ACTIVE_ELSEWHERE:
                raise self._refused(answer.code)
            self._make_free(deadline_s)
            time.sleep(_ACTIVATE_PAUSE_S)
        raise BmcBusyError(
            f"{self.describe()} stays active after it was freed, and nobody has it",
            hint="the BMC lost count: reset it (ipmitool mc reset cold), which takes it some minutes",
        )

    def _make_free(self, deadline_s: float) -> None:
        owner = self._owner(deadline_s)
        if not self._steal and (owner is None or owner not in (_NOBODY, self._own_id)):
            kind = BmcBusyError if owner is None else ConsoleHeldError
            raise kind(
                f"{self.describe()} is held by another session",
                hint="--steal takes it, and ends the console of whoever has it",
            )
        self._command(_DEACTIVATE, _SOL_INSTANCE + bytes(4), "deactivate SOL", _left(deadline_s))

    def _owner(self, deadline_s: float) -> int | None:
        """Return the session that has the console, None where the BMC does not tell."""
        answer = self._command(_INSTANCE_INFO, _SOL_INSTANCE, "SOL owner", _left(deadline_s))
        return _owner_in(answer)

    def _refused(self, code: int) -> LabError:
        if code in _REFUSED:
            sentence, hint = _REFUSED[code]
            return LabError(sentence.format(who=self._client.bmc), hint=hint)
        return refusal(code, "activate SOL", where=str(self._client.bmc), user=self._client.bmc.user)

    def _command(
        self,
        command: int,
        data: bytes,
        what: str,
        timeout_s: float,
        *,
        again: Collection[int] = NOT_TAKEN,
    ) -> Answer:
        return self._client.exchange(_APP, command, data, what, timeout_s=timeout_s, again=again)


class _Line:
    """One activation: its packets, its signs of life, and what came in and was not read yet.

    What is not marked otherwise runs in the pump's thread.
    """

    def __init__(self, session: ClientSession, probe_after_s: float) -> None:
        self.heard_s = time.monotonic()
        self.lost: str | None = None
        self.owner_is_told = False
        self._session = session
        self._probe_after_s = probe_after_s
        self._asked_s: float | None = None
        self._incoming: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._over = threading.Event()
        self._waiting: set[threading.Event] = set()
        self.protocol = SolProtocol(
            session.send_sol,
            self._incoming.put,
            self._lose,
            packet_bytes=_PACKET_DEFAULT,
            last_sequence=secrets.randbelow(16),
        )

    def begin(self) -> None:
        """Listen for packets; before SOL is activated, so that its first one is not missed."""
        self._session.listen(self._packet)
        pump().add_ticker(self._tick)

    def resize(self, activation: bytes) -> None:
        """Take the packet size from the answer to Activate Payload (any thread, before the first write).

        The UDP port in it is not looked at: behind a port forward it is not the one that was dialled.
        """
        size = int.from_bytes(activation[4:6], "little") - HEADER_BYTES
        if size > 0:
            self.protocol.packet_bytes = min(size, _PACKET_MAX)

    def take(self, timeout_s: float) -> bytes:
        """Return what came in (the reader's thread); raises ConsoleLostError once all is read."""
        pieces = []
        try:
            pieces.append(self._incoming.get(timeout=timeout_s))
            while True:
                pieces.append(self._incoming.get_nowait())
        except queue.Empty:
            pass
        data = b"".join(pieces)
        if not data and self.lost is not None and self._incoming.empty():
            raise ConsoleLostError(f"the console was lost: {self.lost}")
        return data

    def wait_for(self, send: Callable[[Callable[[], None], float], None]) -> None:
        """Send something and wait until the BMC has taken it (the writer's thread)."""
        done = threading.Event()

        def start() -> None:
            if self.lost is None:
                self._waiting.add(done)
                send(done.set, time.monotonic())
            else:
                done.set()

        pump().submit(start)
        in_time = done.wait(_WRITE_TIMEOUT_S)
        self._waiting.discard(done)
        if self.lost is not None:
            raise ConsoleLostError(f"the console was lost: {self.lost}")
        if not in_time:
            raise ConsoleLostError(f"the board took no characters for {_WRITE_TIMEOUT_S:.0f} s")

    def finish(self, reason: str) -> None:
        """Stop listening (any thread)."""
        pump().submit(lambda: self._stop(reason))

    def _packet(self, packet: Any) -> None:
        now = self.heard_s = time.monotonic()
        self.protocol.received(bytes(packet), now)

    def _tick(self, now: float) -> None:
        if self._session.broken:
            self._lose("the IPMI session ended")
            return
        self.protocol.tick(now)
        if self._asked_s is not None:
            if now - self._asked_s > _PROBE_TIMEOUT_S:
                self._lose(f"no answer from the BMC for {now - self.heard_s:.0f} s")
        elif now - self.heard_s > self._probe_after_s and not self._session.busy:
            self._asked_s = now
            self._session.request(_APP, _INSTANCE_INFO, _SOL_INSTANCE, self._probed)

    def _probed(self, response: dict[str, Any]) -> None:
        self._asked_s = None
        if "error" in response or "code" not in response:
            return  # the next tick sees that the session is broken
        self.heard_s = time.monotonic()
        owner = _owner_in(Answer(response["code"], bytes(response["data"])))
        if self.owner_is_told and owner is not None and owner != self._session.sessionid:
            self._lose("another session took it" if owner else "the BMC ended it")

    def _lose(self, reason: str) -> None:
        self._stop(reason)
        self._session.end()

    def _stop(self, reason: str) -> None:
        if self.lost is None:
            self.lost = reason
            self._session.listen(None)
            pump().remove_ticker(self._tick)
            self._incoming.put(b"")  # wakes the reader
            for writer in list(self._waiting):
                writer.set()


def _owner_in(answer: Answer) -> int | None:
    """Return the session id of Get Payload Instance Info (IPMI 2.0 24.5), 0 for nobody, None if not told."""
    if answer.code or len(answer.data) < 4:
        return None
    return int.from_bytes(answer.data[:4], "little")


def _left(deadline_s: float) -> float:
    return max(0.1, min(REQUEST_TIMEOUT_S, deadline_s - time.monotonic()))
