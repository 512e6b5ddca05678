"""Signals while a board is worked on: each ends the work as Ctrl-C does, and none stops putting things
back. A terminal that is closed (SIGHUP) takes a viewer away, and no work.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, ClassVar

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_Handler = Callable[[int, FrameType | None], Any] | int | None


class Signals:
    """While entered, a signal that would end the process raises KeyboardInterrupt in its main thread.

    Work that `outlives_terminal` goes on when the terminal is closed. In another thread nothing can be done
    about signals (signal(3)), and nothing is.
    """

    process_ends: ClassVar[bool] = False
    """Whether this process has one thing to do: then, once interrupted, it stays deaf until it has told
    how.
    """

    _ended: ClassVar[bool] = False

    def __init__(self, *, outlives_terminal: bool = False) -> None:
        self._outlives_terminal = outlives_terminal
        self._heard = self._missed = False
        self._before: dict[int, _Handler] = {}

    @property
    def heard(self) -> bool:
        """Whether a signal came that ends the work."""
        return self._heard

    def __enter__(self) -> Signals:
        if self.process_ends and Signals._ended:
            raise KeyboardInterrupt  # whoever it came to (a callback, a finalizer) swallowed it
        self.heed()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_IGN if self._heard and self.process_ends else handler)
        self._before.clear()

    def heed(self) -> None:
        """From here on a signal ends the work; raises KeyboardInterrupt for one that came while things were
        put back after the part before.
        """
        self._set(self._interrupt)
        if self._missed:
            self._interrupt(signal.SIGINT, None)

    def ignore(self) -> None:
        """From here on things are only put back; an impatient second Ctrl-C must not stop half way."""
        self._set(signal.SIG_IGN if self._heard else self._miss)

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """Heed signals while something is asked between two parts of the work; raises as `heed`."""
        try:
            self.heed()
            yield
        finally:
            self.ignore()

    def _set(self, handler: _Handler) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _ENDING:
            if number not in self._before:
                before = signal.getsignal(number)
                if number == signal.SIGHUP and before is signal.SIG_IGN:
                    continue  # nohup
                self._before[number] = before
            closed = number == signal.SIGHUP and self._outlives_terminal
            signal.signal(number, signal.SIG_IGN if closed else handler)

    def _miss(self, _number: int, _frame: FrameType | None) -> None:
        self._missed = True

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        # Once is enough: a storm of them must not break into what the first one set going.
        self._heard, self._missed, Signals._ended = True, False, True
        self.ignore()
        raise KeyboardInterrupt
