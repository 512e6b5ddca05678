"""Captured frames: pcap files read back, and what a frame is; pure but for opening the file."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

_RECORD = struct.Struct("<IIII")
FILE_HEADER_BYTES = 24
_ARP, _IPV4, _IPV6 = 0x0806, 0x0800, 0x86DD
ICMP, TCP, UDP = 1, 6, 17

WG_INITIATION, WG_RESPONSE, WG_COOKIE, WG_DATA = 1, 2, 3, 4
"""The first byte of a WireGuard message (the whitepaper, 5.4)."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One Ethernet frame as it was captured; `at_s` is seconds since the epoch."""

    at_s: float
    data: bytes
    length: int

    @property
    def source_mac(self) -> str:
        """Who put it on this segment."""
        return self.data[6:12].hex(":")

    @property
    def kind(self) -> int:
        """The Ethernet type."""
        return int.from_bytes(self.data[12:14], "big")

    @property
    def is_ipv4(self) -> bool:
        """Whether it holds an IPv4 packet of which the header is whole."""
        return self.kind == _IPV4 and len(self.data) >= 34 and self.data[14] >> 4 == 4

    @property
    def is_ipv6(self) -> bool:
        """Whether it holds an IPv6 packet."""
        return self.kind == _IPV6

    @property
    def source(self) -> IPv4Address | None:
        """The IPv4 source."""
        return IPv4Address(self.data[26:30]) if self.is_ipv4 else None

    @property
    def destination(self) -> IPv4Address | None:
        """The IPv4 destination."""
        return IPv4Address(self.data[30:34]) if self.is_ipv4 else None

    @property
    def protocol(self) -> int | None:
        """The protocol of an IPv4 packet."""
        return self.data[23] if self.is_ipv4 else None

    @property
    def is_fragment(self) -> bool:
        """Whether it is a later fragment, which has no header of the layer above."""
        return self.is_ipv4 and bool(int.from_bytes(self.data[20:22], "big") & 0x1FFF)

    @property
    def body(self) -> bytes:
        """What follows the IPv4 header, its padding to the least frame length taken off."""
        if not self.is_ipv4:
            return b""
        total = int.from_bytes(self.data[16:18], "big")
        return self.data[14 + (self.data[14] & 15) * 4 : 14 + total]

    @property
    def ports(self) -> tuple[int, int] | None:
        """Source and destination port of TCP and UDP."""
        if self.protocol not in (TCP, UDP) or self.is_fragment or len(self.body) < 4:
            return None
        return struct.unpack_from("!HH", self.body)

    def wireguard(self, port: int) -> int | None:
        """Return the type of a WireGuard message from or to `port`, None where it is none."""
        if self.protocol != UDP or self.ports is None or port not in self.ports or len(self.body) < 12:
            return None
        kind = self.body[8]
        return kind if WG_INITIATION <= kind <= WG_DATA and self.body[9:12] == b"\0\0\0" else None

    @property
    def icmp(self) -> tuple[int, int] | None:
        """Type and code of an ICMP message."""
        if self.protocol != ICMP or self.is_fragment or len(self.body) < 2:
            return None
        return self.body[0], self.body[1]

    @property
    def mss(self) -> int | None:
        """The largest segment that a TCP SYN offers, None where it offers none or is none (RFC 9293)."""
        if self.protocol != TCP or self.is_fragment or len(self.body) < 20 or not self.body[13] & 2:
            return None
        options = self.body[20 : (self.body[12] >> 4) * 4]
        while len(options) >= 4 and options[0] != 0:
            if options[0] == 1:
                options = options[1:]
            elif options[0] == 2:
                return int.from_bytes(options[2:4], "big")
            else:
                options = options[max(2, options[1]) :]
        return None

    def describe(self) -> str:
        """Return the frame as one line for people."""
        if self.kind == _ARP:
            return f"{self.source_mac} ARP"
        if not self.is_ipv4:
            return f"{self.source_mac} {'IPv6' if self.is_ipv6 else hex(self.kind)} {self.length} bytes"
        names = {ICMP: "icmp", TCP: "tcp", UDP: "udp"}
        name = names.get(self.protocol or 0, f"protocol {self.protocol}")
        from_port, to_port = (f":{port}" for port in self.ports) if self.ports else ("", "")
        kind = f" type {self.icmp[0]}" if self.icmp else ""
        return f"{self.source}{from_port} > {self.destination}{to_port} {name}{kind}, {self.length} bytes"


def read_frames(path: Path, start: int = FILE_HEADER_BYTES, end: int | None = None) -> list[Frame]:
    """Return the frames of a part of a capture (byte offsets); a torn last record is left out."""
    with path.open("rb") as file:
        file.seek(max(start, FILE_HEADER_BYTES))
        data = file.read() if end is None else file.read(max(0, end - start))
    return list(parse_records(data))


def parse_records(data: bytes) -> Iterator[Frame]:
    """Yield the frames of pcap records (little endian, microseconds)."""
    at = 0
    while at + _RECORD.size <= len(data):
        seconds, microseconds, kept, length = _RECORD.unpack_from(data, at)
        at += _RECORD.size
        if at + kept > len(data):
            return
        yield Frame(seconds + microseconds / 1e6, data[at : at + kept], length)
        at += kept


def holding(frames: Iterable[Frame], canary: bytes) -> list[Frame]:
    """Return the frames that show `canary` in clear."""
    return [frame for frame in frames if canary in frame.data]


def without_udp_checksum(frame: Frame) -> bytes:
    """Return a frame with its UDP checksum zeroed (RFC 768: none), so that it is taken as it is."""
    data = bytearray(frame.data)
    at = 14 + (data[14] & 15) * 4 + 6
    data[at : at + 2] = b"\0\0"
    return bytes(data)
