"""The console's side of SOL: packet by packet, and against the twin's BMC side over a bad network."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bringup.console.sol.protocol import RETRY_AFTER_S, SolProtocol
from bringup.twin.bmc.sol import SolPayload as BmcSide


class Bench:
    """A protocol whose packets, characters and losses are collected."""

    def __init__(self, **options: int) -> None:
        self.sent: list[bytes] = []
        self.got = bytearray()
        self.lost: list[str] = []
        self.done: list[str] = []
        self.protocol = SolProtocol(
            self.sent.append,
            self.got.extend,
            self.lost.append,
            packet_bytes=options.get("packet_bytes", 8),
            last_sequence=options.get("last_sequence", 0),
            missed=lambda: self.got.extend(b"<hole>"),
        )

    def write(self, data: bytes, now: float = 0.0) -> None:
        self.protocol.write(data, lambda: self.done.append("write"), now)


def ack(sequence: int, count: int, status: int = 0) -> bytes:
    return bytes([0, sequence, count, status])


def test_characters_are_acknowledged_and_delivered() -> None:
    bench = Bench()
    bench.protocol.received(b"\x01\x00\x00\x00hello", 0.0)
    assert bench.got == b"hello"
    assert bench.sent == [ack(1, 5)]


def test_a_repeated_packet_is_acknowledged_and_not_delivered_again() -> None:
    bench = Bench()
    for _ in range(3):
        bench.protocol.received(b"\x01\x00\x00\x00hello", 0.0)
    assert bench.got == b"hello"
    assert bench.sent == [ack(1, 5)] * 3


def test_a_repeated_packet_with_more_in_it_gives_only_the_new_characters() -> None:
    bench = Bench()
    bench.protocol.received(b"\x01\x00\x00\x00hello", 0.0)
    bench.protocol.received(b"\x01\x00\x00\x00hello, world", 0.0)
    assert bench.got == b"hello, world"
    assert bench.sent[-1] == ack(1, 12)


def test_a_long_write_goes_out_in_pieces_one_at_a_time() -> None:
    bench = Bench(packet_bytes=4)
    bench.write(b"abcdefghij")
    assert bench.sent == [b"\x01\0\0\0abcd"]
    bench.protocol.received(ack(1, 4), 0.1)
    bench.protocol.received(ack(2, 4), 0.2)
    assert bench.sent[1:] == [b"\x02\0\0\0efgh", b"\x03\0\0\0ij"]
    assert bench.done == []
    bench.protocol.received(ack(3, 2), 0.3)
    assert bench.done == ["write"]


def test_the_tail_of_a_partly_accepted_packet_is_sent_again() -> None:
    bench = Bench()
    bench.write(b"abcdef")
    bench.protocol.received(ack(1, 2), 0.1)
    assert bench.sent[-1] == b"\x02\0\0\0cdef"


def test_after_a_refusal_it_waits_before_it_tries_again() -> None:
    bench = Bench()
    bench.write(b"abcdef")
    bench.protocol.received(ack(1, 0, 0x40), 1.0)
    bench.protocol.tick(1.2)
    assert len(bench.sent) == 1
    bench.protocol.tick(1.6)
    assert bench.sent[-1] == b"\x02\0\0\0abcdef"


def test_characters_for_a_board_that_is_off_vanish() -> None:
    bench = Bench()
    bench.write(b"abc")
    bench.protocol.received(ack(1, 0, 0x60), 0.1)
    assert bench.done == ["write"]
    bench.protocol.tick(100.0)
    assert len(bench.sent) == 1 and not bench.lost


def test_an_acknowledgement_without_a_count_is_taken_for_all() -> None:
    bench = Bench()
    bench.write(b"abc")
    bench.protocol.received(ack(1, 0), 0.1)
    assert bench.done == ["write"]


def test_a_break_keeps_its_place_between_the_characters() -> None:
    bench = Bench()
    bench.write(b"a")
    bench.protocol.send_break(lambda: bench.done.append("break"), 0.0)
    bench.write(b"b")
    for sequence, count in ((1, 1), (2, 0), (3, 1)):
        bench.protocol.received(ack(sequence, count), 0.1)
    assert bench.sent == [b"\x01\0\0\0a", b"\x02\0\0\x10", b"\x03\0\0\0b"]
    assert bench.done == ["write", "break", "write"]


def test_without_acknowledgements_it_repeats_and_then_gives_up() -> None:
    bench = Bench()
    bench.write(b"abc", 0.0)
    now = 0.0
    while not bench.lost and now < 60:
        now += 0.1
        bench.protocol.tick(now)
    assert len(bench.sent) == len(RETRY_AFTER_S)
    assert len(set(bench.sent)) == 1
    assert now == pytest.approx(sum(RETRY_AFTER_S), abs=0.7)
    assert bench.lost == ["the BMC acknowledged nothing for 12 s"]


def test_the_bmcs_farewell_loses_the_console_even_before_anything_was_sent() -> None:
    bench = Bench()
    bench.protocol.received(bytes([0, 0, 0, 0x50]), 0.0)
    assert bench.lost == ["the BMC ended the console"]


def test_sequence_numbers_skip_zero_and_start_where_asked() -> None:
    bench = Bench(last_sequence=14, packet_bytes=1)
    bench.write(b"abc")
    bench.protocol.received(ack(15, 1), 0.0)
    bench.protocol.received(ack(1, 1), 0.0)
    assert [packet[0] for packet in bench.sent] == [15, 1, 2]


def test_text_is_delivered_before_it_is_acknowledged() -> None:
    order: list[str] = []
    protocol = SolProtocol(
        lambda _packet: order.append("acknowledged"),
        lambda _data: order.append("delivered"),
        order.append,
        packet_bytes=8,
    )
    protocol.received(b"\x01\x00\x00\x00hello", 0.0)
    assert order == ["delivered", "acknowledged"]


def test_a_number_that_was_left_out_is_a_hole_before_the_packet() -> None:
    bench = Bench()
    for number in (14, 15, 1, 3, 4):
        bench.protocol.received(bytes([number, 0, 0, 0]) + b"%d " % number, 0.0)
    assert bench.got == b"14 15 1 <hole>3 4 "


def test_a_bmc_that_numbers_in_its_own_way_is_not_taken_for_one_that_loses() -> None:
    bench = Bench()
    for step in range(40):
        bench.protocol.received(bytes([(step * 2) % 15 + 1, 0, 0, 0]) + b"x", 0.0)
    assert bench.got.count(b"<hole>") <= 2
    assert bench.got.count(b"x") == 40


def test_an_overrun_is_told_once_however_often_the_bit_comes() -> None:
    bench = Bench()
    bench.protocol.received(b"\x01\x00\x00\x00one ", 0.0)
    for number in (2, 3):
        bench.protocol.received(bytes([number, 0, 0, 0x08]) + b"more ", 0.0)
    bench.protocol.received(b"\x04\x00\x00\x00good ", 0.0)
    bench.protocol.received(b"\x05\x00\x00\x08bad ", 0.0)
    assert bench.got == b"one <hole>more more good <hole>bad "


def test_a_poke_is_acknowledged_or_forgotten() -> None:
    bench = Bench()

    def poke(now: float) -> None:
        bench.protocol.poke(lambda: bench.done.append("alive"), lambda: bench.done.append("silent"), now)

    poke(0.0)
    assert bench.sent == [b"\x01\0\0\0"]
    bench.protocol.received(ack(1, 0), 0.1)
    assert bench.done == ["alive"]
    poke(1.0)
    now = 1.0
    while len(bench.done) < 2 and now < 20.0:
        now += 0.1
        bench.protocol.tick(now)
    assert bench.done == ["alive", "silent"] and not bench.lost
    # The packet may not have arrived, and then a BMC waits for its number; or it may have.
    bench.write(b"abc", now)
    assert bench.sent[-1] == b"\x02\0\0\0abc"


def test_what_was_withdrawn_is_not_sent_later() -> None:
    bench = Bench()
    mine = bench.done.append
    first, second = (lambda: mine("first")), (lambda: mine("second"))
    bench.protocol.write(b"abc", first, 0.0)
    bench.protocol.write(b"def", second, 0.0)
    bench.protocol.withdraw(first)
    bench.protocol.tick(1.0)
    assert bench.sent[-1] == b"\x02\0\0\0def"
    bench.protocol.received(ack(2, 3), 1.1)
    assert bench.done == ["second"]


def test_the_last_acknowledgement_can_be_repeated() -> None:
    bench = Bench()
    bench.protocol.acknowledge_again()
    assert bench.sent == []
    bench.protocol.received(b"\x07\x00\x00\x00hello", 0.0)
    bench.protocol.acknowledge_again()
    assert bench.sent == [ack(7, 5)] * 2


@given(st.lists(st.binary(max_size=40), max_size=30))
def test_hostile_packets_never_raise(packets: list[bytes]) -> None:
    bench = Bench()
    bench.write(b"typed")
    for now, packet in enumerate(packets):
        bench.protocol.received(packet, float(now))
        bench.protocol.tick(now + 0.5)
    assert len(bench.got.replace(b"<hole>", b"")) <= sum(map(len, packets))


VALID = [b"\x01\0\0\0Booting\r\n", b"\x02\0\0\0", ack(1, 5), ack(3, 0, 0x40), b"\x0f\x02\x08\0login: "]


def test_mutated_packets() -> None:
    """Ten thousand, a tenth of them of no length that SOL knows: nothing raises, nothing is kept of them."""
    chance = random.Random(7)
    for _ in range(100):
        bench = Bench()
        bench.write(b"typed")
        for number in range(100):
            packet = bytearray(chance.choice(VALID))
            for _ in range(chance.randint(1, 4)):
                packet[chance.randrange(len(packet))] = chance.randrange(256)
            if chance.random() < 0.1:
                packet = bytearray(chance.randbytes(chance.choice([0, 1, 3, 255, 4096])))
            bench.protocol.received(bytes(packet), float(number))
            bench.protocol.tick(number + 0.5)
        assert len(bench.sent) < 300 and len(bench.got) < 100 * 4096
        if not bench.lost:  # what was not told that its console ended still hears the board
            heard = len(bench.got)
            for sequence in (5, 6):
                bench.protocol.received(bytes([sequence, 0, 0, 0]) + b"alive", 200.0)
            assert b"alive" in bench.got[heard:]


class Session:
    """What the BMC's side sends through: the network of the test below."""

    def __init__(self, send: object) -> None:
        self.send_sol = send


