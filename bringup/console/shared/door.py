"""The name under which a console is found on this host, and who may come in.

The socket has a name without a file (unix(7), abstract): it is gone with its process, whatever ends that.
"""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import struct

_BACKLOG = 16
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: struct ucred


class TakenError(Exception):
    """Somebody on this host serves this console already."""


def listen(console: str) -> socket.socket:
    """Take the name of `console`, which says which it is to everybody; raises TakenError, OSError."""
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        door.bind(_name(console))
    except OSError as error:
        door.close()
        if error.errno == errno.EADDRINUSE:
            raise TakenError from None
        raise
    door.listen(_BACKLOG)
    return door


def connect(console: str, timeout_s: float) -> socket.socket:
    """Return a connection to who serves `console`; raises OSError, PermissionError for another person."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        connection.settimeout(timeout_s)
        connection.connect(_name(console))
        if not is_trusted(connection):
            raise PermissionError("served by another user")
    except OSError:
        connection.close()
        raise
    return connection


def is_trusted(connection: socket.socket) -> bool:
    """Return whether the other end is the same person's: this user, root, or who called sudo for us."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    uid = _CREDENTIALS.unpack(credentials)[1]
    return uid in (0, os.geteuid()) or (os.geteuid() == 0 and str(uid) == os.environ.get("SUDO_UID"))


def _name(console: str) -> str:
    return "\0bringup-console-" + hashlib.sha256(console.encode()).hexdigest()[:32]
