"""Listens for spanning tree: whether the switch at our end of a segment speaks it, and with which delay.

A bridge sends a configuration BPDU every 2 s (IEEE 802.1D-2004 9.3, 17.14), to an address that no bridge
forwards: what is heard is said by the next one.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from dataclasses import dataclass

LISTEN_S = 4.5
"""Two hellos at the usual distance, and a bit."""

_ETH_P_802_2, _SOL_PACKET, _ADD_MEMBERSHIP, _MR_MULTICAST = 0x0004, 263, 1, 0  # linux/if_ether.h, if_packet.h
_BRIDGES = bytes.fromhex("0180c2000000")
_LLC = b"\x42\x42\x03"
_VERSIONS = {0: "STP", 2: "RSTP", 3: "MSTP"}
_DELAY_AT, _UNITS = 33, 256
_FRAME_MAX = 256


@dataclass(frozen=True, slots=True)
class SpanningTree:
    """What a bridge says: its version of the protocol, and the seconds that a port listens, then learns."""

    version: str
    forward_delay_s: float


def read_bpdu(data: bytes) -> SpanningTree | None:
    """Return what a frame after its addresses and length says; None for anything but a configuration BPDU."""
    bpdu = data.removeprefix(_LLC)
    if len(bpdu) == len(data) or len(bpdu) < _DELAY_AT + 2 or bpdu[:2] != b"\0\0" or bpdu[3] not in (0, 2):
        return None
    version = _VERSIONS.get(bpdu[2])
    (delay,) = struct.unpack_from("!H", bpdu, _DELAY_AT)
    return None if version is None else SpanningTree(version, delay / _UNITS)


def heard_tree(interface: str, seconds: float = LISTEN_S) -> SpanningTree | None:
    """Return what the next bridge says on an interface, if one speaks; raises OSError without the right."""
    deadline_s = time.monotonic() + seconds
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_802_2)) as sock:
        sock.bind((interface, _ETH_P_802_2))
        index = socket.if_nametoindex(interface)
        group = struct.pack("iHH8s", index, _MR_MULTICAST, len(_BRIDGES), _BRIDGES)
        sock.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, group)
        while (left_s := deadline_s - time.monotonic()) > 0 and select.select([sock], [], [], left_s)[0]:
            data, (_, _, kind, *_) = sock.recvfrom(_FRAME_MAX)
            found = read_bpdu(data)
            if found is not None and kind != socket.PACKET_OUTGOING:
                return found
    return None
