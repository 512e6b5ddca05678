"""The port of HTTP of the process that serves, for a boot that is not served by one."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress

from bringup.netboot.catalog import Descriptor
from bringup.netboot.spec import Visits
from bringup.netboot.visits import Usher


class FrontDoor:
    """Hands every connection to one boot, whatever it asks, until `close()`."""

    def __init__(self, visits: Visits) -> None:
        self._usher = Usher(visits, Descriptor(os.dup(visits.descriptor)))
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._listening.close()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._listening.accept()
                self._usher.hand_over(sock)
