"""The upload of a capture: once, whole, checked, from the board only; sent by curl, busybox, raw sockets."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from bringup.base.assets import asset
from bringup.base.events import Event
from bringup.netboot.catalog import Catalog, Descriptor
from bringup.netboot.http import HttpService
from bringup.netboot.spec import Upload
from bringup.netboot.upload import SHA256_HEADER, SILENCE_S, Landing, Receiver
from tests.doubles.netboot import OnlyClient

T = TypeVar("T")

PATH = "/upload/0123456789abcdef"
LIMIT = 500_000
BODY = bytes(range(256)) * 1000
DIGEST = hashlib.sha256(BODY).hexdigest()


class Served:
    """A server that takes one upload, in a loop of its own thread."""

    def __init__(self, folder: Path, silence_s: float = SILENCE_S, file: int | None = None) -> None:
        self.silence_s = silence_s
        self.folder = folder
        self.target = folder / "capture.tar.gz"
        self.landing = Landing(self.target)
        self.file = Descriptor(os.dup(self.landing.fileno()) if file is None else file)
        self.events: list[Event] = []
        self.strangers: set[str] = set()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.service = self.run(self._start())
        self.port = self.service.port

    async def _start(self) -> HttpService:
        upload = Upload(PATH, self.target, LIMIT)
        receiver = Receiver(upload, self._tell, self.file, self.silence_s)
        clients = OnlyClient(Catalog([]), self._tell, self.strangers, receiver)
        service = HttpService(clients, "127.0.0.1", 0)
        await service.start()
        return service

    def _tell(self, event: Event) -> None:
        """Do as the boot's own side does."""
        if event.kind == "http.upload":
            self.landing.keep()
        self.events.append(event)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(5)

    def close(self) -> None:
        self.run(self.service.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(3)
        self.loop.close()
        self.landing.close()

    def kinds(self) -> list[str]:
        return [event.kind for event in list(self.events)]

    def wait_kind(self, kind: str) -> Event:
        deadline = time.monotonic() + 60
        while kind not in self.kinds():
            assert time.monotonic() < deadline, f"no {kind} in {self.kinds()}"
            time.sleep(0.01)
        return next(event for event in self.events if event.kind == kind)

    def left(self) -> list[str]:
        """End the boot; return what is left of it."""
        self.landing.close()
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    (tmp_path / "run").mkdir()
    server = Served(tmp_path / "run")
    yield server
    server.close()


@pytest.fixture
def body(tmp_path: Path) -> Path:
    path = tmp_path / "body"
    path.write_bytes(BODY)
    return path


def send(
    served: Served,
    body: Path,
    *options: str,
    path: str = PATH,
    digest: str | None = DIGEST,
    asks_first: bool = False,
) -> int:
    """Send it, at once or, where the head alone decides, once the server has answered.

    A server that refuses by the head closes: what is still being sent may then cost curl the answer.
    """
    expect = ["-H", "Expect: 100-continue", "--expect100-timeout", "10"] if asks_first else ["-H", "Expect:"]
    header = [] if digest is None else ["-H", f"{SHA256_HEADER}: {digest}"]
    command = ["curl", "-sS", "-o", os.devnull, "-w", "%{http_code}", "--max-time", "10", *expect]
    url = f"http://127.0.0.1:{served.port}{path}"
    done = subprocess.run(
        [*command, "-T", str(body), *header, *options, url], capture_output=True, check=False, timeout=120
    )
    return int(done.stdout)


def test_one_upload_is_kept_whole_and_then_none(served: Served, body: Path) -> None:
    assert send(served, body) == 201
    assert served.target.read_bytes() == BODY
    event = served.wait_kind("http.upload")
    assert (event.data["bytes"], event.data["sha256"], event.data["client"]) == (
        len(BODY),
        DIGEST,
        "127.0.0.1",
    )
    body.write_bytes(b"other")
    assert send(served, body, digest=hashlib.sha256(b"other").hexdigest()) == 405
    assert served.target.read_bytes() == BODY
    assert served.left() == ["capture.tar.gz"]


def test_the_ramdisks_own_client_sends_every_byte(served: Served, body: Path, tmp_path: Path) -> None:
    """The function `put` of the ramdisks, with the shell and the nc that they have there."""
    if shutil.which("busybox") is None:
        pytest.skip("busybox is not installed")
    put = put_of_the_ramdisk(tmp_path)
    (tmp_path / "capture").write_bytes(BODY)
    url = f"http://127.0.0.1:{served.port}{PATH}"
    sending = f"put {url} {tmp_path}/capture {DIGEST}"
    script = f"SEND_S=10\n{put}\n{sending}\nhead -n 1 {tmp_path}/answer"
    done = subprocess.run(["busybox", "sh", "-c", script], capture_output=True, check=False, timeout=120)
    assert done.stdout.startswith(b"HTTP/1.1 201 "), (done.stdout, done.stderr)
    assert served.target.read_bytes() == BODY


def test_a_child_that_ends_meanwhile_does_not_stop_the_ramdisk_from_sending(
    served: Served, body: Path, tmp_path: Path
) -> None:
    """It interrupts the opening of the pipe to nc, which is the longer the slower the board is."""
    if shutil.which("busybox") is None:
        pytest.skip("busybox is not installed")
    put = put_of_the_ramdisk(tmp_path)
    late = put.replace('    timeout "$SEND_S" nc', '    sleep 0.2 &\n    (sleep 1; exec timeout "$SEND_S" nc')
    late = late.replace("2>&1 &\n", "2>&1) &\n")
    assert late.count("sleep") == 2
    (tmp_path / "capture").write_bytes(BODY)
    sending = f"put http://127.0.0.1:{served.port}{PATH} {tmp_path}/capture {DIGEST}"
    script = f"SEND_S=10\n{late}\n{sending}\nhead -n 1 {tmp_path}/answer"
    done = subprocess.run(["busybox", "sh", "-c", script], capture_output=True, check=False, timeout=60)
    assert done.stdout.startswith(b"HTTP/1.1 201 "), (done.stdout, done.stderr)
    assert served.target.read_bytes() == BODY
    assert b"nterrupted" in done.stderr, "this is what was to be tried"


def put_of_the_ramdisk(folder: Path) -> str:
    """Return the function `put` of the ramdisks, its files in a folder."""
    common = asset("probes/linux/common.sh").read_text()
    start = common.index("put() {")
    return common[start : common.index("\n}\n", start) + 3].replace("/tmp/", f"{folder}/")  # noqa: S108


@pytest.mark.parametrize(
    ("options", "changes", "status"),
    [
        ((), {"digest": "ab" * 32}, 422),
        ((), {"digest": None}, 400),
        ((), {"digest": "x"}, 400),
        ((), {"path": "/upload/0123456789abcdee"}, 405),
        ((), {"path": "/upload/"}, 405),
        (("-X", "DELETE"), {}, 405),
        (("-X", "PATCH"), {}, 405),
        (("-H", "Transfer-Encoding: chunked"), {"digest": "ab" * 32}, 422),
    ],
)
def test_everything_else_is_refused_and_leaves_nothing(
    served: Served, body: Path, options: tuple[str, ...], changes: dict[str, str], status: int
) -> None:
    assert send(served, body, *options, **changes, asks_first=status != 422) == status
    assert served.left() == []
    assert "http.upload" not in served.kinds()
    # A refusal closes nothing: the board tries again.
    assert send(served, body) == 201


@pytest.mark.parametrize("options", [(), ("-H", "Transfer-Encoding: chunked")])
def test_too_much_is_refused_before_it_fills_the_disk(
    served: Served, tmp_path: Path, options: tuple[str, ...]
) -> None:
    large = tmp_path / "large"
    large.write_bytes(bytes(LIMIT + 1))
    status = send(served, large, *options, digest=hashlib.sha256(bytes(LIMIT + 1)).hexdigest())
    assert status in (413, 0)  # curl may still be sending when the connection closes
    assert served.wait_kind("http.error").data["status"] == 413
    assert served.left() == []


def test_strangers_may_not_send(served: Served, body: Path) -> None:
    served.strangers.add("127.0.0.1")
    assert send(served, body, asks_first=True) == 405
    assert served.left() == []


def half_sent(served: Served) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", served.port), timeout=60)
    head = (
        f"PUT {PATH} HTTP/1.1\r\nHost: x\r\n{SHA256_HEADER}: {DIGEST}\r\nContent-Length: {len(BODY)}\r\n\r\n"
    )
    connection.sendall(head.encode() + BODY[:1000])
    served.wait_kind("http.upload_start")
    return connection


def test_a_cut_upload_is_told_and_can_be_repeated(served: Served, body: Path) -> None:
    half_sent(served).close()
    assert served.wait_kind("http.error").data["status"] == 400
    assert served.left() == []
    assert send(served, body) == 201


def test_two_at_a_time_are_not_mixed(served: Served, body: Path) -> None:
    first = half_sent(served)
    assert send(served, body, asks_first=True) == 409
    first.sendall(BODY[1000:])
    assert first.recv(100).startswith(b"HTTP/1.1 201")
    first.close()
    assert served.target.read_bytes() == BODY


def test_silence_frees_the_place(tmp_path: Path, body: Path) -> None:
    served = Served(tmp_path, silence_s=1.0)
    silent = half_sent(served)
    assert served.wait_kind("http.error").data["status"] == 408
    assert send(served, body) == 201
    silent.close()
    served.close()


def test_a_file_that_cannot_be_written_is_an_answer(tmp_path: Path, body: Path) -> None:
    full = os.open("/dev/full", os.O_RDONLY)
    body.write_bytes(b"sent whole before it is refused")
    served = Served(tmp_path, file=full)
    try:
        assert send(served, body) == 507
    finally:
        served.close()
