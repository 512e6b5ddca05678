"""Who has a console serves it: every reader gets what it shows, one named writer may type."""

from __future__ import annotations

import json
import queue
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Protocol

from bringup.base.errors import BringupError
from bringup.base.events import Emit, Event
from bringup.console.shared import door
from bringup.console.shared.frames import Decoder, Kind, encode
from bringup.console.shared.shown import LastShown
from bringup.lab.holder import Holder, holder_in

_READERS_MAX = 16
_WAITING_MAX = 256
_HELLO_S = 5.0
_CHUNK = 4096
_PIECE = 64 * 1024
_END_S = 0.5

Wishes = ("read", "type", "have")


class Typist(Protocol):
    """What a writer's keys go to."""

    def write(self, data: bytes) -> None:
        """Send characters to the board."""
        ...

    def send_break(self) -> None:
        """Send a break to the board."""
        ...


@dataclass
class _Guest:
    """One connection; `outbox` ends with None."""

    connection: socket.socket
    outbox: queue.Queue[bytes | None]
    who: Holder | None = None
    behind_s: float | None = None


class Hub:
    """Serves the console named `console` until `close`; raises TakenError where somebody does already.

    `holder` is who has it, told to everybody. `yields`: it is handed over to who needs it for itself, when
    `wanted_by` is looked at; whoever is `typing` keeps other writers out. `emit` hears of a writer.
    """

    def __init__(
        self, console: str, holder: Holder, typist: Typist, emit: Emit, *, yields: bool, typing: bool
    ) -> None:
        self._door = door.listen(console)
        self._holder = holder
        self._typist = typist
        self._emit = emit
        self._yields = yields
        self._writer: Holder | None = holder if typing else None
        self._shown = LastShown()
        self._guests: list[_Guest] = []
        self._lock = threading.Lock()
        self.wanted_by: Holder | None = None
        threading.Thread(target=self._accept, name="console-hub", daemon=True).start()

    def show(self, data: bytes) -> None:
        """Pass on what the console shows."""
        with self._lock:
            self._shown.add(data)
            for start in range(0, len(data), _PIECE):
                self._send_all(Kind.DATA, data[start : start + _PIECE])

    def tell(self, event: Event) -> None:
        """Pass on what happened to the console."""
        with self._lock:
            self._send_all(Kind.EVENT, event.to_json(origin_s=0.0).encode())

    def close(self, reason: str) -> None:
        """Serve no more; every guest is told why."""
        with suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        with self._lock:
            guests, self._guests = self._guests, []
            for guest in guests:
                self._send(guest, Kind.END, reason.encode())
                self._send(guest, None)
        deadline_s = time.monotonic() + _END_S
        while any(not guest.outbox.empty() for guest in guests) and time.monotonic() < deadline_s:
            time.sleep(0.01)

    # Guests.

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._door.accept()
            except OSError:
                return  # closed
            if len(self._guests) >= _READERS_MAX or not door.is_trusted(connection):
                connection.close()
                continue
            threading.Thread(
                target=self._serve, args=(connection,), name="console-guest", daemon=True
            ).start()

    def _serve(self, connection: socket.socket) -> None:
        guest = _Guest(connection, queue.Queue(_WAITING_MAX))
        threading.Thread(target=_post, args=(guest,), name="console-post", daemon=True).start()
        decoder = Decoder()
        connection.settimeout(_HELLO_S)
        try:
            while data := connection.recv(_CHUNK):
                for kind, body in decoder.feed(data):
                    self._take(guest, kind, body)
        except (OSError, ValueError):
            pass  # gone, or no guest of ours
        finally:
            self._part(guest)

    def _take(self, guest: _Guest, kind: Kind, body: bytes) -> None:
        if kind is Kind.WISH and guest.who is None:
            self._greet(guest, body)
        elif kind is Kind.TYPED and guest.who is not None:
            self._type(guest, lambda: self._typist.write(body))
        elif kind is Kind.BREAK and guest.who is not None:
            self._type(guest, self._typist.send_break)

    def _greet(self, guest: _Guest, body: bytes) -> None:
        wish = json.loads(body)
        who = holder_in(body)
        what = wish.get("wish") if isinstance(wish, dict) else None
        if who is None or what not in Wishes:
            raise ValueError("no wish")
        why_not = self._why_not(what, who)
        if why_not is not None:
            self._send(guest, Kind.NO, why_not.encode())
            return
        guest.who = who
        guest.connection.settimeout(None)
        with self._lock:
            self._send(guest, Kind.GREETING, json.dumps(asdict(self._holder)).encode())
            self._send(guest, Kind.SHOWN, self._shown.screen())
            self._guests.append(guest)
        if what == "type":
            self._emit(Event("console", "console.writer", f"{who} types on this console", {"who": who.who}))

    def _why_not(self, wish: str, who: Holder) -> str | None:
        """Return why a wish is not granted, None when it is."""
        with self._lock:
            if wish == "have" and not self._yields:
                return str(self._holder)
            if wish == "have":
                self.wanted_by = who
            elif wish == "type" and self._writer is not None:
                return str(self._writer)
            elif wish == "type":
                self._writer = who
        return None

    def _type(self, guest: _Guest, send: Callable[[], None]) -> None:
        if guest.who is not self._writer:
            self._send(guest, Kind.NO, b"listening only")
            return
        try:
            send()
        except BringupError as error:
            self._send(guest, Kind.NO, error.message.encode())
        else:
            self._send(guest, Kind.DONE)

    def _part(self, guest: _Guest) -> None:
        with self._lock:
            if guest in self._guests:
                self._guests.remove(guest)
            if guest.who is not None and guest.who is self._writer:
                self._writer = None
            self._send(guest, None)

    def _send_all(self, kind: Kind, body: bytes) -> None:
        for guest in self._guests:
            self._send(guest, kind, body)

    def _send(self, guest: _Guest, kind: Kind | None, body: bytes = b"") -> None:
        """Put a frame on its way, None to end; a guest that is slow loses text, and is told of it."""
        now = time.monotonic()
        try:
            if guest.behind_s is not None and kind is not None:
                guest.outbox.put_nowait(encode(Kind.EVENT, _behind(now - guest.behind_s)))
                guest.behind_s = None
            guest.outbox.put_nowait(None if kind is None else encode(kind, body))
        except queue.Full:
            guest.behind_s = guest.behind_s or now
            if kind is None:
                guest.connection.close()


def _behind(seconds: float) -> bytes:
    text = f"this reader was too slow for {seconds:.1f} s; what the board wrote meanwhile is missing"
    data = {"seconds": round(seconds + 0.05, 1), "certain": True, "reason": "a slow reader"}
    return Event("console", "console.gap", text, data).to_json(origin_s=0.0).encode()


def _post(guest: _Guest) -> None:
    """Send what is in a guest's outbox until it ends."""
    with suppress(OSError):
        while (frame := guest.outbox.get()) is not None:
            guest.connection.sendall(frame)
    with suppress(OSError):
        guest.connection.shutdown(socket.SHUT_RDWR)
    guest.connection.close()
