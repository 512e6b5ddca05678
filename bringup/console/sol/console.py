"""Serial over LAN as a console: operational before it says so, alive or lost, never silently dead.

The session is pyghmi's; the SOL payload on it is ours (bringup.console.sol.protocol), because pyghmi's own
console waits inside its callers, forgets the tail of a partly accepted packet and drops four characters when
a repeated packet carries new ones (pyghmi 1.6.19 console.py).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

from bringup.base.errors import BmcBusyError, ConsoleHeldError, ConsoleLostError, LabError
from bringup.base.events import Emit, Event
from bringup.console.sol.commands import ACTIVE_ELSEWHERE, NOBODY, SolCommands, other_port
from bringup.console.sol.line import Line
from bringup.console.sol.own import OwnSessions
from bringup.ipmi.client import IpmiClient
from bringup.ipmi.pump import pump

_ACTIVATE_TRIES = 4
_ACTIVATE_PAUSE_S = 0.3
_WRITE_PIECE = 1024  # which a line of 9600 baud takes within a tenth of the time-out
_CLOSE_TIMEOUT_S = 2.0
# What a session that was silent is given to answer once another one shows that the BMC can be reached.
_LAST_CALL_S = 1.0
_LOOK_S = 0.05

T = TypeVar("T")


class SolConsole:
    """The SOL console of one BMC, on a session of its own.

    `steal` takes it from whoever has it, once: at the first `open` that succeeds. A session that this object
    had before and the BMC still counts as active is taken back without that. After `probe_after_s` seconds of
    silence, at most 5, the BMC is asked for a sign of life; without any for 4 s more, `read` says that the
    console is lost. The session is kept all the same: deactivating it would empty the BMC's buffer, and
    `open` goes on with it as soon as it is heard again.

    `own` is where it remembers its sessions: one that a killed process left is taken back, and `emit` told.
    """

    def __init__(
        self,
        client: IpmiClient,
        *,
        steal: bool = False,
        probe_after_s: float = 5.0,
        own: Callable[[], OwnSessions] = OwnSessions,
        emit: Emit = lambda _event: None,
    ) -> None:
        self._client = client
        self._steal = steal
        self._probe_after_s = probe_after_s
        self._line: Line | None = None
        self._remember, self._own = own, OwnSessions()
        self._emit = emit
        self._pokes = True
        self._other_port: int | None = None
        self._alive_s = time.monotonic()

    @property
    def alive_s(self) -> float:
        """When the BMC was last heard on this console."""
        return self._alive_s if self._line is None else self._line.alive_s

    def describe(self) -> str:
        """Return which console this is."""
        return f"SOL of {self._client.bmc}"

    def open(self, timeout_s: float) -> bool:
        """Log in and activate SOL, or go on with the session from before (True).

        Raises ConsoleHeldError, BmcBusyError and other LabErrors.
        """
        deadline_s = time.monotonic() + timeout_s
        client = self._client.another()
        if self._line is None:
            self._own.close()
            self._own = self._remember()
        try:
            if self._goes_on(client, timeout_s):
                return True
            line = self._attach(client, deadline_s)
        except BaseException:
            client.close()
            raise
        self._detach()
        self._client.close()
        self._client, self._line, self._steal = client, line, False
        return False

    def read(self, timeout_s: float) -> bytes:
        """Return what came in within `timeout_s`."""
        line = self._attached()
        data = line.take(timeout_s)
        if self._other_port is not None and (data or line.pokes is not None):
            if not data and line.pokes is False:
                self._tell_port(self._other_port)
            self._other_port = None
        return data

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
        attached = self._line is not None and self._line.lost is None and not self._line.silent
        self._detach()  # before the BMC is asked: it tells everybody who listens that the console ended
        if attached:
            with contextlib.suppress(LabError):
                SolCommands(self._client).deactivate(_CLOSE_TIMEOUT_S)
        self._client.close()
        self._own.close()

    def _goes_on(self, client: IpmiClient, timeout_s: float) -> bool:
        """Log `client` in, and return whether the line from before was heard again meanwhile."""
        line = self._line
        if line is None or line.lost is not None:
            client.login(timeout_s)
            return False
        login = _in_background(lambda: client.login(timeout_s))
        while not login.done():
            if line.heard_again.wait(_LOOK_S):
                login.add_done_callback(lambda _login: client.close())
                return True
        login.result()
        if SolCommands(client).owner(time.monotonic() + timeout_s) not in (line.session_id, None):
            return False  # the BMC has forgotten it, as one does that restarted
        line.ask_now()
        if line.heard_again.wait(_LAST_CALL_S) and line.lost is None:
            client.close()
            return True
        return False

    def _attach(self, client: IpmiClient, deadline_s: float) -> Line:
        line = Line(client.login(), probe_after_s=self._probe_after_s, pokes=self._may_poke())
        pump().submit(line.begin)
        self._own.add(line.session_id)
        commands = SolCommands(client)
        try:
            activation = self._activate(commands, deadline_s)
            self._other_port = other_port(activation, client.bmc.port)
            line.attached(activation, owner_is_told=commands.owner(deadline_s) == line.session_id)
        except BaseException:
            line.finish("not activated")
            raise
        return line

    def _tell_port(self, port: int) -> None:
        """Tell of a BMC whose console nobody hears, and which speaks SOL on a port that nobody asked."""
        text = f"nothing is heard from the console: {self._client.bmc} says that it is at port {port}"
        self._emit(Event("console", "console.port", text, {"port": port}))

    def _may_poke(self) -> bool:
        """Return whether the BMC ever acknowledged a packet without characters, as far as it was asked."""
        self._pokes = self._pokes and (self._line is None or self._line.pokes is not False)
        return self._pokes

    def _activate(self, commands: SolCommands, deadline_s: float) -> bytes:
        for _ in range(_ACTIVATE_TRIES):
            answer = commands.activate(deadline_s)
            if answer.code == 0:
                return answer.data
            if answer.code != ACTIVE_ELSEWHERE:
                raise commands.refused(answer.code)
            self._make_free(commands, deadline_s)
            time.sleep(_ACTIVATE_PAUSE_S)
        raise LabError(  # nobody is to be waited for
            f"{self.describe()} stays active after it was freed, and nobody has it",
            hint="the BMC lost count: reset it (ipmitool mc reset cold), which takes it some minutes",
        )

    def _make_free(self, commands: SolCommands, deadline_s: float) -> None:
        owner, own = commands.owner(deadline_s), self._own
        if owner in own.left and own.left_by is not None:
            text = f"took the console back from {own.left_by}, which was killed and left its session"
            self._emit(Event("console", "console.retaken", text, {"who": own.left_by.who}))
        elif not self._steal and (owner is None or (owner != NOBODY and owner not in own)):
            kind = BmcBusyError if owner is None else ConsoleHeldError
            who = "another session"
            if owner is None and own.left_by is not None:
                who = f"another session, perhaps the one that {own.left_by} left when it was killed"
            raise kind(
                f"{self.describe()} is held by {who}",
                hint="--steal takes it, and ends the console of whoever has it",
            )
        commands.free(deadline_s)

    def _detach(self) -> None:
        if self._line is not None:
            self._alive_s = self._line.alive_s
            self._line.finish("closed")
            self._line = None

    def _attached(self) -> Line:
        if self._line is None:
            raise ConsoleLostError(f"{self.describe()} is not attached")
        return self._line


def _in_background(job: Callable[[], T]) -> Future[T]:
    """Run `job` in a thread that nobody has to wait for."""
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(job())
        except BaseException as error:  # noqa: BLE001  # handed to whoever asks for the result
            outcome.set_exception(error)

    threading.Thread(target=run, name="sol-login", daemon=True).start()
    return outcome
