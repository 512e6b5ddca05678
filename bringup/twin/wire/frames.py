"""Ethernet frames with UDP or TCP over IPv4: read, and written again with another payload (pure).

RFC 894, 791, 768 and 9293. What is not read here (IPv6, ARP, fragments) passes the wire as it is.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

UDP, TCP = 17, 6
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
_ETHERNET, _IPV4 = 14, 0x0800
_MORE_OR_OFFSET = 0x3FFF
_UDP_HEAD, _TCP_HEAD = 8, 20
_MODULUS = 1 << 32


@dataclass(frozen=True, slots=True)
class Frame:
    """One datagram or segment in its frame; `at` is where UDP or TCP begins, `body_at` where its payload."""

    raw: bytes
    protocol: int
    at: int
    body_at: int
    end: int
    source_port: int
    target_port: int

    @property
    def payload(self) -> bytes:
        """What UDP or TCP carries."""
        return self.raw[self.body_at : self.end]

    @property
    def source(self) -> str:
        """The IPv4 address it comes from."""
        return ".".join(map(str, self.raw[_ETHERNET + 12 : _ETHERNET + 16]))

    @property
    def sequence(self) -> int:
        """TCP's sequence number of the first byte."""
        return int(struct.unpack_from("!I", self.raw, self.at + 4)[0])

    @property
    def acknowledged(self) -> int:
        """TCP's number of the byte that the other side has to send next."""
        return int(struct.unpack_from("!I", self.raw, self.at + 8)[0])

    @property
    def flags(self) -> int:
        """TCP's control bits."""
        return self.raw[self.at + 13]

    def with_payload(self, payload: bytes) -> bytes:
        """Return the frame with another payload, its lengths and checksums made to fit."""
        head = bytearray(self.raw[self.at : self.body_at])
        if self.protocol == UDP:
            struct.pack_into("!H", head, 4, _UDP_HEAD + len(payload))
        return self._sealed(head, payload)

    def reset(self) -> bytes:
        """Return a frame that resets the connection, from the same side, instead of this one."""
        head = bytearray(self.raw[self.at : self.at + _TCP_HEAD])
        head[12:14] = bytes([_TCP_HEAD // 4 << 4, RST | ACK])
        return self._sealed(head, b"")

    def reset_back(self) -> bytes:
        """Return a frame that resets the connection, from the other side, as if this one was not wanted."""
        raw = self.raw
        ports = struct.pack("!HH", self.target_port, self.source_port)
        numbers = struct.pack("!II", self.acknowledged, (self.sequence + len(self.payload)) % _MODULUS)
        head = ports + numbers + bytes([_TCP_HEAD // 4 << 4, RST | ACK]) + bytes(6)
        swapped = raw[6:12] + raw[:6] + raw[12 : _ETHERNET + 12] + raw[_ETHERNET + 16 : _ETHERNET + 20]
        swapped += raw[_ETHERNET + 12 : _ETHERNET + 16] + raw[_ETHERNET + 20 : self.at]
        back = Frame(swapped + head, TCP, self.at, self.at + _TCP_HEAD, self.end, 0, 0)
        return back._sealed(bytearray(head), b"")

    def _sealed(self, head: bytearray, payload: bytes) -> bytes:
        field = 6 if self.protocol == UDP else 16
        head[field : field + 2] = bytes(2)
        ip = bytearray(self.raw[_ETHERNET : self.at])
        struct.pack_into("!H", ip, 2, len(ip) + len(head) + len(payload))
        ip[10:12] = bytes(2)
        struct.pack_into("!H", ip, 10, checksum(ip))
        addresses = bytes(ip[12:20])
        pseudo = addresses + struct.pack("!HH", self.protocol, len(head) + len(payload))
        # A sum of 0 is sent as all ones, because 0 says that there is none (RFC 768).
        struct.pack_into("!H", head, field, checksum(pseudo + head + payload) or 0xFFFF)
        return self.raw[:_ETHERNET] + bytes(ip) + bytes(head) + payload


def read(raw: bytes) -> Frame | None:
    """Return the datagram or segment in a frame, None for anything else and for what is cut short."""
    if len(raw) < _ETHERNET + 20 or struct.unpack_from("!H", raw, 12)[0] != _IPV4 or raw[_ETHERNET] >> 4 != 4:
        return None
    at = _ETHERNET + (raw[_ETHERNET] & 15) * 4
    size, _, fragment = struct.unpack_from("!HHH", raw, _ETHERNET + 2)
    end, protocol = _ETHERNET + size, raw[_ETHERNET + 9]
    least = {UDP: _UDP_HEAD, TCP: _TCP_HEAD}.get(protocol)
    if (
        least is None
        or fragment & _MORE_OR_OFFSET
        or at < _ETHERNET + 20
        or not at + least <= end <= len(raw)
    ):
        return None
    body_at = at + (least if protocol == UDP else (raw[at + 12] >> 4) * 4)
    if not at + least <= body_at <= end:
        return None
    source, target = struct.unpack_from("!HH", raw, at)
    return Frame(raw, protocol, at, body_at, end, source, target)


def checksum(data: bytes | bytearray) -> int:
    """Return the Internet checksum (RFC 1071)."""
    padded = bytes(data) + bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
