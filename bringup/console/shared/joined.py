"""A console that somebody else on this host has, as it is to who shares it."""

from __future__ import annotations

import json
import queue
import socket
import threading
import time
from contextlib import suppress
from dataclasses import asdict

from bringup.base.errors import ConsoleHeldError, ConsoleLostError
from bringup.base.events import Emit, Event
from bringup.console.shared import door
from bringup.console.shared.frames import Decoder, Kind, encode
from bringup.lab.holder import Holder, holder_in

_CHUNK = 65536
_ANSWER_S = 20.0


class JoinedConsole:
    """Shares the console named `console`: to `read`, to `type`, or to `have` it when it is handed over.

    Making it raises OSError where nobody serves it, ConsoleHeldError where the wish is not granted.
    """

    def __init__(self, console: str, wish: str, who: Holder, emit: Emit, timeout_s: float) -> None:
        self._emit = emit
        self._connection = door.connect(console, timeout_s)
        self._decoder = Decoder()
        self._frames: list[tuple[Kind, bytes]] = []
        self._answers: queue.SimpleQueue[tuple[Kind, bytes]] = queue.SimpleQueue()
        self._sending = threading.Lock()
        self.holder: Holder
        try:
            self._connection.sendall(encode(Kind.WISH, json.dumps({"wish": wish, **asdict(who)}).encode()))
            self.holder = self._greeted()
        except BaseException:
            self._connection.close()
            raise

    def read(self, timeout_s: float) -> bytes:
        """Return what the console shows, first what it showed last; raises ConsoleLostError when it ends.

        What happens to the console is told in its place.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            while self._frames:
                data = self._take(*self._frames.pop(0))
                if data:
                    return data
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or not self._receive(left_s):
                return b""

    def write(self, data: bytes) -> None:
        """Send characters by way of the holder; returns once the board has them."""
        self._request(Kind.TYPED, data)

    def send_break(self) -> None:
        """Send a break by way of the holder."""
        self._request(Kind.BREAK, b"")

    def wait_for_end(self, timeout_s: float) -> None:
        """Wait until the holder serves no more."""
        deadline_s = time.monotonic() + timeout_s
        with suppress(ConsoleLostError):
            while time.monotonic() < deadline_s:
                self.read(0.1)

    def close(self) -> None:
        """Part from it."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def _greeted(self) -> Holder:
        while True:
            while not self._frames:
                if not self._receive(_ANSWER_S):
                    raise TimeoutError("no greeting")
            kind, body = self._frames.pop(0)
            if kind is Kind.NO:
                raise ConsoleHeldError(body.decode(errors="replace"))
            if kind is Kind.GREETING:
                holder = holder_in(body)
                if holder is None:
                    raise ConnectionError("no greeting of ours")
                return holder

    def _take(self, kind: Kind, body: bytes) -> bytes:
        if kind in (Kind.SHOWN, Kind.DATA):
            return body
        if kind is Kind.EVENT:
            with suppress(ValueError, KeyError):
                self._emit(Event.from_json(body))
        elif kind in (Kind.DONE, Kind.NO):
            self._answers.put((kind, body))
        elif kind is Kind.END:
            raise ConsoleLostError(body.decode(errors="replace"))
        return b""

    def _receive(self, timeout_s: float) -> bool:
        """Take in what came; False when nothing did in time. Raises ConsoleLostError when it is over."""
        self._connection.settimeout(timeout_s)
        try:
            data = self._connection.recv(_CHUNK)
            self._frames += self._decoder.feed(data)
        except TimeoutError:
            return False
        except (OSError, ValueError):
            data = b""
        if not data:
            raise ConsoleLostError("who had the console is gone")
        return True

    def _request(self, kind: Kind, data: bytes) -> None:
        with self._sending:
            try:
                self._connection.sendall(encode(kind, data))
                answer, why = self._answers.get(timeout=_ANSWER_S)  # comes in by the reader's `read`
            except (OSError, queue.Empty):
                raise ConsoleLostError("who has the console does not answer") from None
        if answer is Kind.NO:
            raise ConsoleLostError(why.decode(errors="replace"))
