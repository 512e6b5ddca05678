"""The TFTP server against hostile and odd packets, and against curl as an independent client."""

from __future__ import annotations

import itertools
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bringup.base.errors import BringupError, PortBusyError
from bringup.base.events import Event
from bringup.netboot import tftp
from bringup.netboot.catalog import Catalog, hold
from bringup.netboot.spec import ServedFile
from bringup.netboot.tftp import SESSIONS_PER_CLIENT_MAX, TftpService, accepted_options
from tests.doubles.netboot import OnlyClient

CONTENT = bytes(range(256)) * 9  # 2304 bytes: 4.5 blocks of 512
REPLY_S = 60.0
SILENCE_S = 0.15


class Served:
    """A running server, what it told, and its files on disk."""

    def __init__(self, folder: Path, strangers: tuple[str, ...] = ()) -> None:
        root = folder / "root"
        root.mkdir()
        (folder / "secret").write_bytes(b"secret")
        self.file = root / "a.txt"
        self.file.write_bytes(CONTENT)
        self.exact = root / "exact"
        self.exact.write_bytes(bytes(1024))
        self.gone = root / "gone"
        files = (
            ServedFile("/a.txt", self.file, "kernel", len(CONTENT)),
            ServedFile("/sub/a.txt", self.file, "other", len(CONTENT)),
            ServedFile("/exact", self.exact, "module", 1024),
            ServedFile("/empty", _file(root / "empty", b""), "other", 0),
            ServedFile("/gone", self.gone, "other", 10),
            ServedFile("/grown", _file(root / "grown", b"longer"), "other", 3),
            ServedFile("/folder", root, "other", 4096),
        )
        self.root = root
        self.events: list[Event] = []
        catalog = Catalog(hold(file) for file in files)
        clients = OnlyClient(catalog, self.events.append, strangers)
        self.service = TftpService(clients, "127.0.0.1", 0)
        self.thread = threading.Thread(target=self.service.serve, daemon=True)
        self.thread.start()

    def told(self, kind: str) -> list[Event]:
        return [event for event in list(self.events) if event.kind == kind]

    def wait_told(self, kind: str, timeout_s: float = 60.0) -> Event:
        deadline = time.monotonic() + timeout_s
        while not (found := self.told(kind)):
            assert time.monotonic() < deadline, f"no {kind} in {[e.kind for e in self.events]}"
            time.sleep(0.01)
        return found[-1]

    def close(self) -> None:
        self.service.stop()
        self.thread.join(3)
        assert not self.thread.is_alive()


def _file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    server = Served(tmp_path)
    yield server
    server.close()


def rrq(name: bytes, mode: bytes = b"octet", opcode: int = 1, **options: str) -> bytes:
    packet = struct.pack("!H", opcode) + name + b"\0" + mode + b"\0"
    for key, value in options.items():
        packet += key.encode() + b"\0" + value.encode() + b"\0"
    return packet


def ask(port: int, packet: bytes, timeout_s: float = REPLY_S) -> bytes | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout_s)
        sock.sendto(packet, ("127.0.0.1", port))
        try:
            reply, peer = sock.recvfrom(70000)
        except TimeoutError:
            return None
        # Ends the session at once, so that it does not resend into the next probe.
        sock.sendto(struct.pack("!HH", 5, 8) + b"done\0", peer)
        return reply


def still_serves(served: Served) -> None:
    assert ask(served.service.port, rrq(b"a.txt")) == b"\0\3\0\1" + CONTENT[:512]
    assert served.file.read_bytes() == CONTENT


def oack(**options: str) -> bytes:
    return b"\0\6" + b"".join(f"{key}\0{value}\0".encode() for key, value in options.items())


FIRST_DATA = b"\0\3\0\1" + CONTENT[:512]
NOT_FOUND = b"\0\5\0\1"
REFUSED = b"\0\5\0\2"

