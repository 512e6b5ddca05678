"""Filters of the kernel's for our sockets: what strangers send never reaches this process.

Classic BPF (Documentation/networking/filter.rst of Linux): five instructions for each MAC address that is let
through. The numbers are those of linux/filter.h and linux/bpf_common.h.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
from collections.abc import Iterable

Instruction = tuple[int, int, int, int]

_SO_ATTACH_FILTER = 26  # asm-generic/socket.h
_LINK_HEADER = 0xFFE00000  # SKF_LL_OFF, -0x200000
_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE, _LOAD_HEADER_LENGTH, _LOAD_HALF_AT = 0x20, 0x28, 0x30, 0xB1, 0x48
_IF_EQUAL, _IF_SET, _RETURN = 0x15, 0x45, 0x06
_ALL, _NOTHING = 0xFFFFFFFF, 0
# What this host sends to itself.
_LOOPBACK = "00:00:00:00:00:00"
_UDP = 17


def from_boards(macs: Iterable[str]) -> list[Instruction]:
    """Return the filter that lets through what these MACs and this host itself send (pure)."""
    return [*_if_from((*macs, _LOOPBACK)), (_RETURN, 0, 0, _NOTHING)]


def dhcp_of_interest(macs: Iterable[str]) -> list[Instruction]:
    """Return the filter for IPv4 packets: answers of DHCP servers, and what these MACs ask of them (pure)."""
    drop = (_RETURN, 0, 0, _NOTHING)
    return [
        *((_LOAD_BYTE, 0, 0, 9), (_IF_EQUAL, 1, 0, _UDP), drop),
        *((_LOAD_HALF, 0, 0, 6), (_IF_SET, 0, 1, 0x1FFF), drop),  # a later fragment has no ports
        *((_LOAD_HEADER_LENGTH, 0, 0, 0), (_LOAD_HALF_AT, 0, 0, 2)),
        *((_IF_EQUAL, 0, 1, 68), (_RETURN, 0, 0, _ALL)),
        *((_IF_EQUAL, 1, 0, 67), drop),
        *_if_from(macs),
        drop,
    ]


def _if_from(macs: Iterable[str]) -> Iterable[Instruction]:
    for mac in macs:
        first, last = struct.unpack("!IH", bytes.fromhex(mac.replace(":", "")))
        yield (_LOAD_WORD, 0, 0, _LINK_HEADER + 6)
        yield (_IF_EQUAL, 0, 3, first)
        yield (_LOAD_HALF, 0, 0, _LINK_HEADER + 10)
        yield (_IF_EQUAL, 0, 1, last)
        yield (_RETURN, 0, 0, _ALL)


def attach(sock: socket.socket, instructions: list[Instruction]) -> None:
    """Give a socket a filter instead of the one it has; a kernel without them leaves it as it is."""
    code = b"".join(struct.pack("HBBI", *line) for line in instructions)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HP", len(instructions), ctypes.addressof(buffer))
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
