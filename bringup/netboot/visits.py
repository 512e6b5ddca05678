"""Requests that a boot answers itself: they come to the port that its files are fetched from, and no other.

The process that serves looks at the first bytes of a board's connection without taking them. Where they ask
for something below the secret path of that board's boot, the open connection goes to the boot, as the boot's
files came here: as a descriptor over a socket of AF_UNIX, which crosses users and network namespaces.
"""

from __future__ import annotations

import contextlib
import hmac
import socket

from bringup.netboot.catalog import Descriptor
from bringup.netboot.spec import Visits

HEAD_BYTES = 128
"""How much of a request is looked at: a method and a path (`Visits.url_path`) fit."""


class Visitors:
    """The boot's side: where its connections arrive. `close()` it."""

    def __init__(self) -> None:
        self.near, self._far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    @property
    def descriptor(self) -> int:
        """Return what the process that serves is given, this time and each time it was killed."""
        return self._far.fileno()

    def accept(self) -> socket.socket:
        """Return the next connection; waits for it. Raises OSError."""
        _, descriptors, _, _ = socket.recv_fds(self.near, 1, 1)
        if not descriptors:
            raise OSError("no connection came with the message")
        visitor = socket.socket(fileno=descriptors[0])
        visitor.setblocking(True)
        return visitor

    def close(self) -> None:
        """Take no more."""
        self.near.close()
        self._far.close()


class Usher:
    """The serving side: hands over what is meant for one boot, `file` is the descriptor that it sent."""

    def __init__(self, visits: Visits, file: Descriptor) -> None:
        self._path = f"{visits.url_path}/".encode("ascii")
        self._file = file

    def wants(self, head: bytes) -> bool:
        """Return whether a request that begins with `head` is for the boot itself."""
        _, _, target = head.partition(b" ")
        return hmac.compare_digest(target[: len(self._path)], self._path)

    def hand_over(self, sock: socket.socket) -> None:
        """Give a connection away: it is closed here, and there, too, where the boot takes it no more."""
        with sock, contextlib.suppress(OSError):
            way = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=self._file.number)
            try:
                way.setblocking(False)
                socket.send_fds(way, [b"\n"], [sock.fileno()])
            finally:
                way.detach()  # the number stays the descriptor's