ANSWERED = {
    "many options": (
        rrq(b"a.txt", tsize="0", blksize="1428", timeout="3", windowsize="16"),
        oack(blksize="1428", tsize="2304"),
    ),
    "tsize": (rrq(b"a.txt", tsize="0"), oack(tsize="2304")),
    "timeout": (rrq(b"a.txt", timeout="1"), FIRST_DATA),
    "windowsize": (rrq(b"a.txt", windowsize="4"), FIRST_DATA),
    "unknown option": (rrq(b"a.txt", frobnicate="1"), FIRST_DATA),
    "no options": (rrq(b"a.txt"), FIRST_DATA),
    "upper case": (rrq(b"a.txt", BLKSIZE="1428"), oack(blksize="1428")),
    "largest": (rrq(b"a.txt", blksize="65464"), oack(blksize="65464")),
    "too large": (rrq(b"a.txt", blksize="70000"), oack(blksize="65464")),
    "too small": (rrq(b"a.txt", blksize="4"), FIRST_DATA),
    "blksize abc": (rrq(b"a.txt", blksize="abc"), FIRST_DATA),
    "blksize with a sign": (rrq(b"a.txt", blksize="-1428", tsize="0"), oack(tsize="2304")),
    "blksize in foreign digits": (rrq(b"a.txt", blksize="\u0661\u0664"), FIRST_DATA),
    "blksize of many digits": (rrq(b"a.txt", blksize="9" * 400), FIRST_DATA),
    "tsize abc": (rrq(b"a.txt", tsize="abc"), oack(tsize="2304")),
    "name with the end of DHCP's options": (rrq(b"a.txt\xff"), FIRST_DATA),
    "not ASCII": (rrq(b"\xff\xfe"), NOT_FOUND),
    "netascii": (rrq(b"a.txt", b"netascii"), FIRST_DATA),
    "OCTET": (rrq(b"a.txt", b"OCTET"), FIRST_DATA),
    "leading slash": (rrq(b"/sub/a.txt"), FIRST_DATA),
    "empty file": (rrq(b"empty"), b"\0\3\0\1"),
    "parent": (rrq(b"../secret"), NOT_FOUND),
    "parent twice": (rrq(b"sub/../../secret"), NOT_FOUND),
    "absolute": (rrq(b"/etc/passwd"), NOT_FOUND),
    "two slashes": (rrq(b"//a.txt"), NOT_FOUND),
    "backslash": (rrq(b"sub\\a.txt"), NOT_FOUND),
    "missing": (rrq(b"nothing"), NOT_FOUND),
    "no name": (rrq(b""), NOT_FOUND),
    "not of this boot": (rrq(b"/exact/../a.txt"), NOT_FOUND),
    "vanished": (rrq(b"gone"), REFUSED),
    "grown": (rrq(b"grown"), REFUSED),
    "directory": (rrq(b"folder"), REFUSED),
    "write new": (rrq(b"new", opcode=2), REFUSED),
    "write existing": (rrq(b"a.txt", opcode=2), REFUSED),
}

UNANSWERED = {
    "nothing": b"",
    "one byte": b"\0",
    "two bytes": b"\0\1",
    "no terminator": b"\0\1a.txt",
    "odd options": rrq(b"a.txt") + b"blksize\0",
    "empty option": rrq(b"a.txt") + b"\0\0",
    "opcode 9": b"\0\x09a.txt\0octet\0",
    "an ACK": b"\0\4\0\1",
    "an ERROR": b"\0\5\0\0\0",
    "code 0": b"\0\5\0",
}


@pytest.mark.parametrize("name", ANSWERED)
def test_answer(served: Served, name: str) -> None:
    packet, wanted = ANSWERED[name]
    reply = ask(served.service.port, packet)
    assert reply is not None
    assert reply[: len(wanted)] == wanted
    assert wanted[:2] != b"\0\6" or reply == wanted  # an OACK carries nothing that was not asked for
    still_serves(served)
    assert not (served.root / "new").exists()


@pytest.mark.parametrize("name", UNANSWERED)
def test_silence_and_life(served: Served, name: str) -> None:
    assert ask(served.service.port, UNANSWERED[name], SILENCE_S) is None
    still_serves(served)


def test_symbolic_link_put_into_the_folder_is_not_served(served: Served) -> None:
    (served.root / "link").symlink_to(served.root.parent / "secret")
    reply = ask(served.service.port, rrq(b"link"))
    assert reply is not None and reply[:4] == NOT_FOUND


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(packet=st.one_of(st.binary(max_size=600), st.binary(max_size=60).map(lambda rest: b"\0\1" + rest)))
def test_random_packets(served: Served, packet: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(packet, ("127.0.0.1", served.service.port))
    still_serves(served)


def test_flood_of_requests_leaves_room_for_others(served: Served) -> None:
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(200)]
    try:
        for sock in sockets:
            sock.sendto(rrq(b"a.txt"), ("127.0.0.1", served.service.port))
        time.sleep(0.2)
        assert len(served.service._sessions) <= SESSIONS_PER_CLIENT_MAX
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.2", 0))
            other.settimeout(REPLY_S)
            other.sendto(rrq(b"a.txt"), ("127.0.0.1", served.service.port))
            assert other.recv(600) == FIRST_DATA
    finally:
        for sock in sockets:
            sock.close()


