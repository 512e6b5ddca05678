"""Packet captures (pcap, pcapng) as UDP and TCP payloads. Only this module knows dpkt."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bringup.base.errors import UsageError, reason_of
from bringup.base.regular_file import open_regular

PACKETS_MAX = 20_000_000


@dataclass(frozen=True, slots=True)
class Datagram:
    """What one IPv4 packet carried: `at_s` is seconds since the epoch; `seq` is TCP's, None of UDP.

    `ends`: TCP says that nothing more comes from this side; `ack`: what of the other side's has come, as its
    next `seq`. `size` is that of the whole payload, of which a
    capture may hold only the beginning.
    """

    at_s: float
    source: str
    source_port: int
    target: str
    target_port: int
    payload: bytes
    size: int
    seq: int | None = None
    ends: bool = False
    ack: int | None = None


def read_capture(path: Path) -> Iterator[Datagram]:
    """Yield the UDP and TCP packets of a capture in its order; what is neither is passed over.

    A capture that breaks off ends there. Raises UsageError for what is no packet capture.
    """
    # Imported late: a third of a second, which only this needs.
    import dpkt

    hint = "record one with: tcpdump -i INTERFACE -w FILE"
    try:
        file = open_regular(path)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {reason_of(error)}", hint=hint) from None
    except ValueError as error:
        raise UsageError(str(error), hint=hint) from None
    with file:
        try:
            packets = dpkt.pcap.UniversalReader(file)
            layer = _link_layer(packets.datalink(), dpkt)
        except _broken(dpkt):
            raise UsageError(f"{path} is no packet capture (pcap or pcapng)", hint=hint) from None
        if layer is None:
            raise UsageError(f"{path} was recorded on a link of an unknown kind", hint=hint)
        rows = iter(packets)
        for _ in range(PACKETS_MAX):
            try:
                at_s, data = next(rows, (None, b""))
            except _broken(dpkt):
                return  # it breaks off
            if at_s is None:
                return
            datagram = _datagram(float(at_s), data, layer, dpkt)
            if datagram is not None:
                yield datagram


def _broken(dpkt: Any) -> tuple[type[Exception], ...]:
    """Return what dpkt raises for bytes that are not what they should be."""
    return dpkt.Error, ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, OSError


def _link_layer(number: int, dpkt: Any) -> Any:
    """Return what reads a frame of a link (pcap-linktype(7)), None for one that carries no IP here."""
    pcap = dpkt.pcap
    layers = {
        pcap.DLT_EN10MB: dpkt.ethernet.Ethernet,
        pcap.DLT_LINUX_SLL: dpkt.sll.SLL,
        pcap.DLT_LINUX_SLL2: dpkt.sll2.SLL2,
        **dict.fromkeys((pcap.DLT_RAW, 12, 14, 101, 228), dpkt.ip.IP),
    }
    return layers.get(number)


def _datagram(at_s: float, data: bytes, layer: Any, dpkt: Any) -> Datagram | None:
    try:
        packet = layer(data)
        ip = packet if isinstance(packet, dpkt.ip.IP) else packet.data
        if not isinstance(ip, dpkt.ip.IP) or ip.offset:
            return None
        inner, ends = ip.data, (socket.inet_ntoa(ip.src), socket.inet_ntoa(ip.dst))
        if isinstance(inner, dpkt.udp.UDP):
            size = max(0, inner.ulen - 8)
            return Datagram(at_s, ends[0], inner.sport, ends[1], inner.dport, bytes(inner.data)[:size], size)
        if isinstance(inner, dpkt.tcp.TCP):
            size = max(0, ip.len - 4 * ip.hl - 4 * inner.off)
            over = bool(inner.flags & (dpkt.tcp.TH_FIN | dpkt.tcp.TH_RST))
            payload = bytes(inner.data)[:size]
            place = (ends[0], inner.sport, ends[1], inner.dport)
            ack = inner.ack if inner.flags & dpkt.tcp.TH_ACK else None
            return Datagram(at_s, *place, payload, size, inner.seq, over, ack)
    except _broken(dpkt):
        return None
    return None
