"""Answers the router solicitations of boards under boot, and of nobody else.

The option ROM's iPXE of 2019 asks by IPv6 for a router and waits 13 s for one before it boots. What it is
told here is that there is none (lifetime 0, no prefix: nobody gets an address or a route by it), and it is
told alone: the answer goes to the address that asked (RFC 4861 6.2.6). On a shared LAN nothing is answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import struct
from collections.abc import Callable

SOLICITATION, ADVERTISEMENT = 133, 134
_ALL_ROUTERS = "ff02::2"
_ICMP6_FILTER = 1  # netinet/icmp6.h
_SOURCE_ADDRESS = 1  # RFC 4861 4.6.1
_HOPS = 255
_PACKET_MAX = 1500


class Router:
    """Listens on one interface, in a running loop, until closed; `is_ours` says whether a MAC boots now.

    Without the right to, or without IPv6, it does nothing: a boot then only takes longer.
    """

    def __init__(self, interface: str, is_ours: Callable[[str], bool]) -> None:
        self._is_ours = is_ours
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        with contextlib.suppress(OSError):
            self._socket = _listening(interface)
            self._loop.add_reader(self._socket, self._answer)

    def close(self) -> None:
        """Answer no more."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    def _answer(self) -> None:
        assert self._socket is not None  # noqa: S101
        with contextlib.suppress(OSError):
            packet, source = self._socket.recvfrom(_PACKET_MAX)
            mac = asker(packet, source[0])
            if mac is not None and self._is_ours(mac):
                self._socket.sendto(advertisement(), source)


def asker(packet: bytes, source: str) -> str | None:
    """Return the MAC that solicits a router (RFC 4861 4.1), None where none is told (pure).

    It is what the packet says, else what the link-local address is made of (RFC 4291 appendix A).
    """
    address = ipaddress.IPv6Address(source.partition("%")[0])
    if len(packet) < 8 or packet[0] != SOLICITATION or packet[1] != 0 or not address.is_link_local:
        return None
    options = packet[8:]
    while len(options) >= 2 and options[1]:
        kind, length = options[0], 8 * options[1]
        if kind == _SOURCE_ADDRESS and length == 8 and len(options) >= 8:
            return options[2:8].hex(":")
        options = options[length:]
    tail = address.packed[8:]
    if tail[3:5] != b"\xff\xfe":
        return None
    return bytes((tail[0] ^ 2, *tail[1:3], *tail[5:])).hex(":")


def advertisement() -> bytes:
    """Return an advertisement that nobody routes by (RFC 4861 4.2); the kernel adds the checksum."""
    return struct.pack("!BBHBBHII", ADVERTISEMENT, 0, 0, 64, 0, 0, 0, 0)


def _listening(interface: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        # A bit that is set blocks its type.
        words = [0xFFFFFFFF] * 8
        words[SOLICITATION >> 5] &= ~(1 << (SOLICITATION & 31))
        sock.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, struct.pack("8I", *words))
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, _HOPS)
        group = socket.inet_pton(socket.AF_INET6, _ALL_ROUTERS)
        membership = group + struct.pack("I", socket.if_nametoindex(interface))
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)
    except OSError:
        sock.close()
        raise
    return sock
