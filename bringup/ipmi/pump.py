"""The one thread that owns pyghmi: it runs jobs and handles packets, so that nobody enters from two sides."""

from __future__ import annotations

import atexit
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TYPE_CHECKING, TypeVar

from bringup.base.once import made_once

if TYPE_CHECKING:
    from bringup.ipmi.session import ClientSession

END_TIMEOUT_S = 1.0
"""How long the end of a session is waited for; the BMC is told, whether or not it answers."""
_STEP_S = 0.1

T = TypeVar("T")


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
            result_of(self.submit(end), END_TIMEOUT_S)


@made_once()
def pump() -> Pump:
    """Return the process's pump, started on first use, from whichever thread that is."""
    return Pump()


def result_of(future: Future[T], timeout_s: float) -> T | None:
    """Return what comes of a job within `timeout_s`, None where nothing does; raises what the job raises."""
    try:
        return future.result(timeout_s)
    except FutureTimeoutError:
        return None
