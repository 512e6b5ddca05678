"""Serial over LAN from the BMC's side: packets, repetitions, back-pressure, with a clock the test turns."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator

import pytest

from bringup.twin.bmc.request import Privilege
from bringup.twin.bmc.sol import COLLECT_LIMIT, RETRY_INTERVAL_S, TRIES, SolPayload


class Listener:
    """A session that writes down the SOL payloads it is sent."""

    managed_id, username, sockaddr = b"\x01\x02\x03\x04", "admin", ("127.0.0.1", 40000)
    privilege = max_privilege = Privilege.ADMINISTRATOR

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def close(self) -> None:
        raise AssertionError("SOL ends no session")

    def send_sol(self, payload: bytes) -> None:
        self.sent.append(payload)


class SolBench:
    def __init__(self) -> None:
        self.now = 0.0
        self.typed: queue.Queue[bytes] = queue.Queue()
        self.sol = SolPayload(
            self.typed.put, lambda: self.typed.put(b"<break>"), wake=lambda: None, now=lambda: self.now
        )
        self.listener = Listener()
        self.sol.activate(self.listener)

    @property
    def received(self) -> int:
        return sum(len(payload) - 4 for payload in self.listener.sent)

    def acknowledge(self, count: int, status: int = 0) -> None:
        self.sol.received(self.listener, bytes([0, self.listener.sent[-1][0], count, status]))


@pytest.fixture
def sol() -> Iterator[SolBench]:
    bench = SolBench()
    yield bench
    bench.sol.close()


def test_output_without_a_session_is_discarded(sol: SolBench) -> None:
    sol.sol.deactivate()
    assert not sol.sol.output(b"lost")


def test_one_packet_is_under_way_at_a_time(sol: SolBench) -> None:
    sol.sol.output(b"x" * 450)
    sol.sol.pump()
    sol.sol.pump()
    assert [len(payload) - 4 for payload in sol.listener.sent] == [200]
    sol.acknowledge(200)
    sol.acknowledge(200)
    sol.acknowledge(50)
    assert [payload[0] for payload in sol.listener.sent] == [1, 2, 3]
    assert sol.received == 450


def test_after_the_retries_a_packet_is_given_up_but_the_console_stays_owned(sol: SolBench) -> None:
    sol.sol.output(b"hello")
    for _ in range(TRIES + 1):
        sol.sol.pump()
        sol.now += RETRY_INTERVAL_S
    assert sol.listener.sent == [b"\x01\x00\x00\x00hello"] * TRIES
    assert sol.sol.owner is sol.listener
    assert not sol.sol.output(b"into the void")
    sol.sol.received(sol.listener, bytes([1, 0, 0, 0]) + b"back")
    assert sol.sol.output(b"again")


def test_what_was_not_accepted_is_sent_again_in_a_new_packet(sol: SolBench) -> None:
    sol.sol.output(b"abcdef")
    sol.sol.pump()
    sol.acknowledge(2)
    assert sol.listener.sent[-1] == b"\x02\x00\x00\x00cdef"


def test_a_console_without_room_is_asked_again_later(sol: SolBench) -> None:
    sol.sol.output(b"abc")
    sol.sol.pump()
    sol.acknowledge(0, status=0x40)
    assert len(sol.listener.sent) == 1
    sol.now += RETRY_INTERVAL_S
    sol.sol.pump()
    assert sol.listener.sent[-1] == b"\x02\x00\x00\x00abc"


def test_a_repeated_packet_is_typed_once_and_acknowledged_twice(sol: SolBench) -> None:
    for _ in range(2):
        sol.sol.received(sol.listener, bytes([5, 0, 0, 0]) + b"ls\r")
    assert sol.listener.sent == [b"\x00\x05\x03\x00"] * 2
    sol.sol.received(sol.listener, bytes([6, 0, 0, 0]) + b"next")
    assert [sol.typed.get(timeout=30) for _ in range(2)] == [b"ls\r", b"next"]


def test_a_break_keeps_its_place_between_the_bytes(sol: SolBench) -> None:
    sol.sol.received(sol.listener, bytes([1, 0, 0, 0]) + b"a")
    sol.sol.received(sol.listener, bytes([2, 0, 0, 0x10]))
    sol.sol.received(sol.listener, bytes([3, 0, 0, 0]) + b"b")
    assert [sol.typed.get(timeout=30) for _ in range(3)] == [b"a", b"<break>", b"b"]


def test_a_uart_that_does_not_read_is_reported_as_no_room() -> None:
    blocked = threading.Event()
    console = SolPayload(lambda _: blocked.wait(5), lambda: None, wake=lambda: None, now=lambda: 0.0)
    listener = Listener()
    console.activate(listener)
    for number in range(100):
        console.received(listener, bytes([number % 15 + 1, 0, 0, 0]) + b"x" * 10)
    assert listener.sent[-1][2:] == b"\x00\x40"
    blocked.set()
    console.close()


def test_the_victim_is_told_that_the_console_is_taken(sol: SolBench) -> None:
    sol.sol.received(sol.listener, bytes([7, 0, 0, 0]) + b"x")
    sol.sol.deactivate()
    assert sol.listener.sent[-1] == bytes([0, 7, 0, 0x50])
    assert sol.sol.owner is None


def test_a_packet_of_another_session_is_ignored(sol: SolBench) -> None:
    stranger = Listener()
    sol.sol.received(stranger, bytes([1, 0, 0, 0]) + b"rm\r")
    assert stranger.sent == []


def test_collected_output_is_bounded_and_kept_while_the_console_listens(sol: SolBench) -> None:
    results: list[bool] = []
    writer = threading.Thread(
        target=lambda: results.extend(sol.sol.output(b"y" * 4096) for _ in range(10)), daemon=True
    )
    writer.start()
    writer.join(timeout=0.3)
    assert writer.is_alive(), "the UART waits"
    assert len(results) == COLLECT_LIMIT // 4096
    deadline = time.monotonic() + 30
    while sol.received < 10 * 4096 and time.monotonic() < deadline:
        sol.sol.pump()
        if sol.listener.sent:
            sol.acknowledge(200)
    writer.join(timeout=30)
    assert results == [True] * 10
