"""The NIC of a scripted board: DHCP as firmware asks, TFTP and HTTP as firmware and iPXE fetch (asyncio).

RFC 2131, 2132 and 4578 for DHCP, RFC 1350, 2347 to 2349 for TFTP. Waits and tries are those of a PXE ROM, cut
short: 1, 2 and 4 s for an offer, 5 times a second for a block.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import ipaddress
import random
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_COOKIE = b"\x63\x82\x53\x63"
_DISCOVER, _OFFER, _REQUEST, _ACK = 1, 2, 3, 5
_OFFER_WAITS_S = (1.0, 2.0, 4.0)
_BLOCK_WAIT_S, _BLOCK_TRIES = 1.0, 5
_HTTP_WAIT_S = 10.0
_BLKSIZE = 1456
_HEAD_MAX = 65536
_CHUNK = 65536
_KEPT = 64 * 1024
_SIOCSIFADDR, _SIOCSIFNETMASK = 0x8916, 0x891C  # linux/sockios.h
_MASK = "255.255.255.0"


class NetworkError(Exception):
    """What a client says when it gives up; the text is that of `kind` in `texts`."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Lease:
    """What DHCP gave."""

    address: str
    server: str
    file: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that came: its first and last 64 KiB, and how long it was."""

    start: bytes
    size: int
    end: bytes = b""


@dataclass(frozen=True)
class Nic:
    """One interface of this network namespace, as a board's boot port."""

    interface: str
    mac: str
    random: random.Random = field(default_factory=random.Random, compare=False)

    async def ask(self, arch: int, *, ipxe: bool = False) -> Lease:
        """Get an address and the name of a file; raises NetworkError `no-offer` or `no-ack`."""
        with self._udp(68) as sock:
            xid = self.random.getrandbits(32)
            offer = await _answer(sock, self._packet(_DISCOVER, xid, arch, ipxe=ipxe), xid, _OFFER)
            if offer is None:
                raise NetworkError("no-offer")
            wanted = _option(50, offer[16:20]) + _option(54, _options(offer).get(54, bytes(4)))
            request = self._packet(_REQUEST, xid, arch, ipxe=ipxe, more=wanted)
            ack = await _answer(sock, request, xid, _ACK)
        if ack is None:
            raise NetworkError("no-ack")
        options = _options(ack)
        lease = Lease(
            _address(ack[16:20]),
            _address(ack[20:24] if any(ack[20:24]) else options.get(54, bytes(4))),
            (options.get(67) or ack[108:236]).split(b"\0")[0].decode("latin-1"),
        )
        self._take(lease.address)
        return lease

    async def fetch_tftp(self, server: str, name: str) -> Fetched:
        """Fetch a file as a PXE ROM does; raises NetworkError `tftp-timeout` or `tftp-error`."""
        request = b"\0\1" + b"".join(
            word.encode() + b"\0" for word in (name, "octet", "tsize", "0", "blksize", str(_BLKSIZE))
        )
        with self._udp(0) as sock:
            return await _tftp(sock, request, (server, 69))

    async def fetch_http(self, url: str) -> Fetched:
        """Fetch a file as iPXE does; raises NetworkError `http-timeout`, `http-reset` or `http-missing`."""
        parts = urlsplit(url)
        reader, writer = await self.connect(parts.hostname or "", parts.port or 80)
        try:
            writer.write(f"GET {parts.path} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode())
            return await _http(reader)
        except TimeoutError:
            raise NetworkError("http-timeout") from None
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            raise NetworkError("http-reset") from None
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def connect(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a TCP connection from this port; raises NetworkError `http-timeout` or `http-reset`."""
        sock = self._bound(socket.SOCK_STREAM)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_HTTP_WAIT_S):
                await loop.sock_connect(sock, (host, port))
            return await asyncio.open_connection(sock=sock, limit=_HEAD_MAX)
        except TimeoutError:
            sock.close()
            raise NetworkError("http-timeout") from None
        except OSError:
            sock.close()
            raise NetworkError("http-reset") from None

    def _packet(self, kind: int, xid: int, arch: int, *, ipxe: bool, more: bytes = b"") -> bytes:
        hardware = bytes.fromhex(self.mac.replace(":", ""))
        head = struct.pack("!BBBBIHH16x16s192x", 1, 1, 6, 0, xid, 0, 0x8000, hardware + bytes(10))
        options = _option(53, bytes([kind])) + _option(55, bytes((1, 3, 6, 43, 54, 60, 66, 67))) + more
        options += _option(60, b"PXEClient:Arch:%05d:UNDI:002001" % arch)
        options += _option(93, struct.pack("!H", arch)) + _option(94, b"\1\2\1") + _option(97, bytes(17))
        if ipxe:
            options += _option(77, b"iPXE") + _option(175, bytes((0xB0, 1, 1)))
        return head + _COOKIE + options + b"\xff"

    def _bound(self, kind: socket.SocketKind) -> socket.socket:
        sock = socket.socket(socket.AF_INET, kind)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.interface.encode())
        return sock

    @contextlib.contextmanager
    def _udp(self, port: int) -> Iterator[socket.socket]:
        with self._bound(socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("", port))
            yield sock

    def _take(self, address: str) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for request, value in ((_SIOCSIFADDR, address), (_SIOCSIFNETMASK, _MASK)):
                name = self.interface.encode()
                told = struct.pack("16sHH4s8x", name, socket.AF_INET, 0, socket.inet_aton(value))
                fcntl.ioctl(sock, request, told)


async def _answer(sock: socket.socket, packet: bytes, xid: int, kind: int) -> bytes | None:
    loop = asyncio.get_running_loop()
    for wait_s in _OFFER_WAITS_S:
        with contextlib.suppress(OSError):  # no route to anybody: the cable is not plugged
            await loop.sock_sendto(sock, packet, ("255.255.255.255", 67))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while True:
                    data, _ = await loop.sock_recvfrom(sock, 2048)
                    mine = len(data) > 240 and struct.unpack_from("!I", data, 4)[0] == xid
                    if mine and _options(data).get(53) == bytes([kind]):
                        return data
    return None


async def _tftp(sock: socket.socket, request: bytes, server: tuple[str, int]) -> Fetched:
    """Fetch block by block; the server answers from a port of its own (RFC 1350 4)."""
    loop = asyncio.get_running_loop()
    out, to, blksize, expected = request, server, 512, 1
    start, end, size, tries = b"", b"", 0, 0
    while True:
        await loop.sock_sendto(sock, out, to)
        try:
            async with asyncio.timeout(_BLOCK_WAIT_S):
                data, sender = await loop.sock_recvfrom(sock, 65536)
        except TimeoutError:
            tries += 1
            if tries >= _BLOCK_TRIES:
                raise NetworkError("tftp-timeout") from None
            continue
        code, number = struct.unpack_from("!HH", data) if len(data) >= 4 else (0, 0)
        if code == 5:
            raise NetworkError("tftp-error")
        to = sender
        if code == 6:
            blksize, out, tries = _granted(data), struct.pack("!HH", 4, 0), 0
        elif code == 3 and number == expected & 0xFFFF:
            block = data[4:]
            start, end, tries = _kept(start, block), (end + block)[-_KEPT:], 0
            size += len(block)
            out = struct.pack("!HH", 4, number)
            expected += 1
            if len(block) < blksize:
                await loop.sock_sendto(sock, out, to)
                return Fetched(start, size, end)


def _kept(start: bytes, block: bytes) -> bytes:
    return start if len(start) >= _KEPT else (start + block)[:_KEPT]


async def _http(reader: asyncio.StreamReader) -> Fetched:
    async with asyncio.timeout(_HTTP_WAIT_S):
        head = await reader.readuntil(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    if " 200 " not in f"{status} ":
        raise NetworkError("http-missing")
    fields = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
    length = int(fields.get("content-length", "0"))
    start, end, size = b"", b"", 0
    while size < length:
        async with asyncio.timeout(_HTTP_WAIT_S):
            data = await reader.read(_CHUNK)
        if not data:
            raise NetworkError("http-reset")
        start, end, size = _kept(start, data), (end + data)[-_KEPT:], size + len(data)
    return Fetched(start, size, end)


def _granted(data: bytes) -> int:
    words = data[2:].lower().split(b"\0")
    named = dict(zip(words[::2], words[1::2], strict=False))
    return int(named.get(b"blksize", b"512"))


def _option(code: int, value: bytes) -> bytes:
    return bytes((code, len(value))) + value


def _options(packet: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 240
    while at + 1 < len(packet) and packet[at] != 255:
        if packet[at] == 0:
            at += 1
            continue
        found[packet[at]] = packet[at + 2 : at + 2 + packet[at + 1]]
        at += 2 + packet[at + 1]
    return found


def _address(data: bytes) -> str:
    return str(ipaddress.IPv4Address(data))
