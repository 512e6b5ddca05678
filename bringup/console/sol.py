"""Serial-over-LAN (IPMI 2.0 section 15) on pyghmi's console, honest about what it knows.

pyghmi's object returns before it is connected, calls back in whichever thread pumps, blocks for up to 15 s in
`send_data` when the BMC stopped listening, and swallows what is written after a loss. Here: `open` waits until
SOL is operational, bytes go through queues, writes have a thread of their own, and a loss is an exception.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import Empty, Queue
from typing import Any

from bringup.errors import BmcBusyError, BmcTimeoutError, BringupError, ConsoleLostError, LabError
from bringup.events import Emit, Event
from bringup.ipmi import BmcAddress, Pump, bounded, no_answer, translate

_POLL_S = 0.02
_CLOSE_TIMEOUT_S = 3.0
_WRITE_MAX = 64
# A BMC that keeps quiet may be dead: pyghmi would notice after 78 s. Asking costs it one packet.
PROBE_EVERY_S = 5.0
_PROBE_TIMEOUT_S = 6.0
_RECONNECT_FIRST_S = 0.5
_RECONNECT_MAX_S = 8.0


class SolConsole:
    """One SOL session. `steal` takes the payload from whoever holds it; never done unless asked for."""

    def __init__(self, bmc: BmcAddress, *, steal: bool = False) -> None:
        self._bmc = bmc
        self._steal = steal
        self._received: Queue[bytes] = Queue()
        self._outgoing: Queue[bytes | None] = Queue()
        self._console: Any = None
        self._failure: str | None = None
        self._closed = threading.Event()

    def open(self, timeout_s: float) -> None:
        """Log in and activate SOL; raises BmcBusyError when it is held elsewhere, or as `translate` says."""
        from pyghmi.ipmi.console import Console

        Pump.start()
        bmc = self._bmc
        user, password = bmc.user.encode(), bmc.password.reveal().encode()
        deadline = time.monotonic() + timeout_s
        self._console = bounded(
            lambda: Console(
                bmc=bmc.address,
                userid=user,
                password=password,
                iohandler=self._take,
                port=bmc.port,
                force=self._steal,
            ),
            timeout_s,
            bmc,
        )
        while not self._console.connected:
            if self._failure is not None or self._console.broken:
                self._abandon()
                raise translate(self._failure, bmc)
            if time.monotonic() > deadline:
                self._abandon()
                raise no_answer(bmc)
            time.sleep(_POLL_S)
        threading.Thread(target=self._write_loop, name="sol-write", daemon=True).start()
        threading.Thread(target=self._probe_loop, name="sol-probe", daemon=True).start()

    def _take(self, data: Any) -> None:
        if isinstance(data, dict):
            if "error" in data and self._failure is None:
                self._failure = str(data["error"])
            return
        self._received.put(bytes(data))

    def read(self, timeout_s: float) -> bytes:
        """Return what came, b"" for nothing; raises ConsoleLostError when SOL ended."""
        try:
            chunks = [self._received.get(timeout=timeout_s)]
        except Empty:
            self._raise_if_lost()
            return b""
        while not self._received.empty():
            chunks.append(self._received.get_nowait())
        return b"".join(chunks)

    def write(self, data: bytes) -> None:
        """Queue bytes for the board."""
        self._raise_if_lost()
        for offset in range(0, len(data), _WRITE_MAX):
            self._outgoing.put(data[offset : offset + _WRITE_MAX])

    def send_break(self) -> None:
        """Send a serial break."""
        self._raise_if_lost()
        bounded(self._console.send_break, _PROBE_TIMEOUT_S, self._bmc)

    def _raise_if_lost(self) -> None:
        console = self._console
        if self._failure is None and console is not None and not console.broken:
            return
        reason = self._failure or "the session ended"
        raise ConsoleLostError(
            f"Serial-over-LAN to {self._bmc} was lost: {reason}", hint="bringup console BOARD attaches again"
        )

    def _write_loop(self) -> None:
        while (data := self._outgoing.get()) is not None and not self._closed.is_set():
            try:
                self._console.send_data(data)
            except (OSError, ValueError, RuntimeError, NotImplementedError) as error:
                self._failure = self._failure or str(error) or type(error).__name__
                return
            # pyghmi drops the tail of what a BMC accepted only in part: one piece at a time.
            deadline = time.monotonic() + _PROBE_TIMEOUT_S
            while self._console.awaitingack and time.monotonic() < deadline:
                time.sleep(0.002)

    def _probe_loop(self) -> None:
        session = self._console.ipmi_session
        while not self._closed.wait(PROBE_EVERY_S):
            try:
                # Get Payload Activation Status (IPMI 2.0 24.4) of SOL: is anybody there?
                bounded(
                    lambda: session.raw_command(netfn=6, command=0x4A, data=(1,)), _PROBE_TIMEOUT_S, self._bmc
                )
            except BmcTimeoutError:
                self._failure = self._failure or "the BMC does not answer any more"
                return
            except LabError:
                continue  # an answer, even if an unhappy one

    def close(self) -> None:
        """Deactivate SOL and log out; harmless when not attached."""
        self._closed.set()
        self._outgoing.put(None)
        self._abandon()

    def _abandon(self) -> None:
        console, self._console = self._console, None
        if console is None:
            return
        session = console.ipmi_session  # pyghmi forgets it in close()
        for call in (console.close, session.logout):
            if not self._quietly(call):
                return

    def _quietly(self, call: Callable[[], Any]) -> bool:
        try:
            bounded(call, _CLOSE_TIMEOUT_S, self._bmc)
        except BringupError:
            return False  # the BMC is gone; the rest would only wait as long again
        return True

    def describe(self) -> str:
        """Return in a few words what this is, for people."""
        return f"SOL attached, {self._bmc}"


class ReconnectingConsole:
    """A console that comes back: after a loss it attaches again, and says how long it was away.

    `make` gives a new console for each attempt; it is told whether it may retake a session that is still
    counted as active, which after a loss is our own. Emits console.lost and console.gap{seconds}.
    """

    def __init__(self, make: Callable[[bool], Any], emit: Emit) -> None:
        self._make = make
        self._emit = emit
        self._console = make(False)
        self._lost_s: float | None = None
        self._next_s = 0.0
        self._pause_s = _RECONNECT_FIRST_S

    def open(self, timeout_s: float) -> None:
        """Attach for the first time; not repeated, so that wrong credentials are told at once."""
        self._console.open(timeout_s)

    def read(self, timeout_s: float) -> bytes:
        """Return what came; b"" also while the console is away."""
        if self._lost_s is not None:
            return self._come_back(timeout_s)
        try:
            data: bytes = self._console.read(timeout_s)
        except ConsoleLostError as error:
            self._lost_s = time.monotonic()
            self._next_s, self._pause_s = self._lost_s, _RECONNECT_FIRST_S
            self._emit(Event("console", "console.lost", error.message, {"reason": error.message}))
            return b""
        return data

    def _come_back(self, timeout_s: float) -> bytes:
        assert self._lost_s is not None  # noqa: S101
        now = time.monotonic()
        if now < self._next_s:
            time.sleep(min(timeout_s, self._next_s - now))
            return b""
        threading.Thread(target=self._console.close, name="sol-close", daemon=True).start()
        self._console = self._make(True)
        try:
            self._console.open(max(timeout_s, 3.0))
        except (BmcBusyError, BmcTimeoutError, ConsoleLostError, LabError):
            self._next_s = time.monotonic() + self._pause_s
            self._pause_s = min(self._pause_s * 2, _RECONNECT_MAX_S)
            return b""
        away_s = time.monotonic() - self._lost_s
        self._lost_s = None
        self._emit(Event("console", "console.gap", f"back after {away_s:.1f} s", {"seconds": away_s}))
        return b""

    def write(self, data: bytes) -> None:
        """Send to the board; raises ConsoleLostError while it is away."""
        self._console.write(data)

    def send_break(self) -> None:
        """Send a serial break."""
        self._console.send_break()

    def close(self) -> None:
        """Detach."""
        self._console.close()

    def describe(self) -> str:
        """Return in a few words what this is, for people."""
        text: str = self._console.describe()
        return text
