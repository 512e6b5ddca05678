"""The twin's COM1, which Serial-over-LAN does not show: what the board prints there, for whoever listens.

The chassis feeds a server in the twin's runtime folder; a boot connects and reads. What nobody listens to is
not kept: QEMU must never wait for a reader, and a twin that is up for days must not fill a disk.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from pathlib import Path

from bringup.base.errors import ConsoleLostError, LabError
from bringup.base.local_socket import connect, listen, stop_listening

_NAME = "com1"
_CHUNK = 4096
_SEND_TIMEOUT_S = 2.0
_JOIN_S = 5.0


class Com1Server:
    """Gives every connection what is fed from then on, until closed.

    A reader that takes nothing for `send_timeout_s` has gone wrong; the board goes on without it.
    """

    def __init__(self, folder: Path, *, send_timeout_s: float = _SEND_TIMEOUT_S) -> None:
        self._send_timeout_s = send_timeout_s
        self._readers: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener = listen(folder, _NAME)
        self._thread = threading.Thread(target=self._accept, name="com1", daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # closed
            connection.settimeout(self._send_timeout_s)
            # One byte that is no text says that all from here on is heard.
            with contextlib.suppress(OSError), self._lock:
                connection.sendall(b"\0")
                self._readers.append(connection)

    def feed(self, data: bytes) -> None:
        """Pass bytes on to all who listen."""
        with self._lock:
            for reader in list(self._readers):
                try:
                    reader.sendall(data)
                except OSError:
                    self._readers.remove(reader)
                    reader.close()

    def close(self) -> None:
        """Stop listening and part from all."""
        stop_listening(self._listener)
        self._thread.join(_JOIN_S)
        with self._lock:
            for reader in self._readers:
                reader.close()
            self._readers.clear()


class Com1Console:
    """COM1 of the twin in a runtime folder, as a console that is only read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._connection: socket.socket | None = None
        self._alive_s = time.monotonic()

    @property
    def alive_s(self) -> float:
        """When the line was last known to be there."""
        return self._alive_s

    def describe(self) -> str:
        """Return which console this is."""
        return "COM1 of the twin"

    def open(self, timeout_s: float) -> None:
        """Connect; raises LabError when the twin does not answer."""
        self.close()
        try:
            connection = connect(self._folder, _NAME, timeout_s)
            greeting = connection.recv(1)
        except OSError as error:
            raise LabError(
                f"the twin does not give its COM1: {error}",
                hint="end it and start it anew: bringup twin down",
            ) from None
        if not greeting:
            raise LabError("the twin does not give its COM1: it was just ended")
        self._connection = connection
        self._alive_s = time.monotonic()

    def read(self, timeout_s: float) -> bytes:
        """Return what came in within `timeout_s`; raises ConsoleLostError when the twin is gone."""
        connection = self._connection
        if connection is None:
            raise ConsoleLostError("COM1 of the twin is not open")
        connection.settimeout(timeout_s)
        try:
            data = connection.recv(_CHUNK)
        except TimeoutError:
            return b""
        except OSError as error:
            raise ConsoleLostError(f"COM1 of the twin was lost: {error}") from None
        if not data:
            raise ConsoleLostError("COM1 of the twin was lost: the twin was ended")
        self._alive_s = time.monotonic()
        return data

    def write(self, data: bytes) -> None:
        """Refuse: nobody types on this port."""
        raise LabError("the twin's COM1 is only recorded")

    def send_break(self) -> None:
        """Refuse, as `write` does."""
        raise LabError("the twin's COM1 is only recorded")

    def close(self) -> None:
        """Part from it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
