"""Reads what a virtual board prints on a serial port, from the emulator's end of a socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

_CHUNK = 4096


def start_reading(line: socket.socket, take: Callable[[bytes], object]) -> None:
    """Pass all that comes on `line` to `take`, from a thread of its own, until the line ends."""
    threading.Thread(target=_read, args=(line, take), name="uart", daemon=True).start()


def _read(line: socket.socket, take: Callable[[bytes], object]) -> None:
    while True:
        try:
            data = line.recv(_CHUNK)
        except OSError:
            return
        if not data:
            return
        take(data)
