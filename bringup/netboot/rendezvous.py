"""Where boots of this host meet: one socket per interface, behind which one process serves them all.

The process lives as long as somebody is connected to it, and belongs to nobody: the first boot starts it, the
last one ends it, and none can take it from the others. Where it is, is said by the name of its socket, in the
folder of the locks that all users of the host share; what a twin's private network is served by is its
user's own.
"""

from __future__ import annotations

import contextlib
import fcntl
import grp
import hashlib
import os
import pwd
import re
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bringup.base import local_socket
from bringup.base.errors import LabError
from bringup.base.paths import is_at, open_lock, runtime_dir
from bringup.lab.lease import HOST_LOCKS

GROUP = "bringup"
"""The group whose members boot together; a host need not have it."""

_CONNECT_S = 5.0


@dataclass(frozen=True, slots=True)
class Rendezvous:
    """The meeting point of one interface of one network namespace."""

    folder: Path
    name: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise LabError(f"not a meeting point of boots: {self.name!r}")

    @classmethod
    def of(cls, interface: str, enter: Sequence[str] = (), folder: Path | None = None) -> Rendezvous:
        """Return the point for an interface, in the network that the command prefix `enter` leads to."""
        here = Path("/proc/self/ns/net").stat().st_ino
        key = hashlib.sha256(repr((here, tuple(enter), interface)).encode()).hexdigest()[:16]
        shared = not enter and os.access(HOST_LOCKS, os.W_OK)
        return cls(folder or (HOST_LOCKS if shared else runtime_dir()), f"bringup-serve-{key}")

    def connect(self) -> socket.socket | None:
        """Return a connection to the process that serves, None when there is none; `peer_of` says whose."""
        for path in sorted(self.folder.glob(f"{self.name}-*.sock")):
            with contextlib.suppress(OSError):
                return local_socket.connect(self.folder, path.name, _CONNECT_S)
        return None

    def is_met(self) -> bool:
        """Return whether a process serves here."""
        sock = self.connect()
        if sock is not None:
            sock.close()
        return sock is not None

    def lock(self) -> int | None:
        """Return the lock that the serving process holds, None while another holds it; raises LabError."""
        path = self._lock_path
        try:
            descriptor = open_lock(path, 0o666)
        except OSError as error:
            raise LabError(
                f"cannot open the lock {path}: {error.strerror}",
                hint="another user made it unreadable, or it is a link: remove it",
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if not is_at(path, descriptor):
            os.close(descriptor)  # its holder took the file away in this moment: the next one is another
            return None
        with contextlib.suppress(PermissionError):  # made by another user, and open to us already
            os.fchmod(descriptor, 0o666)
        return descriptor

    def forget(self) -> None:
        """Take the file of the lock away; only for who holds it, as the last act."""
        with contextlib.suppress(OSError):  # made by another user, whose it stays
            self._lock_path.unlink()

    def listen(self) -> socket.socket:
        """Return the socket to meet at; only for who holds the lock. Raises LabError."""
        try:
            self.path.unlink(missing_ok=True)  # left by a process that was killed
            sock = local_socket.listen(self.folder, self.path.name)
            # Who may do what is asked of everybody who connects.
            self.path.chmod(0o666)
        except OSError as error:
            raise LabError(f"boots cannot meet at {self.path}: {error.strerror}") from None
        sock.setblocking(False)
        return sock

    @property
    def _lock_path(self) -> Path:
        return self.folder / f"{self.name}.lock"

    @property
    def path(self) -> Path:
        """The socket that this user makes; another user's has another name, which only they can remove."""
        # In a user namespace this is root; the file then belongs to who made the namespace.
        return self.folder / f"{self.name}-{_outer_uid()}.sock"


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of a socket: SO_PEERCRED of unix(7)."""

    pid: int
    uid: int

    @property
    def is_trusted(self) -> bool:
        """Whether that user and this one boot together: the same, root, or both of the group `bringup`.

        Serving a board is a right that its process was given; who was not given it must not borrow it.
        """
        ours = os.geteuid()
        return self.uid in (ours, 0) or (_is_member(self.uid) and _is_member(ours))

    def __str__(self) -> str:
        return f"{_user_name(self.uid)} (process {self.pid})"


def peer_of(sock: socket.socket) -> Peer:
    """Return who is at the other end."""
    pid, uid, _gid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return Peer(pid, uid)


def _is_member(uid: int) -> bool:
    try:
        return _user_name(uid) in grp.getgrnam(GROUP).gr_mem
    except KeyError:
        return False


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


_NAME = re.compile(r"bringup-serve-[0-9a-f]{16}", re.ASCII)


def _outer_uid() -> int:
    """Return the user id that files of this process have outside its user namespace."""
    uid = os.geteuid()
    try:
        ranges = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
    except OSError:
        return uid
    for inside, outside, count in ((int(word) for word in words) for words in ranges):
        if inside <= uid < inside + count:
            return outside + uid - inside
    return uid
