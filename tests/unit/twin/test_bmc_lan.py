"""Login and sessions of the BMC against a hand-written console, with a clock the test turns."""

from __future__ import annotations

import hashlib
import hmac
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.twin.bmc.lan import INACTIVITY_S, LOGIN_S, MAX_SESSIONS, LanServer, LanSession
from bringup.twin.bmc.rakp import Account, Status
from bringup.twin.bmc.request import Privilege, Request, Response

GUID = bytes(range(16))
CONSOLE_ID = b"\x11\x22\x33\x44"
ALGORITHMS = {3: (1, 1, 1), 17: (3, 4, 1), 0: (0, 0, 0), 8: (2, 2, 1)}
HASH = {3: hashlib.sha1, 17: hashlib.sha256}
ADMINISTRATOR = 0x14  # name-only lookup


class Bench:
    """A server on a loopback port and a socket that talks to it; `now` is the server's clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.ended: list[LanSession] = []
        self.asked: list[Request] = []
        accounts = [
            Account("admin", "secret", Privilege.ADMINISTRATOR),
            Account("op", "secret", Privilege.OPERATOR),
        ]
        self.server = LanServer(
            ("127.0.0.1", 0),
            accounts,
            (3, 17),
            GUID,
            run=self.run,
            now=lambda: self.now,
            on_sol=lambda *_: None,
            on_end=self.ended.append,
        )
        self.client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.client.connect(("127.0.0.1", self.server.port))
        self.client.settimeout(1)

    def run(self, request: Request) -> Response:
        self.asked.append(request)
        return Response(0)

    def close(self) -> None:
        self.client.close()
        self.server.close()

    def send(self, packet: bytes) -> bytes | None:
        self.client.send(packet)
        self.server.read()
        self.client.setblocking(False)
        try:
            return self.client.recv(1000)
        except BlockingIOError:
            return None

    def step(self, kind: int, payload: bytes) -> bytes | None:
        head = bytes.fromhex("0600ff0706") + bytes([kind]) + bytes(8) + len(payload).to_bytes(2, "little")
        answer = self.send(head + payload)
        if answer is not None:
            assert answer[5] == kind + 1
            assert len(answer) == 16 + int.from_bytes(answer[14:16], "little")
        return None if answer is None else answer[16:]

    def open(self, suite: int = 3) -> bytes:
        records = b"".join(bytes([n, 0, 0, 8, a, 0, 0, 0]) for n, a in enumerate(ALGORITHMS[suite]))
        answer = self.step(0x10, bytes([7, 0, 0, 0]) + CONSOLE_ID + records)
        assert answer is not None
        return answer

    def rakp1(self, managed: bytes, user: bytes, role: int = ADMINISTRATOR) -> bytes:
        head = bytes([8, 0, 0, 0]) + managed + bytes(16) + bytes([role, 0, 0, len(user)])
        answer = self.step(0x12, head + user)
        assert answer is not None
        return answer

    def rakp3(self, managed: bytes, rakp2: bytes, suite: int, password: bytes) -> bytes | None:
        role_and_name = bytes([ADMINISTRATOR, 5]) + b"admin"
        code = hmac.new(password, rakp2[8:24] + CONSOLE_ID + role_and_name, HASH[suite]).digest()
        return self.step(0x14, bytes([9, 0, 0, 0]) + managed + code)

    def login(self, suite: int = 3, password: bytes = b"secret") -> bytes | None:
        managed = self.open(suite)[8:12]
        return self.rakp3(managed, self.rakp1(managed, b"admin"), suite, password)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


@pytest.mark.parametrize(("suite", "code_length"), [(3, 12), (17, 16)])
def test_login_ends_with_the_suites_own_integrity_code(bench: Bench, suite: int, code_length: int) -> None:
    answer = bench.login(suite)
    assert answer is not None
    assert answer[1] == Status.OK
    assert len(answer) == 8 + code_length
    (session,) = bench.server.sessions()
    assert (session.username, session.max_privilege) == ("admin", Privilege.ADMINISTRATOR)
    assert "secret" not in repr(session) + repr(session.handshake)


@pytest.mark.parametrize("suite", [0, 8])
def test_a_suite_not_offered_is_refused(bench: Bench, suite: int) -> None:
    assert bench.open(suite) == bytes([7, Status.NO_SUITE, 0, 0]) + CONSOLE_ID


def test_an_unknown_name_is_refused_in_message_2(bench: Bench) -> None:
    answer = bench.rakp1(bench.open()[8:12], b"nobody")
    assert answer == bytes([8, Status.UNAUTHORIZED_NAME, 0, 0]) + CONSOLE_ID


def test_more_privilege_than_the_user_has_is_refused(bench: Bench) -> None:
    assert bench.rakp1(bench.open()[8:12], b"op")[1] == Status.INVALID_ROLE
    assert bench.rakp1(bench.open()[8:12], b"op", role=0x13)[1] == Status.OK


@pytest.mark.parametrize("suite", [3, 17])
def test_a_wrong_password_is_refused_in_message_4(bench: Bench, suite: int) -> None:
    answer = bench.login(suite, b"wrong")
    assert answer == bytes([9, Status.INVALID_INTEGRITY, 0, 0]) + CONSOLE_ID
    assert bench.server.sessions() == []


def test_a_console_that_dislikes_message_2_leaves_nothing_behind(bench: Bench) -> None:
    managed = bench.open()[8:12]
    bench.rakp1(managed, b"admin")
    assert bench.step(0x14, bytes([9, Status.INVALID_INTEGRITY, 0, 0]) + managed) is None
    assert bench.rakp1(managed, b"admin")[1] == Status.INVALID_SESSION


def test_message_3_without_message_1_is_refused(bench: Bench) -> None:
    managed = bench.open()[8:12]
    answer = bench.rakp3(managed, bytes(40), 3, b"secret")
    assert answer is not None
    assert answer[1] == Status.INVALID_SESSION


def test_sessions_end_after_a_minute_of_silence_and_logins_earlier(bench: Bench) -> None:
    bench.login()
    bench.open()
    bench.now += LOGIN_S + 1
    bench.server.expire()
    assert [session.established for session in bench.ended] == [False]
    bench.now += INACTIVITY_S
    bench.server.expire()
    assert bench.server.sessions() == []
    assert len(bench.ended) == 2


def test_sessions_are_limited(bench: Bench) -> None:
    for _ in range(MAX_SESSIONS):
        assert bench.open()[1] == Status.OK
    assert bench.open()[1] == Status.NO_RESOURCES


def test_presence_ping_is_answered(bench: Bench) -> None:
    pong = bench.send(bytes.fromhex("0600ff06 000011be 80 2a 00 00"))
    assert pong is not None
    assert pong[8:10] == b"\x40\x2a"
    assert pong[20] & 0x80, "IPMI supported"


@given(
    start=st.sampled_from([b"", b"\x06\x00\xff\x07", b"\x06\x00\xff\x07\x06\x10", b"\x06\x00\xff\x06"]),
    rest=st.binary(max_size=80),
)
def test_any_datagram_is_survived(start: bytes, rest: bytes) -> None:
    bench = Bench()
    try:
        bench.send(start + rest)
        assert bench.open()[1] == Status.OK
    finally:
        bench.close()


@given(st.sampled_from([0x12, 0x14]), st.binary(max_size=60))
def test_any_login_step_is_survived(kind: int, tail: bytes) -> None:
    bench = Bench()
    try:
        managed = bench.open()[8:12]
        bench.step(kind, bytes(4) + managed + tail)
        assert bench.open()[1] == Status.OK
    finally:
        bench.close()
