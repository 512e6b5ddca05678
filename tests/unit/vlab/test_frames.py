"""Captured frames: what they are, and files that break off."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from bringup.vlab.agent import checksum
from bringup.vlab.frames import Frame, holding, parse_records, without_udp_checksum


def ethernet(kind: int, payload: bytes) -> bytes:
    return bytes(range(12)) + struct.pack("!H", kind) + payload


def ipv4(protocol: int, payload: bytes, offset: int = 0) -> bytes:
    header = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, offset, 64, protocol, 0, b"\x0a\0\1\n", b"\x0a\0\2\n"
    )
    return ethernet(0x0800, header + payload)


def udp(payload: bytes, port: int = 51820) -> bytes:
    return ipv4(17, struct.pack("!HHHH", port, port, 8 + len(payload), 0xBEEF) + payload)


def frame(data: bytes) -> Frame:
    return Frame(0.0, data, len(data))


def record(data: bytes) -> bytes:
    return struct.pack("<IIII", 1, 500_000, len(data), len(data)) + data


def test_a_wireguard_message_is_known_by_port_and_first_word() -> None:
    assert frame(udp(b"\x01\0\0\0" + bytes(144))).wireguard(51820) == 1
    assert frame(udp(b"\x04\0\0\0" + bytes(28))).wireguard(51820) == 4
    assert frame(udp(b"\x04\0\0\0" + bytes(28))).wireguard(51821) is None
    assert frame(udp(b"\x05\0\0\0")).wireguard(51820) is None
    assert frame(udp(b"\x04\0\1\0")).wireguard(51820) is None


def test_the_offered_segment_of_a_syn() -> None:
    options = b"\x01\x01\x04\x02" + b"\x02\x04\x05\x64"
    syn = struct.pack("!HHIIBBHHH", 1, 2, 0, 0, (20 + len(options)) // 4 << 4, 2, 0, 0, 0) + options
    assert frame(ipv4(6, syn)).mss == 1380
    assert frame(ipv4(6, syn[:13] + b"\x10" + syn[14:])).mss is None
    assert frame(ipv4(6, syn[:20])).mss is None


def test_addresses_and_words_for_people() -> None:
    seen = frame(udp(b"x"))
    assert (str(seen.source), str(seen.destination)) == ("10.0.1.10", "10.0.2.10")
    assert seen.describe() == "10.0.1.10:51820 > 10.0.2.10:51820 udp, 43 bytes"
    assert frame(ipv4(17, b"rest of a datagram", offset=185)).ports is None


def test_padding_is_no_part_of_a_packet() -> None:
    assert frame(ipv4(1, b"\x08\0\0\0") + bytes(30)).body == b"\x08\0\0\0"


def test_a_file_that_breaks_off_gives_its_whole_frames() -> None:
    whole = record(udp(b"one")) + record(udp(b"two"))
    assert [each.at_s for each in parse_records(whole)] == [1.5, 1.5]
    assert len(list(parse_records(whole[:-1]))) == 1


@given(st.binary(max_size=400))
def test_no_bytes_are_too_strange(data: bytes) -> None:
    for each in [*parse_records(data), frame(data)]:
        each.describe()
        assert each.wireguard(51820) in (None, 1, 2, 3, 4)
        assert each.mss is None or each.mss >= 0
        holding([each], b"canary")


def test_a_zeroed_checksum_changes_nothing_else() -> None:
    data = udp(b"payload")
    zeroed = without_udp_checksum(frame(data))
    assert zeroed[40:42] == b"\0\0"
    assert zeroed[:40] + zeroed[42:] == data[:40] + data[42:]


def test_the_internet_checksum() -> None:
    # RFC 1071, section 3: these words add up to ddf2.
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == ~0xDDF2 & 0xFFFF
