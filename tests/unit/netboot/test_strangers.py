"""Strangers cost nothing: floods, slow clients and mutated packets, beside a board that is served."""

from __future__ import annotations

import json
import random
import resource
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bringup.netboot.dhcp import LogReader

SIZE = 1_000_000
PACKETS = 10_000
GROWTH_MAX_KIB = 8 * 1024

# The server alone in a process, so that its memory and its descriptors are its own.
SERVER = """
import asyncio, json, resource, sys, threading
from pathlib import Path
from bringup.netboot.catalog import Catalog, hold
from bringup.netboot.clients import Client
from bringup.netboot.door import Patience
from bringup.netboot.http import HttpService
from bringup.netboot.spec import ServedFile
from bringup.netboot.tftp import TftpService
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
catalog = Catalog([hold(ServedFile("/kernel", Path(sys.argv[1]), "kernel", int(sys.argv[2])))])
board = Client((), "127.0.0.1", catalog, lambda event: None)
class Clients:
    def of(self, address):
        return board if address == "127.0.0.1" else None
    def tell(self, event):
        pass
clients = Clients()
async def main():
    patience = Patience(first_s=1.0, next_s=1.0, stall_s=1.0)
    http = HttpService(clients, "127.0.0.1", 0, patience)
    await http.start()
    tftp = TftpService(clients, "127.0.0.1", 0)
    threading.Thread(target=tftp.serve, daemon=True).start()
    print(json.dumps([http.port, tftp.port]), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
asyncio.run(main())
"""


class Server:
    """The servers in a process of their own, with 256 descriptors."""

    def __init__(self, folder: Path) -> None:
        self.content = random.Random(1).randbytes(SIZE)
        (folder / "kernel").write_bytes(self.content)
        command = [sys.executable, "-P", "-c", SERVER, str(folder / "kernel"), str(SIZE)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.http, self.tftp = json.loads(self.process.stdout.readline())

    @property
    def kib(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))

    @property
    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def serves_the_board(self) -> bool:
        """Fetch the whole file as the board, by HTTP and the first block by TFTP."""
        command = ["curl", "-sS", "--max-time", "60", f"http://127.0.0.1:{self.http}/kernel"]
        done = subprocess.run(command, capture_output=True, timeout=90)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(60)
            sock.sendto(b"\0\1kernel\0octet\0", ("127.0.0.1", self.tftp))
            first, peer = sock.recvfrom(1000)
            sock.sendto(b"\0\5\0\0done\0", peer)
        return done.stdout == self.content and first[4:] == self.content[:512]

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    # This process plays the many strangers.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    made = Server(tmp_path)
    yield made
    made.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connection(server: Server, source: str, data: bytes = b"") -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", server.http), 60, source_address=(source, 0))
    if data:
        sock.send(data)
    return sock


def is_closed(sock: socket.socket, within_s: float = 60.0) -> bool:
    """Return whether the server has ended the connection."""
    sock.settimeout(within_s)
    try:
        while sock.recv(65536):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("said", [b"", b"GET /kernel HTTP/1.1\r\nHost: x\r\nX-"])
def test_connections_that_ask_nothing_leave_room_for_the_board(server: Server, said: bytes) -> None:
    held = [connection(server, f"127.0.0.{2 + number % 50}", said) for number in range(400)]
    try:
        assert server.serves_the_board()
        assert server.descriptors < 64
    finally:
        for sock in held:
            sock.close()


def test_a_request_that_trickles_in_ends_with_its_time(server: Server) -> None:
    sock = connection(server, "127.0.0.2", b"GET /kernel HTTP/1.1\r\n")
    began_s = time.monotonic()
    try:
        while time.monotonic() < began_s + 60:
            sock.send(b"X")
            time.sleep(0.1)
        raise AssertionError("it is still held after 60 s")
    except ConnectionError:
        assert time.monotonic() - began_s >= 0.9
    finally:
        sock.close()