class Network:
    """Loses and repeats packets both ways; keeps their order, as one LAN segment does."""

    def __init__(self, seed: int, loss: float) -> None:
        self.now = 0.0
        self._random = random.Random(seed)
        self._loss = loss
        self._queue: list[tuple[str, bytes]] = []
        self.typed = bytearray()
        self.shown = bytearray()
        self.lost: list[str] = []
        self.bmc = BmcSide(self.typed.extend, lambda: None, wake=lambda: None, now=lambda: self.now)
        # The real one types from a thread of its own.
        self.bmc._uart.write = lambda data: bool(self.typed.extend(data)) or True  # type: ignore[method-assign]
        self.session = object.__new__(_lan_session())
        self.session.send_sol = lambda packet: self._put("console", packet)
        self.console = SolProtocol(
            lambda packet: self._put("bmc", packet),
            self.shown.extend,
            self.lost.append,
            packet_bytes=16,
            last_sequence=seed % 16,
        )
        self.bmc.activate(self.session)

    def _put(self, where: str, packet: bytes) -> None:
        for _ in range(1 + (self._random.random() < self._loss)):
            if self._random.random() >= self._loss:
                self._queue.append((where, bytes(packet)))

    def run(self, until: object, limit_s: float = 2000.0) -> None:
        while not until() and not self.lost and self.now < limit_s:
            while self._queue:
                where, packet = self._queue.pop(0)
                if where == "bmc":
                    self.bmc.received(self.session, packet)
                else:
                    self.console.received(packet, self.now)
            self.now += 0.1
            self.bmc.pump()
            self.console.tick(self.now)


def _lan_session() -> type:
    from bringup.twin.bmc.lan import LanSession

    return type("FakeSession", (LanSession,), {"send_sol": None})


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000),
    st.sampled_from([0.0, 0.05, 0.2]),
    st.binary(max_size=120),
    st.binary(max_size=600),
)
def test_both_ways_are_exact_over_a_network_that_loses_and_repeats(
    seed: int, loss: float, typed: bytes, output: bytes
) -> None:
    network = Network(seed, loss)
    network.bmc.output(output)
    network.console.write(typed, lambda: None, 0.0)
    network.run(lambda: len(network.typed) >= len(typed) and len(network.shown) >= len(output))
    network.bmc.close()
    if not network.lost:  # with 20 % loss a session may be given up; it must then say so
        assert bytes(network.typed) == typed
        assert bytes(network.shown) == output
    elif loss < 0.2:
        raise AssertionError(network.lost)