def test_packets_of_others_do_not_touch_a_session(served: Served) -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as foreign,
    ):
        sock.settimeout(REPLY_S)
        sock.sendto(rrq(b"a.txt"), ("127.0.0.1", served.service.port))
        data, session = sock.recvfrom(600)
        for packet in (b"\0\5\0\0stop\0", b"\0\4\0\1"):
            foreign.sendto(packet, session)
        sock.sendto(b"\0\4\0\1", session)
        assert data == FIRST_DATA
        assert sock.recv(600) == b"\0\3\0\2" + CONTENT[512:1024]


def test_lost_packet_is_sent_again(served: Served) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(REPLY_S)
        sock.sendto(rrq(b"a.txt"), ("127.0.0.1", served.service.port))
        assert sock.recv(600) == FIRST_DATA
        assert sock.recv(600) == FIRST_DATA


def test_repeated_ack_after_a_loss_gets_the_block_again(served: Served) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(REPLY_S)
        sock.sendto(rrq(b"a.txt"), ("127.0.0.1", served.service.port))
        _, session = sock.recvfrom(600)
        sock.sendto(b"\0\4\0\1", session)
        for _ in range(2):  # the answer, and the server's own second try: both "lost"
            assert sock.recv(600)[:4] == b"\0\3\0\2"
        sock.sendto(b"\0\4\0\1", session)
        assert sock.recv(600) == b"\0\3\0\2" + CONTENT[512:1024]
        sock.sendto(b"\0\4\0\2", session)
        assert sock.recv(600)[:4] == b"\0\3\0\3"


def test_control_characters_in_a_name_stay_out_of_events(served: Served) -> None:
    ask(served.service.port, rrq(b"\x1b]0;title\x07" + b"a" * 300))
    event = served.wait_told("tftp.error")
    assert "\x1b" not in event.text + event.data["path"]
    assert len(event.data["path"]) == 200


def test_stranger_hears_nothing(tmp_path: Path) -> None:
    server = Served(tmp_path, strangers=("127.0.0.1",))
    try:
        assert ask(server.service.port, rrq(b"a.txt"), SILENCE_S) is None
        assert server.events == []
    finally:
        server.close()


def test_a_board_that_was_reset_asks_anew_from_the_same_port(served: Served) -> None:
    # Option ROMs ask from port 2070 always.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(REPLY_S)
        sock.bind(("127.0.0.1", 0))
        sock.sendto(rrq(b"a.txt"), ("127.0.0.1", served.service.port))
        _, session = sock.recvfrom(600)
        sock.sendto(b"\0\4\0\1", session)
        assert sock.recv(600)[:4] == b"\0\3\0\2"
        sock.sendto(rrq(b"a.txt"), ("127.0.0.1", served.service.port))
        data, other = sock.recvfrom(600)
        assert (data, other != session) == (FIRST_DATA, True)


def test_a_request_sent_twice_is_one_session(served: Served) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(REPLY_S)
        for _ in range(2):
            sock.sendto(rrq(b"a.txt"), ("127.0.0.1", served.service.port))
        assert sock.recv(600) == FIRST_DATA
        sock.settimeout(SILENCE_S)
        with pytest.raises(TimeoutError):
            sock.recv(600)


def test_events_of_a_transfer(served: Served) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(REPLY_S)
        sock.sendto(rrq(b"exact"), ("127.0.0.1", served.service.port))
        for number, size in (
            (1, 512),
            (2, 512),
            (3, 0),
        ):  # a multiple of the block size ends with an empty one
            data, session = sock.recvfrom(600)
            assert (data[:4], len(data) - 4) == (struct.pack("!HH", 3, number), size)
            sock.sendto(struct.pack("!HH", 4, number), session)
    done = served.wait_told("tftp.done")
    assert {**done.data, "seconds": 0} == {"path": "/exact", "bytes": 1024, "seconds": 0, "role": "module"}
    assert [event.kind for event in served.events] == ["tftp.start", "tftp.done"]
    assert served.events[0].data["client"] == "127.0.0.1"