def test_who_takes_nothing_is_let_go(server: Server) -> None:
    # As the board's own address: only it is given a file at all. More than the kernel's buffers hold.
    before = server.descriptors
    held = []
    for _ in range(10):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sock.connect(("127.0.0.1", server.http))
        sock.send(b"GET /kernel HTTP/1.1\r\nHost: x\r\n\r\n" * 30)
        held.append(sock)
    deadline_s = time.monotonic() + 60
    while server.descriptors < before + 10 and time.monotonic() < deadline_s:
        time.sleep(0.02)
    while server.descriptors > before and time.monotonic() < deadline_s + 10:
        time.sleep(0.1)
    assert server.descriptors <= before
    for sock in held:
        sock.close()


def test_a_connection_that_stays_idle_after_its_answer_ends(server: Server) -> None:
    sock = connection(server, "127.0.0.2", b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
    assert is_closed(sock)
    sock.close()


def mutated(rng: random.Random, packet: bytes) -> bytes:
    """Return a packet with bytes changed, cut out, doubled or added."""
    data = bytearray(packet)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(4)
        if kind == 0 and data:
            data[at % len(data)] = rng.randrange(256)
        elif kind == 1:
            del data[at : at + rng.randint(1, 20)]
        elif kind == 2:
            data[at:at] = data[at : at + rng.randint(1, 40)]
        else:
            data[at:at] = rng.randbytes(rng.randint(1, 30))
    return bytes(data)


TFTP = (
    b"\0\1kernel\0octet\0blksize\x001428\0tsize\x000\0",
    b"\0\2kernel\0octet\0",
    b"\0\4\0\1",
    b"\0\5\0\0stop\0",
)
HTTP = (
    b"GET /kernel HTTP/1.1\r\nHost: 127.0.0.1\r\nRange: bytes=0-9\r\n\r\n",
    b"PUT /kernel HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
    b"HEAD /kernel HTTP/1.0\r\n\r\nGET / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
)


def send_tftp(server: Server, packet: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(packet, ("127.0.0.1", server.tftp))


def send_http(server: Server, packet: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.http), 60) as sock:
        # A reset at the end, or this host would be out of ports.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.send(packet)


@pytest.mark.slow
@pytest.mark.parametrize(("send", "kinds"), [(send_tftp, TFTP), (send_http, HTTP)])
def test_mutated_packets(
    server: Server, send: Callable[[Server, bytes], None], kinds: tuple[bytes, ...]
) -> None:
    rng = random.Random(20_261_128)
    for _ in range(500):
        send(server, mutated(rng, rng.choice(kinds)))
    before_kib = server.kib
    for _ in range(PACKETS):
        send(server, mutated(rng, rng.choice(kinds)))
    assert server.process.poll() is None
    # What is under way ends by itself; then the board is served as if nothing had been.
    time.sleep(8)
    assert server.serves_the_board()
    assert server.kib - before_kib < GROWTH_MAX_KIB
    assert server.descriptors < 64


LINES = (
    "dnsmasq-dhcp: 3830 vendor class: PXEClient:Arch:00007:UNDI:003016",
    "dnsmasq-dhcp: 3830 DHCPDISCOVER(br0) 52:54:00:0e:30:10 ",
    "dnsmasq-dhcp: 3830 DHCPACK(br0) 10.55.0.30 52:54:00:0e:30:10 ",
    "dnsmasq-dhcp: 3830 bootfile name: core.0",
    "dnsmasq-dhcp: 3830 sent size:  1 option: 53 message-type  5",
    "dnsmasq-dhcp: 3830 PXE(br0) 52:54:00:0e:30:10 proxy",
)


def test_mutated_lines_of_dnsmasq() -> None:
    rng, reader = random.Random(20_261_128), LogReader()
    for _ in range(PACKETS):
        line = mutated(rng, rng.choice(LINES).encode()).decode("latin-1")
        reader.feed(line)
    reader.flush()
    told = [event for line in LINES[:2] for event in reader.feed(line)]
    assert [event.kind for event in told] == ["dhcp.discover"]
