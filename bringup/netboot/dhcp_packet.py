"""DHCP packets as they are on the wire: read for what they say, and one written that looks for servers. Pure.

What answers boards is dnsmasq; this is for seeing who else does (RFC 2131, RFC 2132, RFC 4578).
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from enum import IntEnum

SERVER_PORT, CLIENT_PORT = 67, 68
_COOKIE = b"\x63\x82\x53\x63"
_HEAD_BYTES, _COOKIE_AT = 236, 236
_BROADCAST = 0x8000
_UDP = 17
_PAD, _END = 0, 255
_TYPE, _SERVER, _WANTED, _VENDOR, _FILE, _USER_CLASS, _ARCH, _UNDI, _CLIENT_ID = (
    *(53, 54, 55, 60, 67, 77),
    *(93, 94, 97),
)


class Message(IntEnum):
    """Option 53 (RFC 2132 9.6), as far as it matters here."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    ACK = 5
    NAK = 6


@dataclass(frozen=True, slots=True)
class DhcpPacket:
    """What one packet says; None is what it does not say. `address` is the one that is given."""

    xid: int
    mac: str
    message: Message
    server: str | None = None
    address: str | None = None
    file: str | None = None
    is_pxe: bool = False
    arch: int | None = None
    vendor_class: str | None = None
    user_class: str | None = None


def read_dhcp(data: bytes) -> DhcpPacket | None:
    """Return the DHCP message in a UDP payload, None for what is none or of a kind that does not matter."""
    if len(data) < _HEAD_BYTES + 4 or data[_COOKIE_AT : _COOKIE_AT + 4] != _COOKIE or data[1:3] != b"\1\6":
        return None
    options = _options(data[_COOKIE_AT + 4 :])
    try:
        message = Message(options.get(_TYPE, b"\0")[0])
    except (ValueError, IndexError):
        return None
    file = options.get(_FILE) or data[108:236]
    return DhcpPacket(
        xid=struct.unpack_from("!I", data, 4)[0],
        mac=data[28:34].hex(":"),
        message=message,
        server=_address(options.get(_SERVER, b"")),
        address=_address(data[16:20]),
        file=_text(file.split(b"\0")[0]) or None,
        is_pxe=options.get(_VENDOR, b"").startswith((b"PXEClient", b"HTTPClient")),
        arch=int.from_bytes(options[_ARCH][:2], "big") if len(options.get(_ARCH, b"")) > 1 else None,
        vendor_class=_text(options.get(_VENDOR, b"")) or None,
        user_class=_text(options.get(_USER_CLASS, b"")) or None,
    )


def read_frame(packet: bytes) -> DhcpPacket | None:
    """Return the DHCP message in an IPv4 packet, None for anything else."""
    if len(packet) < 28 or packet[0] >> 4 != 4 or packet[9] != _UDP:
        return None
    start = (packet[0] & 15) * 4
    if start < 20 or len(packet) < start + 8:
        return None
    target = struct.unpack_from("!H", packet, start + 2)[0]
    return read_dhcp(packet[start + 8 :]) if target in (SERVER_PORT, CLIENT_PORT) else None


def search(mac: str, xid: int, arch: int) -> bytes:
    """Return an IPv4 packet that asks every server to offer itself, as a network boot client of `arch` does.

    It asks for an answer to everybody (flag BROADCAST) and takes no offer, so that nothing is leased.
    """
    hardware = bytes.fromhex(mac.replace(":", ""))
    head = struct.pack("!BBBBIHH16x16s192x", 1, 1, 6, 0, xid, 0, _BROADCAST, hardware + bytes(10))
    options = (
        (_TYPE, bytes([Message.DISCOVER])),
        (_WANTED, bytes((1, 3, 54, 60, 66, _FILE))),
        (_VENDOR, b"PXEClient:Arch:%05d:UNDI:003000" % arch),
        (_ARCH, struct.pack("!H", arch)),
        (_UNDI, b"\1\3\0"),
        (_CLIENT_ID, bytes(17)),
    )
    body = head + _COOKIE + b"".join(bytes((code, len(value))) + value for code, value in options) + b"\xff"
    # Without a checksum of UDP's (RFC 768); the header of IP has to have its own.
    udp = struct.pack("!HHHH", CLIENT_PORT, SERVER_PORT, 8 + len(body), 0) + body
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, _UDP, 0, bytes(4), b"\xff" * 4)
    return ip[:10] + struct.pack("!H", _checksum(ip)) + ip[12:] + udp


def _checksum(header: bytes) -> int:
    """Return the checksum of an IPv4 header (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _options(data: bytes) -> dict[int, bytes]:
    """Return the options up to what is cut off."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data) and data[at] != _END:
        if data[at] == _PAD:
            at += 1
            continue
        if at + 1 >= len(data) or at + 2 + data[at + 1] > len(data):
            break
        found.setdefault(data[at], data[at + 2 : at + 2 + data[at + 1]])
        at += 2 + data[at + 1]
    return found


def _address(data: bytes) -> str | None:
    return str(ipaddress.IPv4Address(data)) if len(data) == 4 and any(data) else None


def _text(data: bytes) -> str:
    return "".join(char if char.isprintable() else "?" for char in data.decode("latin-1"))