def test_asking_for_the_size_only_is_no_event(served: Served) -> None:
    # UEFI firmware does this before every download.
    assert ask(served.service.port, rrq(b"a.txt", tsize="0")) == oack(tsize="2304")
    time.sleep(0.1)
    assert served.events == []


def test_breaking_off_is_told_as_closed(served: Served) -> None:
    assert ask(served.service.port, rrq(b"a.txt")) == FIRST_DATA
    assert served.wait_told("tftp.closed").data["path"] == "/a.txt"
    assert served.told("tftp.error") == []


def test_refusals_are_told_with_their_reason(served: Served) -> None:
    ask(served.service.port, rrq(b"nothing"))
    assert served.wait_told("tftp.error").data == {"path": "nothing", "reason": "not a file of this boot"}
    served.events.clear()
    ask(served.service.port, rrq(b"grown"))
    assert "6 bytes, not 3" in served.wait_told("tftp.error").data["reason"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("blksize", [512, 1428, 65464])
def test_curl_fetches_identical_bytes(tmp_path: Path, blksize: int) -> None:
    content = tmp_path / "big"
    size = 70000 * 8 if blksize == 512 else 3_000_001
    pattern = b"".join(struct.pack("!I", number) for number in range(size // 4 + 1))
    content.write_bytes(pattern[:size])
    events: list[Event] = []
    catalog = Catalog([hold(ServedFile("/big", content, "module", size))])
    service = TftpService(OnlyClient(catalog, events.append), "127.0.0.1", 0)
    thread = threading.Thread(target=service.serve, daemon=True)
    thread.start()
    try:
        targets = [tmp_path / f"copy{number}" for number in range(3)]
        command = ["curl", "-sS", "--max-time", "30", "--tftp-blksize", str(blksize)]
        url = f"tftp://127.0.0.1:{service.port}/big"
        clients = [subprocess.Popen([*command, "-o", str(target), url]) for target in targets]
        assert [client.wait(30) for client in clients] == [0, 0, 0]
        assert all(target.read_bytes() == content.read_bytes() for target in targets)
    finally:
        service.stop()
        thread.join(3)
    assert [event.data["bytes"] for event in events if event.kind == "tftp.done"] == [size] * 3


def test_block_numbers_roll_over(tmp_path: Path) -> None:
    size = 8 * 65540
    content = tmp_path / "many"
    content.write_bytes(bytes(size))
    catalog = Catalog([hold(ServedFile("/many", content, "module", size))])
    service = TftpService(OnlyClient(catalog, lambda _: None), "127.0.0.1", 0)
    thread = threading.Thread(target=service.serve, daemon=True)
    thread.start()
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(REPLY_S)
            sock.sendto(rrq(b"many", blksize="8"), ("127.0.0.1", service.port))
            reply, session = sock.recvfrom(100)
            assert reply == oack(blksize="8")
            sock.connect(session)
            sock.send(b"\0\4\0\0")
            for number in itertools.count(1):
                data = sock.recv(100)
                assert data[:4] == struct.pack("!HH", 3, number % 65536)
                sock.send(struct.pack("!HH", 4, number % 65536))
                if len(data) < 12:
                    break
            assert number == 65541
    finally:
        service.stop()
        thread.join(3)


def test_port_that_is_taken_names_the_port(served: Served) -> None:
    with pytest.raises(PortBusyError, match=f"port {served.service.port} of 127.0.0.1: it is taken"):
        TftpService(OnlyClient(Catalog([]), lambda _: None), "127.0.0.1", served.service.port)


def test_another_tftpy_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tftp.tftpy, "__version__", "0.9.0")
    with pytest.raises(BringupError, match=r"release 0\.9\.0"):
        tftp.check_tftpy()


@given(
    asked=st.dictionaries(
        st.sampled_from(["blksize", "tsize", "timeout", "windowsize"]), st.integers().map(str)
    ),
    size=st.integers(0, 2**40),
)
def test_options_are_never_widened(asked: dict[str, str], size: int) -> None:
    accepted = accepted_options(asked, size)
    in_range = 8 <= int(asked.get("blksize", "0")) < 10**9
    assert set(accepted) == set(asked) & ({"blksize", "tsize"} if in_range else {"tsize"})
    assert 8 <= int(accepted.get("blksize", "8")) <= min(65464, max(8, int(asked.get("blksize", "8"))))
    assert accepted.get("tsize", str(size)) == str(size)
