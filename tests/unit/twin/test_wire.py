"""The wire: frames are changed as frames on a cable are, and every fault changes only its own."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.stage import Stage
from bringup.twin.faults.choice import choose
from bringup.twin.wire.frames import ACK, RST, SYN, TCP, UDP, Frame, checksum, read
from bringup.twin.wire.process import stage_of
from bringup.twin.wire.tampers import Sent, Tamper, passed_on, tamper_of, without_blksize

SERVER, BOARD = "10.55.0.1", "10.55.0.30"
REQUEST = b"\0\1undionly.kpxe\0octet\0tsize\x000\0blksize\x001432\0"


def _frame(protocol: int, source: str, target: str, head: bytes, payload: bytes, field: int) -> bytes:
    addresses = socket.inet_aton(source) + socket.inet_aton(target)
    size = 20 + len(head) + len(payload)
    ip = struct.pack("!BBHHHBBH", 0x45, 0, size, 1, 0x4000, 64, protocol, 0) + addresses
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    pseudo = addresses + struct.pack("!HH", protocol, len(head) + len(payload))
    summed = checksum(pseudo + head + payload) or 0xFFFF
    head = head[:field] + struct.pack("!H", summed) + head[field + 2 :]
    return b"\x52\x54\0\0\0\1\x52\x54\0\0\0\2\x08\0" + ip + head + payload


def udp(source: str, source_port: int, target: str, target_port: int, payload: bytes) -> bytes:
    head = struct.pack("!HHHH", source_port, target_port, 8 + len(payload), 0)
    return _frame(UDP, source, target, head, payload, 6)


def tcp(
    source: str,
    source_port: int,
    target: str,
    target_port: int,
    payload: bytes = b"",
    *,
    sequence: int = 0,
    acknowledged: int = 0,
    flags: int = ACK,
) -> bytes:
    head = struct.pack(
        "!HHIIBBHHH", source_port, target_port, sequence, acknowledged, 0x50, flags, 8192, 0, 0
    )
    return _frame(TCP, source, target, head, payload, 16)


def whole(raw: bytes) -> Frame:
    """Return a frame whose lengths and checksums are right."""
    frame = read(raw)
    assert frame is not None
    assert frame.end == len(raw)
    assert checksum(raw[14:34]) == 0
    pseudo = raw[26:34] + struct.pack("!HH", frame.protocol, frame.end - frame.at)
    assert checksum(pseudo + raw[frame.at : frame.end]) == 0
    return frame


def tamper(text: str) -> Tamper:
    return tamper_of(choose(text), 3)


def through(tampers: list[Tamper], raw: bytes, *, to_board: bool) -> list[Sent]:
    return passed_on(Sent(raw, to_board), tampers)


@given(st.binary(max_size=400), st.binary(max_size=400))
def test_another_payload_makes_a_whole_frame_again(before: bytes, after: bytes) -> None:
    for raw in (udp(SERVER, 5000, BOARD, 2000, before), tcp(SERVER, 80, BOARD, 2000, before)):
        frame = whole(raw)
        assert frame.payload == before
        changed = whole(frame.with_payload(after))
        assert (changed.payload, changed.source_port) == (after, frame.source_port)


@given(st.binary(max_size=120))
def test_any_bytes_are_read_or_are_none(raw: bytes) -> None:
    frame = read(raw)
    assert frame is None or frame.end <= len(raw)


@given(st.integers(0, 80), st.integers(0, 255), st.integers(0, 79))
def test_a_damaged_frame_is_read_or_is_none(cut: int, value: int, at: int) -> None:
    raw = bytearray(tcp(SERVER, 80, BOARD, 2000, bytes(26)))
    raw[at] = value
    frame = read(bytes(raw[: len(raw) - cut]))
    assert frame is None or frame.body_at <= frame.end


def test_an_offer_is_lost_and_nothing_else() -> None:
    lost = [tamper("dhcp-lost")]
    assert through(lost, udp(SERVER, 67, BOARD, 68, b"offer"), to_board=True) == []
    assert through(lost, udp(SERVER, 4011, BOARD, 4011, b"ack"), to_board=True) == []
    asked = udp(BOARD, 68, SERVER, 67, b"discover")
    assert through(lost, asked, to_board=False) == [Sent(asked, to_board=False)]
    data = udp(SERVER, 3000, BOARD, 2000, b"data")
    assert through(lost, data, to_board=True) == [Sent(data, to_board=True)]


def test_so_many_offers_are_lost() -> None:
    lost = [tamper("dhcp-lost,packets=2")]
    offer = udp(SERVER, 67, BOARD, 68, b"offer")
    assert [len(through(lost, offer, to_board=True)) for _ in range(4)] == [0, 0, 1, 1]


def test_a_share_of_tftp_is_lost_by_the_seed() -> None:
    def passes(seed: int) -> list[int]:
        lost = [tamper_of(choose("tftp-loss,share=10"), seed)]
        block = udp(SERVER, 3000, BOARD, 2000, b"\0\3\0\1")
        return [len(through(lost, block, to_board=True)) for _ in range(1000)]

    assert 50 < passes(1).count(0) < 200
    assert passes(1) == passes(1) != passes(2)
    always = [tamper("tftp-loss,share=100")]
    for kept in (udp(BOARD, 68, SERVER, 67, b""), tcp(SERVER, 80, BOARD, 2000, b"x")):
        assert len(through(always, kept, to_board=False)) == 1


def test_no_block_size_is_asked_for() -> None:
    (sent,) = through([tamper("tftp-blksize-refused")], udp(BOARD, 2000, SERVER, 69, REQUEST), to_board=False)
    assert whole(sent.raw).payload == b"\0\1undionly.kpxe\0octet\0tsize\x000\0"


@given(st.binary(max_size=60))
def test_any_read_request_is_survived(rest: bytes) -> None:
    assert without_blksize(b"\0\1" + rest).startswith(b"\0\1")


def test_a_connection_is_reset_on_both_sides_in_the_middle() -> None:
    faults = [tamper("http-reset,bytes=1000")]
    began = 2**32 - 100  # numbers that run over

    def segment(offset: int, flags: int = ACK) -> list[Sent]:
        number = (began + offset) % 2**32
        raw = tcp(SERVER, 80, BOARD, 2000, b"x" * 10, sequence=number, acknowledged=77, flags=flags)
        return through(faults, raw, to_board=True)

    assert [len(segment(at, SYN if at == 0 else ACK)) for at in (0, 500, 999)] == [1, 1, 1]
    to_board, to_server = segment(1000)
    assert (to_board.to_board, to_server.to_board) == (True, False)
    near, far = whole(to_board.raw), whole(to_server.raw)
    assert near.flags & RST and far.flags & RST
    assert (near.source_port, near.target_port, near.sequence) == (80, 2000, 900)
    assert (far.source_port, far.target_port, far.sequence) == (2000, 80, 77)
    assert to_server.raw[26:34] == socket.inet_aton(BOARD) + socket.inet_aton(SERVER)
    assert to_server.raw[:12] == to_board.raw[6:12] + to_board.raw[:6]


def test_the_bytes_of_a_file_are_others_and_its_head_and_length_stay() -> None:
    faults = [tamper("wrong-file")]
    asked = tcp(BOARD, 2000, SERVER, 80, b"GET /kernel HTTP/1.1\r\n\r\n", acknowledged=500)
    through(faults, asked, to_board=False)
    head, body = b"HTTP/1.1 200 OK\r\n\r\n", b"\x7fELF" * 300
    got = []
    for at in range(0, len(head + body), 300):
        raw = tcp(SERVER, 80, BOARD, 2000, (head + body)[at : at + 300], sequence=500 + at)
        (sent,) = through(faults, raw, to_board=True)
        got.append(whole(sent.raw).payload)
        (again,) = through(faults, raw, to_board=True)
        assert again == sent  # sent again, it is the same wrong file
    text = b"".join(got)
    assert text.startswith(head + b"<html>")
    assert len(text) == len(head + body)
    assert b"\x7fELF" not in text
    assert text[len(head) :] == (text[len(head) : len(head) + 72] * 20)[: len(body)]


def test_the_script_of_the_loader_stays() -> None:
    faults = [tamper("wrong-file")]
    through(faults, tcp(BOARD, 2000, SERVER, 80, b"GET /boot.ipxe HTTP/1.1\r\n\r\n"), to_board=False)
    raw = tcp(SERVER, 80, BOARD, 2000, b"HTTP/1.1 200 OK\r\n\r\n#!ipxe")
    assert through(faults, raw, to_board=True) == [Sent(raw, to_board=True)]


def test_a_slow_link_holds_frames_one_after_the_other_each_way() -> None:
    slow = tamper("slow-link,kbit=8")
    frame = Sent(bytes(1000), to_board=True)
    assert [slow.delay_s(frame, 10.0) for _ in range(3)] == pytest.approx([1.0, 2.0, 3.0])
    assert slow.delay_s(Sent(bytes(500), to_board=False), 10.0) == pytest.approx(0.5)
    assert slow.delay_s(frame, 20.0) == pytest.approx(1.0)


def test_what_is_neither_udp_nor_tcp_passes_every_fault() -> None:
    names = ("dhcp-lost", "tftp-loss,share=100", "tftp-blksize-refused", "http-reset", "wrong-file")
    arp = b"\xff" * 6 + bytes(6) + b"\x08\x06" + bytes(28)
    assert through([tamper(name) for name in names], arp, to_board=True) == [Sent(arp, to_board=True)]


def test_the_wire_sees_an_address_given_and_a_first_file_asked_for() -> None:
    ack = whole(udp(SERVER, 67, BOARD, 68, bytes(236) + b"\x63\x82\x53\x63\x35\x01\x05\xff"))
    offer = whole(udp(SERVER, 67, BOARD, 68, bytes(236) + b"\x63\x82\x53\x63\x35\x01\x02\xff"))
    assert stage_of(ack, to_board=True) is Stage.DHCP
    assert stage_of(offer, to_board=True) is None
    assert stage_of(whole(udp(BOARD, 2000, SERVER, 69, REQUEST)), to_board=False) is Stage.LOADER
    get = whole(tcp(BOARD, 2000, SERVER, 80, b"GET /boot.ipxe HTTP/1.1\r\n"))
    assert stage_of(get, to_board=False) is Stage.LOADER
