"""Frames of a stranger's making: whole, and read back as what they are."""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from bringup.verify.packets import echo_frame, udp_frame
from bringup.vlab.agent import checksum
from bringup.vlab.frames import Frame

MACS = ("02:00:00:00:aa:01", "02:00:00:00:aa:02")
A, B = IPv4Address("10.0.1.10"), IPv4Address("10.0.2.10")


def frame(data: bytes) -> Frame:
    return Frame(0.0, data, len(data))


@given(st.binary(max_size=300))
def test_a_datagram_is_what_it_was_made_of(data: bytes) -> None:
    seen = frame(udp_frame(MACS, A, B, (40000, 51820), data))
    assert (seen.source, seen.destination, seen.ports) == (A, B, (40000, 51820))
    assert seen.source_mac == MACS[0] and seen.data[:6].hex(":") == MACS[1]
    assert seen.body[8:] == data


@given(st.binary(max_size=300))
def test_an_echo_request_has_right_checksums(data: bytes) -> None:
    seen = frame(echo_frame(MACS, A, B, data))
    assert seen.icmp == (8, 0)
    assert checksum(seen.data[14:34]) == 0
    assert checksum(seen.body) == 0
