"""What a board asks of its boot itself: at the port of its files, and handed over as an open connection."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bringup.base.errors import ProfileError
from bringup.base.events import Event
from bringup.netboot.catalog import Catalog, Descriptor, hold
from bringup.netboot.door import Patience
from bringup.netboot.http import HttpService
from bringup.netboot.spec import ServedFile, Visits
from bringup.netboot.visits import HEAD_BYTES, Usher, Visitors
from tests.doubles.netboot import OnlyClient

SECRET = "/0123456789abcdef0123456789abcdef"
KERNEL = b"kernel" * 1000


class Served:
    """A board that is served one file, and may ask its boot at `SECRET`."""

    def __init__(self, folder: Path) -> None:
        path = folder / "kernel"
        path.write_bytes(KERNEL)
        self.visitors = Visitors()
        self.strangers: set[str] = set()
        self.events: list[Event] = []
        usher = Usher(Visits(SECRET, 0), Descriptor(os.dup(self.visitors.descriptor)))
        catalog = Catalog([hold(ServedFile("/kernel", path, "kernel", len(KERNEL)))])
        self.clients = OnlyClient(catalog, self.events.append, self.strangers, usher=usher)
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.service = asyncio.run_coroutine_threadsafe(self._start(), self.loop).result(30)

    async def _start(self) -> HttpService:
        service = HttpService(self.clients, "127.0.0.1", 0, Patience(first_s=2.0))
        await service.start()
        return service

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.service.port), timeout=60)

    def ask(self, words: bytes) -> bytes:
        """Return what comes until the connection ends, one way or the other."""
        answer = b""
        with self.connect() as sock, suppress(ConnectionResetError):
            sock.sendall(words)
            while data := sock.recv(65536):
                answer += data
        return answer

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.service.stop(), self.loop).result(30)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.visitors.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("method", [b"GET", b"PUT"])
def test_the_boot_has_the_whole_conversation(served: Served, method: bytes) -> None:
    words = b"%s %s/order/1?ready HTTP/1.1\r\n\r\n" % (method, SECRET.encode())
    with served.connect() as board:
        board.sendall(words)
        with served.visitors.accept() as boot:
            assert boot.recv(4096) == words, "what was looked at is still there"
            board.sendall(b"and more")
            assert boot.recv(4096) == b"and more"
            boot.sendall(b"an order")
        assert board.recv(4096) == b"an order"
        assert board.recv(4096) == b"", "nobody else holds it open"


def test_every_other_request_is_served_as_before(served: Served) -> None:
    assert served.ask(b"GET /kernel HTTP/1.0\r\n\r\n").endswith(KERNEL)
    for path in (SECRET.encode(), SECRET[:-1].encode() + b"0/order/1", b"/0123", b"/"):
        assert b" 404 " in served.ask(b"GET %s HTTP/1.0\r\n\r\n" % path).partition(b"\r\n")[0]


def test_the_secret_is_of_no_use_to_a_stranger(served: Served) -> None:
    served.strangers.add("127.0.0.1")
    assert b" 403 " in served.ask(b"GET %s/order/1 HTTP/1.0\r\n\r\n" % SECRET.encode())


def test_who_says_nothing_is_let_go(served: Served) -> None:
    assert served.ask(b"") == b""


def test_the_servers_end_while_somebody_has_said_nothing_yet(served: Served) -> None:
    with served.connect() as board:
        asyncio.run_coroutine_threadsafe(served.service.stop(), served.loop).result(30)
        assert board.recv(1) == b""


def test_a_boot_that_has_ended_hears_nothing(served: Served) -> None:
    served.visitors.close()
    assert served.ask(b"GET %s/order/1 HTTP/1.0\r\n\r\n" % SECRET.encode()) == b""
    assert served.ask(b"GET /kernel HTTP/1.0\r\n\r\n").endswith(KERNEL)


def test_what_a_boot_hands_in_need_not_be_a_socket(tmp_path: Path) -> None:
    number = os.open(tmp_path, os.O_RDONLY)
    near, far = socket.socketpair()
    with near:
        Usher(Visits(SECRET, 0), Descriptor(number)).hand_over(far)
        assert near.recv(1) == b""


def test_a_path_is_a_path() -> None:
    with pytest.raises(ProfileError, match="not a path"):
        Visits("order 1", 3)
    assert len(f"PUT {SECRET}/") < HEAD_BYTES
