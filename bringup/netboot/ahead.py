"""The process that serves an interface, started before it is needed: starting takes longer than joining.

It serves nobody before a boot has joined; with nobody connected it ends by itself.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

from bringup.base.child import Child
from bringup.base.errors import BringupError
from bringup.base.privilege import lent, sudo_prefix
from bringup.netboot.rendezvous import Rendezvous

TITLE = "the process that serves the network boot"
READY_TIMEOUT_S = 20.0
_MODULE = "bringup.netboot.serve"

# Of the whole process: the boots of a batch are threads that share nothing else.
_starters: dict[Rendezvous, threading.Lock] = {}


def launch(point: Rendezvous, enter: Sequence[str]) -> None:
    """Start the process where it is not there, which then belongs to nobody.

    Of many boots of this process that begin together one starts it and the others wait; that another process
    does so, too, is harmless.
    """
    with _starters.setdefault(point, threading.Lock()):
        if point.is_met():
            return
        child = Child(_MODULE, TITLE, enter=enter or sudo_prefix(_MODULE))
        with lent():
            child.start({"folder": str(point.folder), "name": point.name}, READY_TIMEOUT_S)
        child.release()


class Ahead:
    """Sees in a thread to it that the process of an interface is there, and stays until `close`.

    What goes wrong is not told here: who needs the process meets the same trouble, and tells it. `enter` and
    `meeting` are as for NetbootServer.
    """

    def __init__(self, interface: str, enter: Sequence[str] = (), meeting: Path | None = None) -> None:
        self._point = Rendezvous.of(interface, enter, meeting)
        self._enter = tuple(enter)
        self._connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="serve-ahead", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(BringupError, OSError, subprocess.SubprocessError):
            self._connection = self._point.connect()
            if self._connection is None:
                launch(self._point, self._enter)
                self._connection = self._point.connect()

    def wait(self) -> None:
        """Return once the process is there, or cannot be had."""
        self._thread.join(READY_TIMEOUT_S)

    def close(self) -> None:
        """Let go of it; a process that nobody joined ends."""
        self.wait()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
