"""The host's side of the maintenance ramdisk: orders go out one by one, answers and bytes come back by HTTP.

The ramdisk (probes/linux/maintenance) asks for its next order and says how the one before went, at the port
that it was fetched from; what it is ordered, and why, is decided here and above. One request more or less
changes nothing: an order that was not heard is given again, an answer that comes twice is the same answer.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bringup.base.errors import BringupError, DiskError, LabError
from bringup.netboot.spec import Visits
from bringup.netboot.upload import SHA256_HEADER
from bringup.netboot.visits import Visitors
from bringup.probe.streams import STREAMS, Lease, Streams

REPLY_MAX = 16 << 20
"""How many bytes the ramdisk may send at once."""

_HELD_S = 15.0
_STEP_S = 0.2
_POLL_S = 0.05
_HTTP_TIMEOUT_S = 60.0
# What is done on the board before it asks again: fetching, writing and reading back one chunk on a bad day.
# The ramdisk gives up before (IO_S in probes/linux/maintenance), so that it is heard which disk hangs.
ORDER_S = 300.0
_TRIES = 3
_HANDLE = re.compile(r"([a-z0-9]{2,20})(@[0-9]{1,19})?", re.ASCII)
_DIGESTS = re.compile(r"[0-9a-f]{64}(,[0-9a-f]{64})*", re.ASCII)

WHY: Mapping[str, str] = {
    "fetch": "the board could not fetch it",
    "write": "the disk refused to write (an I/O error, or it is read-only)",
    "read": "the disk could not be read (an I/O error)",
    "memory": "it was read from memory and not from the disk, which proves nothing",
    "gone": "the disk is not there any more",
    "flush": "the disk could not be flushed (an I/O error)",
    "late": "the disk did not do it in time: it hangs, or is far too slow",
    "send": "what was read did not arrive here",
    "order": "the ramdisk did not understand the order",
}


@dataclass(frozen=True, slots=True)
class _Order:
    number: int
    words: str


Content = Callable[[], Iterable[bytes]]
"""Returns bytes in pieces of moderate size: of many boards none has a whole chunk in memory."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a board may fetch, of `length` bytes, and its turn to do so."""

    content: Content
    length: int
    lease: Lease


class Agent:
    """The ramdisk of one board, as what it can be told. Who serves the board is given `visits`; `close()` it.

    `check` is called while an answer is awaited and raises what ends the job. `heard` is called once, from
    another thread, when the ramdisk asks for the first time. `streams` says when it may fetch what is
    written.
    """

    def __init__(
        self,
        *,
        heard: Callable[[], None] = lambda: None,
        check: Callable[[], None] = lambda: None,
        order_s: float = ORDER_S,
        streams: Streams = STREAMS,
    ) -> None:
        self._heard = heard
        self._check = check
        self._order_s = order_s
        self._streams = streams
        self._token = secrets.token_hex(16)
        self._changed = threading.Condition()
        self._order: _Order | None = None
        self._next = 1
        self._answer: str | None = None
        self._reply: bytes | None = None
        self._asked_s: float | None = None
        self._contents: dict[str, Fetched] = {}
        self._closed = False
        self._visitors = Visitors()
        self._server = _Server(self._visitors, self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_S,), name="agent", daemon=True
        )
        self._thread.start()

    @property
    def visits(self) -> Visits:
        """Return what of the board's requests comes here; nobody can guess the path."""
        return Visits(f"/{self._token}", self._visitors.descriptor)

    def url(self, base_url: str) -> str:
        """Return where the ramdisk asks, with the URL that its files are fetched from."""
        return f"{base_url}{self.visits.url_path}"

    def close(self) -> None:
        """Say nothing more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._server.shutdown()
        self._visitors.close()

    # What it can be told, of a disk by its `Disk.handle`. Every method raises DiskError, or what `check`
    # raises.

    def disks(self) -> str:
        """Return what /sys has of every disk, as `probe.disk_text` reads it."""
        return self._bytes("disks", "the list of disks").decode("ascii", "replace")

    def read(self, disk: str, offset: int, length: int) -> bytes:
        """Return bytes of a disk; whole sectors."""
        name = _name(disk)
        data = self._bytes(f"read {disk} {offset} {length}", f"{length} bytes of {name} at {offset}")
        if len(data) != length:
            raise DiskError(f"{name} gave {len(data)} of {length} bytes at {offset}", "read")
        return data

    def write(self, disk: str, offset: int, length: int, content: Content) -> None:
        """Write what `content` returns, `length` bytes, past the page cache; whole sectors."""
        path, name = f"chunk/{secrets.token_hex(8)}", _name(disk)
        with self._streams.lease(self._check) as lease:
            with self._changed:
                self._contents[path] = Fetched(content, length, lease)
            try:
                self._ask(f"write {disk} {offset} {length} {path}", f"{name} at {offset}")
            finally:
                with self._changed:
                    self._contents.pop(path, None)

    def hashes(self, disk: str, ranges: Sequence[tuple[int, int]]) -> tuple[str, ...]:
        """Return the SHA-256 of each (offset, length) as read from the disk."""
        name = _name(disk)
        words = " ".join(f"{offset} {length}" for offset, length in ranges)
        answer = self._ask(f"hash {disk} {words}", name)
        digests = answer.split(",")
        if len(digests) != len(ranges) or not _DIGESTS.fullmatch(answer):
            raise DiskError(f"{name}: {len(ranges)} hashes were asked for, and other words came", "order")
        return tuple(digests)

    def flush(self, disk: str) -> None:
        """Return when the disk says that it has kept what was written."""
        self._ask(f"flush {disk}", _name(disk))

    # Orders.

    def _bytes(self, words: str, what: str) -> bytes:
        for _ in range(_TRIES):
            try:
                self._ask(words, what)
            except DiskError as error:
                if error.why != "send":
                    raise
                continue
            if self._reply is not None:
                return self._reply
        raise DiskError(f"{what}: {WHY['send']}", "send")

    def _ask(self, words: str, what: str) -> str:
        with self._changed:
            self._answer = self._reply = None
            self._order = _Order(self._next, words)
            self._changed.notify_all()
            deadline_s = time.monotonic() + self._order_s
            while self._answer is None:
                self._check()
                if self._closed or time.monotonic() > deadline_s:
                    raise self._silent()
                self._changed.wait(_STEP_S)
            answer = self._answer
        state, _, rest = answer.partition(":")
        if state != "ok":
            why = rest if rest in WHY else "order"
            raise DiskError(f"{what}: {WHY[why]}", why)
        return rest

    def _silent(self) -> LabError:
        return LabError(
            "the maintenance ramdisk has not answered for too long",
            hint="is the board on, and its network cable plugged? its words: bringup runs show --console",
        )

    # What the ramdisk asks, in threads of the server.

    def order_for(self, number: int, answer: str) -> str:
        """Take the answer to the order before `number` and return that one, "" while there is none."""
        first = False
        with self._changed:
            first, self._asked_s = self._asked_s is None, time.monotonic()
            if self._order is not None and number == self._order.number + 1 and self._answer is None:
                self._answer = answer[:_ANSWER_MAX]
                self._next = number
                self._changed.notify_all()
            elif self._order is None and number >= self._next:
                self._next = number
        if first:
            self._heard()
        deadline_s = time.monotonic() + _HELD_S
        with self._changed:
            while not self._closed and time.monotonic() < deadline_s:
                if self._order is not None and self._order.number == number:
                    return self._order.words
                self._changed.wait(_STEP_S)
        return ""

    def fetched(self, path: str) -> Fetched | None:
        """Return what a board fetches, None where there is no such thing."""
        with self._changed:
            return self._contents.get(path)

    def take_reply(self, number: int, data: bytes) -> bool:
        """Take the bytes that belong to an order; returns whether they were wanted."""
        with self._changed:
            if self._order is None or self._order.number != number:
                return False
            self._reply = data
            return True

    def is_ours(self, token: str) -> bool:
        """Return whether a path begins with the secret of this run."""
        return secrets.compare_digest(token.encode(errors="replace"), self._token.encode())


_ANSWER_MAX = 8192


def _name(handle: str) -> str:
    """Return the kernel's name of a disk; raises BringupError for what would be another order."""
    match = _HANDLE.fullmatch(handle)
    if match is None:
        raise BringupError(f"not the name of a disk: {handle!r}")
    return match[1]


