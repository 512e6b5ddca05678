"""A person at a plain line, such as a guest's console: keys go there, text comes back, nothing in between."""

from __future__ import annotations

import contextlib
import os
import select
import socket

from bringup.console.terminal import raw_terminal

LEAVE = 0x1D
"""The key that leaves the line: Ctrl-]."""


def sit_at(line: socket.socket, keys: int, screen: int) -> None:
    """Join the descriptors of keys and screen to a line until Ctrl-], the end of the keys, or of the line.

    Where the keys end first (a pipe), what the line still says within a second is shown.
    """
    typing = True
    with raw_terminal(keys) if os.isatty(keys) else contextlib.nullcontext():
        while True:
            heard = [line.fileno(), keys] if typing else [line.fileno()]
            ready, _, _ = select.select(heard, [], [], None if typing else 1.0)
            if not ready:
                return
            if line.fileno() in ready:
                if not (text := line.recv(65536)):
                    return
                os.write(screen, text)
            if keys in ready:
                typed = os.read(keys, 1024)
                before, leave, _ = typed.partition(bytes([LEAVE]))
                line.sendall(before)
                if leave:
                    return
                typing = bool(typed)
