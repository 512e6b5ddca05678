"""The stream protocol between QEMU's `ipmi-bmc-extern` and the BMC."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.twin.bmc.kcs import (
    MAX_FRAME,
    Control,
    Framer,
    KcsPort,
    Message,
    frame_control,
    frame_message,
)
from bringup.twin.bmc.request import Privilege, Request, Response


@given(st.binary(min_size=3, max_size=200), st.integers(1, 7))
def test_any_message_survives_framing_in_any_pieces(body: bytes, piece: int) -> None:
    stream, framer = frame_message(body), Framer()
    pieces = [stream[start : start + piece] for start in range(0, len(stream), piece)]
    frames = [frame for part in pieces for frame in framer.feed(part)]
    assert frames == [Message(body[0], body[1], body[2], body[3:])]


@given(st.integers(0, 255), st.binary(max_size=4))
def test_control_codes_survive_framing(code: int, data: bytes) -> None:
    assert list(Framer().feed(frame_control(code, data))) == [Control(code, data)]


@given(st.binary(max_size=2000))
def test_rubbish_never_raises_and_the_next_message_is_read(rubbish: bytes) -> None:
    framer = Framer()
    list(framer.feed(rubbish))
    list(framer.feed(b"\xa0"))
    assert list(framer.feed(frame_message(b"\x07\x18\x01"))) == [Message(7, 0x18, 1, b"")]


def test_a_wrong_checksum_is_dropped() -> None:
    spoilt = bytearray(frame_message(b"\x01\x18\x01\x05"))
    spoilt[3] ^= 0x02
    assert list(Framer().feed(bytes(spoilt))) == []


def test_an_endless_frame_is_dropped_and_bounded() -> None:
    framer = Framer()
    assert list(framer.feed(bytes(10 * MAX_FRAME) + b"\xa0")) == []
    assert list(framer.feed(frame_message(b"\x02\x18\x01"))) == [Message(2, 0x18, 1, b"")]


def test_the_bytes_qemu_sends_on_connecting() -> None:
    # QEMU 7.2: protocol version 1, then its capabilities (0x3F).
    stream = bytes([0xFF, 0x01, 0xA1, 0x08, 0x3F, 0xA1])
    assert list(Framer().feed(stream)) == [Control(0xFF, b"\x01"), Control(0x08, b"\x3f")]


@dataclass
class Line:
    machine: socket.socket
    port: KcsPort


@pytest.fixture
def line() -> Iterator[Line]:
    near, far = socket.socketpair()
    far.settimeout(2)

    def run(request: Request) -> Response:
        return Response(0xC1, bytes([0xA0, 0xAA, request.privilege]))

    port = KcsPort(near, run)
    near.close()  # the chassis may close its copy at any time
    assert far.recv(10) == bytes([0xFF, 0x01, 0xA1])
    yield Line(far, port)
    port.close()
    far.close()


def test_an_answer_has_the_request_number_and_all_privileges(line: Line) -> None:
    line.machine.sendall(frame_message(bytes([5, 0x06 << 2 | 1, 0x01])))
    assert line.port.read()
    (answer,) = Framer().feed(line.machine.recv(100))
    assert answer == Message(5, 0x07 << 2 | 1, 0x01, bytes([0xC1, 0xA0, 0xAA, Privilege.ADMINISTRATOR]))


def test_a_machine_that_is_gone_is_noticed(line: Line) -> None:
    line.machine.shutdown(socket.SHUT_RDWR)
    assert not line.port.read()
