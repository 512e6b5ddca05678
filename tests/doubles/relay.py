"""A UDP relay that stands before a BMC: what passes, and how late, is up to the test."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections import deque


class Relay:
    """Passes packets between clients and a BMC, those of the BMC `late_s` seconds late; while `cut` none.

    It listens on `host`, on any port or on `port`.
    """

    def __init__(self, bmc: tuple[str, int], host: str, port: int = 0, *, late_s: float = 0.0) -> None:
        self.cut = False
        self._bmc = bmc
        self._late_s = late_s
        self._front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._front.bind((host, port))
        self.address, self.port = self._front.getsockname()
        self._backs: dict[tuple[str, int], socket.socket] = {}
        self._due: deque[tuple[float, bytes, tuple[str, int]]] = deque()
        self._closed = False
        threading.Thread(target=self._serve, daemon=True).start()

    def passes(self, packet: bytes, *, of_client: bool) -> bool:
        """Return whether a packet goes through."""
        return not self.cut

    def altered(self, packet: bytes) -> bytes:
        """Return what a client gets of a packet of the BMC."""
        return packet

    def close(self) -> None:
        """Stop."""
        self._closed = True

    def _serve(self) -> None:
        clients: dict[socket.socket, tuple[str, int]] = {}
        while not self._closed:
            wait_s = max(0.0, self._due[0][0] - time.monotonic()) if self._due else 0.2
            for ready in select.select([self._front, *clients], [], [], min(wait_s, 0.2))[0]:
                with contextlib.suppress(OSError):
                    packet, sender = ready.recvfrom(4096)
                    if not self.passes(packet, of_client=ready is self._front):
                        continue
                    if ready is self._front:
                        clients[self._back(sender)] = sender
                        self._backs[sender].send(packet)
                    else:
                        due_s = time.monotonic() + self._late_s
                        self._due.append((due_s, self.altered(packet), clients[ready]))
            while self._due and self._due[0][0] <= time.monotonic():
                _, packet, client = self._due.popleft()
                with contextlib.suppress(OSError):
                    self._front.sendto(packet, client)
        for each in (self._front, *clients):
            each.close()

    def _back(self, client: tuple[str, int]) -> socket.socket:
        if client not in self._backs:
            self._backs[client] = back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            back.connect(self._bmc)
        return self._backs[client]
