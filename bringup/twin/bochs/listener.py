"""Listens inside the twin's namespace and hands the sockets out: Bochs connects its UARTs by TCP only.

Run there as a program, its standard input is a UNIX socket that takes the two listening sockets
(SCM_RIGHTS, unix(7)); then it ends.
"""

from __future__ import annotations

import array
import socket
import subprocess
import sys
from collections.abc import Sequence

from bringup.base.errors import LabError

_TIMEOUT_S = 10.0
_COUNT = 2


def listen_inside(enter: Sequence[str]) -> tuple[socket.socket, socket.socket]:
    """Return two sockets that listen on loopback where the command prefix `enter` leads; raises LabError."""
    near, far = socket.socketpair()
    with near, far:
        done = subprocess.run(
            [*enter, sys.executable, "-P", "-m", __name__],
            stdin=far.fileno(),
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        near.settimeout(_TIMEOUT_S)
        descriptors = socket.recv_fds(near, 1, _COUNT)[1] if done.returncode == 0 else []
    if len(descriptors) != _COUNT:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        why = " ".join(last) or "no reason"
        raise LabError(f"the twin's serial ports cannot be made in its network: {why}")
    first, second = (socket.socket(fileno=descriptor) for descriptor in descriptors)
    return first, second


def main() -> int:
    """Listen, hand out, end."""
    with socket.socket(fileno=0) as starter:
        listeners = [socket.create_server(("127.0.0.1", 0), backlog=1) for _ in range(_COUNT)]
        descriptors = array.array("i", (each.fileno() for each in listeners))
        socket.send_fds(starter, [b"\0"], list(descriptors))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
