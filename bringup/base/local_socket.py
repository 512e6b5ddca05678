"""Sockets of this host that lie in a folder.

Paths of sockets are short (unix(7): 108 bytes) and a home may lie deep, so both ends name theirs by an open
folder.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

_BACKLOG = 128
_FULL_PAUSE_S = 0.01


def listen(folder: Path, name: str) -> socket.socket:
    """Return a socket that listens as `name` in `folder`; raises OSError."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        with _short_path(folder, name) as path:
            listener.bind(path)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def connect(folder: Path, name: str, timeout_s: float) -> socket.socket:
    """Return a connection to whoever listens as `name` in `folder`; raises OSError where nobody does."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        connection.settimeout(timeout_s)
        with _short_path(folder, name) as path:
            _connect(connection, path, time.monotonic() + timeout_s)
    except OSError:
        connection.close()
        raise
    return connection


def _connect(connection: socket.socket, path: str, deadline_s: float) -> None:
    while True:
        try:
            connection.connect(path)
            return
        except BlockingIOError:
            # Somebody listens, and more have come than were taken yet (unix(7)): that is not "nobody".
            if time.monotonic() >= deadline_s:
                raise
            time.sleep(_FULL_PAUSE_S)


def stop_listening(listener: socket.socket) -> None:
    """Close a listener, and wake the thread that accepts on it."""
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@contextlib.contextmanager
def _short_path(folder: Path, name: str) -> Iterator[str]:
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)
