"""DHCP packets: what is read of them, whatever they are, and what of another server stands in the way."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.netboot.dhcp_packet import DhcpPacket, Message, read_dhcp, read_frame, search
from bringup.netboot.scout import rivalry
from tests.unit.netboot.test_strangers import PACKETS, mutated

MAC = "52:54:00:0e:30:10"


def packet(message: int, *options: tuple[int, bytes], address: bytes = bytes(4), file: bytes = b"") -> bytes:
    head = struct.pack("!BBBBIHH4s4s8x", 2, 1, 6, 0, 0x12345678, 0, 0, bytes(4), address)
    head += bytes.fromhex(MAC.replace(":", "")) + bytes(10) + bytes(64) + file.ljust(128, b"\0")
    said = ((53, bytes([message])), *options)
    tail = b"".join(bytes((code, len(value))) + value for code, value in said)
    return head + b"\x63\x82\x53\x63" + tail + b"\xff"


SERVER = (54, bytes((10, 0, 0, 99)))


def test_an_offer() -> None:
    data = packet(2, SERVER, (60, b"PXEClient"), (67, b"pxelinux.0\0"), address=bytes((10, 0, 0, 7)))
    assert read_dhcp(data) == DhcpPacket(
        0x12345678,
        MAC,
        Message.OFFER,
        "10.0.0.99",
        "10.0.0.7",
        "pxelinux.0",
        is_pxe=True,
        vendor_class="PXEClient",
    )


def test_the_field_counts_where_the_option_is_not() -> None:
    read = read_dhcp(packet(5, SERVER, file=b"boot/core.0"))
    assert read is not None and read.file == "boot/core.0"


@pytest.mark.parametrize("data", [b"", b"\1" * 239, packet(1)[:236] + b"nope", packet(7), packet(0)])
def test_what_is_none(data: bytes) -> None:
    assert read_dhcp(data) is None


def test_options_that_are_cut_off_end_the_list() -> None:
    whole = packet(2, SERVER, (67, b"file"))
    read = read_dhcp(whole[:-3])
    assert read is not None and (read.server, read.file) == ("10.0.0.99", None)


def test_the_search_is_a_packet_of_its_own_kind() -> None:
    frame = search(MAC, 7, 9)
    assert read_frame(frame) == DhcpPacket(
        7, MAC, Message.DISCOVER, is_pxe=True, arch=9, vendor_class="PXEClient:Arch:00009:UNDI:003000"
    )
    words = struct.unpack("!10H", frame[:20])
    assert sum(words) % 0xFFFF == 0  # RFC 1071: a right header adds up to ones
    assert frame[16:20] == b"\xff" * 4


@given(st.binary(max_size=700))
def test_anything_is_read(data: bytes) -> None:
    for read in (read_frame(data), read_dhcp(data)):
        assert read is None or read.file is None or read.file.isprintable()


def test_mutated_packets() -> None:
    rng = random.Random(20_261_128)
    offer = packet(2, SERVER, (60, b"PXEClient"), (67, b"pxelinux.0"), address=bytes((10, 0, 0, 7)))
    frames = (search(MAC, 7, 0), search(MAC, 7, 0)[:28] + offer)
    for _ in range(PACKETS):
        read = read_frame(mutated(rng, rng.choice(frames)))
        if read is not None:
            assert read.file is None or (read.file.isprintable() and len(read.file) <= 255)


@pytest.mark.parametrize(
    ("message", "changes", "own", "lan"),
    [
        (Message.OFFER, {"address": "10.0.0.7"}, "gives the address 10.0.0.7", None),
        (Message.ACK, {"address": "10.0.0.7"}, "gives the address 10.0.0.7", None),
        (Message.OFFER, {"address": "10.0.0.7", "file": "x"}, "boot file x", "boot file x"),
        (Message.OFFER, {"is_pxe": True}, "gives the address", "offers 52:54:00:0e:30:10 a network boot"),
        (Message.NAK, {}, "refused", "refused"),
        (Message.REQUEST, {}, "was chosen", None),
        (Message.DISCOVER, {}, None, None),
    ],
)
def test_what_stands_in_the_way(
    message: Message, changes: dict[str, object], own: str | None, lan: str | None
) -> None:
    seen = DhcpPacket(1, MAC, message, "10.0.0.99", **changes)  # type: ignore[arg-type]
    for own_segment, wanted in ((True, own), (False, lan)):
        said = rivalry(seen, own_segment=own_segment)
        assert (said is None) == (wanted is None)
        assert wanted is None or (said is not None and wanted in said)
