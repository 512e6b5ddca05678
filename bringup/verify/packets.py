"""Whole Ethernet frames as an attacker makes them; pure. RFC 791, RFC 768, RFC 792."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

from bringup.vlab.agent import checksum

_IPV4, _IPV6, _UDP, _ICMP = 0x0800, 0x86DD, 17, 1


def ethernet(to: str, source: str, kind: int, payload: bytes) -> bytes:
    """Return a frame; addresses as `aa:bb:…`."""
    addresses = bytes.fromhex(to.replace(":", "")) + bytes.fromhex(source.replace(":", ""))
    return addresses + struct.pack("!H", kind) + payload


def ipv4(source: IPv4Address, to: IPv4Address, protocol: int, payload: bytes) -> bytes:
    """Return an IPv4 packet."""
    header = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0, source.packed, to.packed
    )
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def udp_frame(
    macs: tuple[str, str], source: IPv4Address, to: IPv4Address, ports: tuple[int, int], data: bytes
) -> bytes:
    """Return a datagram as a frame; `macs` and `ports` are (source, destination). No checksum (RFC 768)."""
    datagram = struct.pack("!HHHH", *ports, 8 + len(data), 0) + data
    return ethernet(macs[1], macs[0], _IPV4, ipv4(source, to, _UDP, datagram))


def echo_frame(macs: tuple[str, str], source: IPv4Address, to: IPv4Address, data: bytes) -> bytes:
    """Return an ICMP echo request as a frame; `macs` is (source, destination)."""
    body = struct.pack("!BBHHH", 8, 0, 0, 1, 1) + data
    body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    return ethernet(macs[1], macs[0], _IPV4, ipv4(source, to, _ICMP, body))