class _Server(ThreadingHTTPServer):
    """Serves connections that somebody else accepted."""

    daemon_threads = True

    def __init__(self, visitors: Visitors, agent: Agent) -> None:
        super().__init__(("", 0), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = visitors.near
        self._visitors = visitors
        self.agent = agent

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        """Return the next connection; whose it is was judged where it was accepted."""
        return self._visitors.accept(), ("", 0)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Leave a request that broke off: the ramdisk asks again."""


class _Handler(BaseHTTPRequestHandler):
    # The ramdisk reads the status line.
    protocol_version = "HTTP/1.1"
    timeout = _HTTP_TIMEOUT_S
    server: _Server

    def do_GET(self) -> None:
        words = self._path()
        match words:
            case ["order", number] if number.isdecimal() and len(number) < 9:
                path, _, answer = self.path.partition("?")
                del path
                self._respond(200, self.server.agent.order_for(int(number), answer).encode())
            case ["chunk", name]:
                found = self.server.agent.fetched(f"chunk/{name}")
                self._respond(404, b"") if found is None else self._give(found)
            case _:
                self._respond(404, b"")

    def do_PUT(self) -> None:
        match self._path():
            case ["reply", number] if number.isdecimal() and len(number) < 9:
                self._respond(201 if self._taken(int(number)) else 422, b"")
            case _:
                self._respond(404, b"")

    def _taken(self, number: int) -> bool:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > REPLY_MAX:
            return False
        data = self.rfile.read(int(length))
        said = self.headers.get(SHA256_HEADER, "").strip().lower()
        return hashlib.sha256(data).hexdigest() == said and self.server.agent.take_reply(number, data)

    def _path(self) -> list[str]:
        _, token, *words = self.path.partition("?")[0].split("/", 4) if self.path.count("/") > 1 else ("", "")
        return words if self.server.agent.is_ours(token) else []

    def _give(self, found: Fetched) -> None:
        """Send what is written to the disk; whoever has all of it lets another board fetch."""
        self._begin(200, found.length)
        for piece in found.content():
            self.wfile.write(piece)
        found.lease.end()

    def _respond(self, status: int, body: bytes) -> None:
        self._begin(status, len(body))
        self.wfile.write(body)

    def _begin(self, status: int, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name is http.server's
        """Log nothing: what a board sends may be anything, and its answers are in the run."""
