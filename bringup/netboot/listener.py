"""A socket that a board can reach, in the network that the board is in: for who speaks with it themselves.

    python -m bringup.netboot.listener ADDRESS DESCRIPTOR

runs in the network of a twin, listens at a free port there and hands the socket over.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterable, Sequence

from bringup.base.errors import LabError
from bringup.netboot.listen import bind_error
from bringup.netboot.packet_filter import attach, from_boards

_BACKLOG = 16
_TIMEOUT_S = 20.0


def listen_for(address: str, macs: Iterable[str], enter: Sequence[str] = ()) -> socket.socket:
    """Return a socket that listens at a free port of `address` and hears these MACs and this host only.

    `enter` is the command prefix that runs a program in the network of the board, empty for the host's own.
    Raises LabError.
    """
    sock = _handed_over(address, enter) if enter else listening(address)
    attach(sock, from_boards(macs))
    return sock


def listening(address: str) -> socket.socket:
    """Listen at a free port of `address` here; raises LabError."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.bind((address, 0))
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise bind_error("the maintenance ramdisk's orders", "TCP", address, 0, error) from None
    return sock


def _handed_over(address: str, enter: Sequence[str]) -> socket.socket:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with near, far:
        words = [*enter, sys.executable, "-m", "bringup.netboot.listener", address, str(far.fileno())]
        try:
            done = subprocess.run(
                words,
                pass_fds=(far.fileno(),),
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise LabError(f"cannot listen in the board's network: {error}") from None
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["it gave no reason"])[-1]
            raise LabError(f"cannot listen in the board's network: {last}")
        near.settimeout(_TIMEOUT_S)
        _, descriptors, _, _ = socket.recv_fds(near, 1, 1)
    return socket.socket(fileno=descriptors[0])


def main() -> int:
    """Listen, hand over, end."""
    address, descriptor = sys.argv[1], int(sys.argv[2])
    with socket.socket(fileno=descriptor) as far, listening(address) as sock:
        socket.send_fds(far, [b"\n"], [sock.fileno()])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
