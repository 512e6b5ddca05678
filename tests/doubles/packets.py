"""Packet captures made of words: `Wire` sends packets at times, `save` writes them as pcap or pcapng."""

from __future__ import annotations

import io
import socket
import struct
from dataclasses import dataclass, field
from pathlib import Path

import dpkt

MAC, SERVER_MAC = "52:54:00:0e:30:10", "52:54:00:00:00:01"
BOARD, SERVER = "10.55.0.30", "10.55.0.1"
EPOCH_S = 1_764_361_800.0
DISCOVER, OFFER, REQUEST, ACK, NAK = 1, 2, 3, 5, 6


def dhcp_message(
    kind: int,
    *,
    mac: str = MAC,
    xid: int = 7,
    address: str | None = None,
    server: str | None = None,
    file: str | None = None,
    arch: int | None = None,
) -> bytes:
    options = bytes([53, 1, kind])
    if server:
        options += bytes([54, 4]) + socket.inet_aton(server)
    if file:
        options += bytes([67, len(file)]) + file.encode()
    if arch is not None:
        vendor = b"PXEClient:Arch:%05d:UNDI:002001" % arch
        options += bytes([60, len(vendor)]) + vendor + struct.pack("!BBH", 93, 2, arch)
    yours = socket.inet_aton(address or "0.0.0.0")  # noqa: S104
    head = struct.pack("!BBBBIHH4x4s8x", 2 if server else 1, 1, 6, 0, xid, 0, 0, yours)
    hardware = bytes.fromhex(mac.replace(":", "")) + bytes(10)
    return head + hardware + bytes(192) + b"\x63\x82\x53\x63" + options + b"\xff"


@dataclass
class Wire:
    """What went over a network, in order."""

    frames: list[tuple[float, bytes]] = field(default_factory=list)

    def udp(self, at_s: float, source: str, sport: int, target: str, dport: int, data: bytes) -> None:
        datagram = dpkt.udp.UDP(sport=sport, dport=dport, data=data, ulen=8 + len(data))
        self._ip(at_s, source, target, datagram, dpkt.ip.IP_PROTO_UDP)

    def tcp(
        self,
        at_s: float,
        source: str,
        sport: int,
        target: str,
        dport: int,
        data: bytes,
        seq: int,
        flags: int = 0x18,
        ack: int = 0,
    ) -> None:
        numbers = {"seq": seq & 0xFFFFFFFF, "ack": ack & 0xFFFFFFFF}
        segment = dpkt.tcp.TCP(sport=sport, dport=dport, flags=flags, data=data, **numbers)
        self._ip(at_s, source, target, segment, dpkt.ip.IP_PROTO_TCP)

    def _ip(self, at_s: float, source: str, target: str, inner: object, protocol: int) -> None:
        ends = {"src": socket.inet_aton(source), "dst": socket.inet_aton(target)}
        packet = dpkt.ip.IP(p=protocol, data=inner, **ends)
        packet.len = len(packet)
        macs = {"src": b"\x52\x54\0\0\0\1", "dst": b"\xff" * 6}
        self.frames.append((EPOCH_S + at_s, bytes(dpkt.ethernet.Ethernet(data=packet, type=0x0800, **macs))))

    # What boards do.

    def dhcp(self, at_s: float, kind: int, *, source: str = SERVER, **more: object) -> None:
        asks = kind in (DISCOVER, REQUEST)
        data = dhcp_message(kind, **({} if asks else {"server": source}), **more)  # type: ignore[arg-type]
        ports = (68, 67) if asks else (67, 68)
        self.udp(at_s, "0.0.0.0" if asks else source, ports[0], "255.255.255.255", ports[1], data)  # noqa: S104

    def lease(self, at_s: float, file: str | None = "boot.kpxe", arch: int = 0) -> None:
        self.dhcp(at_s, DISCOVER, arch=arch)
        self.dhcp(at_s + 0.1, OFFER, address=BOARD, file=file)
        self.dhcp(at_s + 0.2, REQUEST, arch=arch)
        self.dhcp(at_s + 0.3, ACK, address=BOARD, file=file)

    def tftp(
        self,
        at_s: float,
        path: str,
        content: bytes,
        *,
        block: int = 1024,
        blocks: int | None = None,
        port: int = 2070,
    ) -> None:
        request = struct.pack("!H", 1) + path.encode() + b"\0octet\0blksize\0%d\0tsize\x000\0" % block
        self.udp(at_s, BOARD, port, SERVER, 69, request)
        options = struct.pack("!H", 6) + b"blksize\0%d\0tsize\0%d\0" % (block, len(content))
        self.udp(at_s + 0.01, SERVER, 40001, BOARD, port, options)
        for number in range(len(content) // block + 1):
            if blocks is not None and number >= blocks:
                return
            piece = content[number * block : (number + 1) * block]
            header = struct.pack("!HH", 3, (number + 1) & 0xFFFF)
            for _ in range(2 if number == 1 else 1):  # the second block is sent again
                self.udp(at_s + 0.02 + number / 1000, SERVER, 40001, BOARD, port, header + piece)

    def http(
        self,
        at_s: float,
        path: str,
        content: bytes,
        *,
        port: int = 50001,
        cut: int | None = None,
        recorded: int | None = None,
        status: str = "200 OK",
        first: int = 0xFFFFFF00,
    ) -> None:
        """Send a file, whole or `cut` off; of one that came whole the capture may have `recorded` a part."""
        self.tcp(at_s, BOARD, port, SERVER, 80, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), 1)
        answer = f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n\r\n".encode()
        self.tcp(at_s + 0.01, SERVER, 80, BOARD, port, answer, first)
        body = content[: recorded if cut is None else cut]
        for start in range(0, len(body), 1400):
            piece, seq = body[start : start + 1400], first + len(answer) + start
            self.tcp(at_s + 0.02 + start / 1e6, SERVER, 80, BOARD, port, piece, seq)
        if cut is not None:
            self.tcp(at_s + 0.5, SERVER, 80, BOARD, port, b"", first + len(answer) + len(body), flags=0x14)
        elif recorded is not None:
            has = first + len(answer) + len(content) + 1  # the end counts as one byte
            self.tcp(at_s + 0.5, BOARD, port, SERVER, 80, b"", 60, flags=0x11, ack=has)

    def save(self, path: Path, *, ng: bool = False) -> Path:
        buffer = io.BytesIO()
        writer = dpkt.pcapng.Writer(buffer) if ng else dpkt.pcap.Writer(buffer)
        for at_s, frame in self.frames:
            writer.writepkt(frame, at_s)
        path.write_bytes(buffer.getvalue())
        return path
