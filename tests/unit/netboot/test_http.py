"""The HTTP server, asked by curl and by raw sockets."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.errors import PortBusyError
from bringup.base.events import Event
from bringup.netboot.catalog import Catalog, hold
from bringup.netboot.http import HttpService, requested_span
from bringup.netboot.spec import ServedFile
from tests.doubles.netboot import OnlyClient

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")

SIZE = 3_000_000


class Served:
    """A server in a loop of its own thread, its big file, and what it told."""

    def __init__(self, folder: Path) -> None:
        self.big = folder / "big"
        self.content = b"".join(number.to_bytes(4, "big") for number in range(SIZE // 4))
        self.big.write_bytes(self.content)
        (folder / "empty").write_bytes(b"")
        self.digest = hashlib.sha256(self.content).hexdigest()
        self.catalog = Catalog(
            hold(file)
            for file in [
                ServedFile("/module-1", self.big, "module", SIZE, self.digest),
                ServedFile("/empty", folder / "empty", "other", 0),
                ServedFile("/changed", self.big, "kernel", SIZE + 1),
                ServedFile("/gone", folder / "gone", "kernel", 1),
            ]
        )
        self.events: list[Event] = []
        self.strangers: set[str] = set()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.service = self.run(self._start())
        self.port = self.service.port

    async def _start(self) -> HttpService:
        service = HttpService(OnlyClient(self.catalog, self.events.append, self.strangers), "127.0.0.1", 0)
        await service.start()
        return service

    def run(self, coroutine):  # type: ignore[no-untyped-def]
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(5)

    def close(self) -> None:
        self.run(self.service.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(3)
        self.loop.close()

    def kinds(self) -> list[str]:
        return [event.kind for event in list(self.events) if event.kind != "http.progress"]

    def wait_kind(self, kind: str) -> Event:
        deadline = time.monotonic() + 60
        while kind not in self.kinds():
            assert time.monotonic() < deadline, f"no {kind} in {self.kinds()}"
            time.sleep(0.01)
        return next(event for event in self.events if event.kind == kind)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    server = Served(tmp_path)
    yield server
    server.close()


def curl(served: Served, path: str, *options: str) -> tuple[int, bytes, str]:
    """Return status, body and headers."""
    command = ["curl", "-sS", "--path-as-is", "--max-time", "10", "-D", "/dev/stderr", *options]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{served.port}{path}"], capture_output=True, timeout=120
    )
    headers = done.stderr.decode()
    return int(headers.split()[1]), done.stdout, headers.lower()


def test_whole_file(served: Served) -> None:
    status, body, headers = curl(served, "/module-1")
    assert status == 200
    assert hashlib.sha256(body).hexdigest() == served.digest
    assert f"content-length: {SIZE}\r\n" in headers
    assert f'etag: "{served.digest}"' in headers
    done = served.wait_kind("http.done")
    assert {**done.data, "seconds": 0} == {
        "path": "/module-1",
        "role": "module",
        "bytes": SIZE,
        "seconds": 0,
    }
    assert served.kinds() == ["http.start", "http.done"]
    assert served.events[0].data["client"] == "127.0.0.1"
    assert served.events[0].data["size"] == SIZE


def test_head_has_the_length_and_is_no_transfer(served: Served) -> None:
    status, body, headers = curl(served, "/module-1", "--head")
    # curl prints a HEAD's headers as its body.
    assert status == 200
    assert f"content-length: {SIZE}\r\n" in headers
    assert served.content[:64] not in body
    assert served.kinds() == []


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("0-99", 0, 99), ("2999990-", 2999990, 2999999), ("-10", 2999990, 2999999), ("5-9999999", 5, 2999999)],
)
def test_ranges(served: Served, asked: str, first: int, last: int) -> None:
    status, body, headers = curl(served, "/module-1", "--range", asked)
    assert status == 206
    assert body == served.content[first : last + 1]
    assert f"content-range: bytes {first}-{last}/{SIZE}\r\n" in headers
    served.wait_kind("http.done" if last == SIZE - 1 else "http.part")


def test_range_beyond_the_end(served: Served) -> None:
    status, _, headers = curl(served, "/module-1", "--range", f"{SIZE}-")
    assert status == 416
    assert f"content-range: bytes */{SIZE}" in headers


def test_empty_file(served: Served) -> None:
    status, body, headers = curl(served, "/empty")
    assert (status, body) == (200, b"")
    assert "content-length: 0" in headers
    assert served.wait_kind("http.done").data["bytes"] == 0


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nothing",
        "/../etc/passwd",
        "/%2e%2e/etc/passwd",
        "/module-1/",
        "/module-1%00",
        "//module-1",
        "/MODULE-1",
    ],
)
def test_everything_else_does_not_exist(served: Served, path: str) -> None:
    status, body, _ = curl(served, path)
    assert (status, body) == (404, b"")
    assert served.wait_kind("http.error").data["status"] == 404


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "OPTIONS"])
def test_reading_only(served: Served, method: str) -> None:
    status, _, headers = curl(served, "/module-1", "-X", method, "--data", "x")
    assert status == 405
    assert "allow: get, head" in headers
    assert served.big.read_bytes() == served.content


@pytest.mark.parametrize("path", ["/changed", "/gone"])
def test_a_changed_file_is_not_served(served: Served, path: str) -> None:
    status, body, _ = curl(served, path)
    assert (status, body) == (500, b"")
    assert served.wait_kind("http.error").data["path"] == path


def test_strangers_are_refused(served: Served) -> None:
    served.strangers.add("127.0.0.1")
    assert curl(served, "/module-1")[0] == 403


def test_breaking_off_is_told_and_harms_nobody(served: Served) -> None:
    with socket.socket() as sock:
        # Else the kernel's buffers may take the whole file before the board is gone.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", served.port))
        sock.sendall(b"GET /module-1 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
    closed = served.wait_kind("http.closed")
    assert closed.data["sent"] < SIZE
    assert curl(served, "/module-1")[1] == served.content


def test_garbage_instead_of_a_request(served: Served) -> None:
    for garbage in (b"\0" * 100, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 20000):
        with socket.create_connection(("127.0.0.1", served.port)) as sock:
            sock.sendall(garbage)
            sock.settimeout(2)
            with contextlib.suppress(TimeoutError, ConnectionError):
                assert b"200" not in sock.recv(100)
    assert curl(served, "/module-1")[1] == served.content


def test_progress_is_throttled(served: Served, tmp_path: Path) -> None:
    curl(served, "/module-1", "--limit-rate", "2M", "-o", "/dev/null")
    steps = [event for event in served.events if event.kind == "http.progress"]
    assert len(steps) <= 10
    sent = [event.data["sent"] for event in steps]
    assert sent == sorted(sent)
    assert all(event.data["size"] == SIZE for event in steps)


def test_port_that_is_taken(served: Served) -> None:
    async def start_again() -> None:
        clients = OnlyClient(served.catalog, served.events.append)
        await HttpService(clients, "127.0.0.1", served.port).start()

    with pytest.raises(PortBusyError, match=f"TCP port {served.port} of 127.0.0.1: it is taken"):
        served.run(start_again())


@given(
    header=st.none() | st.text(max_size=40) | st.from_regex(r"bytes=\d{0,8}-\d{0,8}", fullmatch=True),
    size=st.integers(0, 10**6),
)
def test_spans_stay_inside_the_file(header: str | None, size: int) -> None:
    span = requested_span(header, size)
    if span is not None:
        assert 0 <= span.start <= span.stop <= size
        assert len(span) > 0 or size == 0
    if header is None:
        assert span == range(size)
