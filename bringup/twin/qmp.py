"""A small client of the QEMU Machine Protocol (docs/interop/qmp-spec.txt) on a connected socket."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import threading
from collections.abc import Callable
from queue import Empty, Queue
from typing import Any

from bringup.base.errors import BringupError

REPLY_TIMEOUT_S = 5.0


class Qmp:
    """One monitor connection: `execute` from any thread; events go to `on_event` from the reader thread."""

    def __init__(self, connection: socket.socket, on_event: Callable[[str, dict[str, Any]], None]) -> None:
        self._connection = connection
        self._on_event = on_event
        self._replies: Queue[dict[str, Any] | None] = Queue()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read, name="qmp", daemon=True)
        self._reader.start()
        self.execute("qmp_capabilities")

    def execute(self, command: str, **arguments: Any) -> Any:
        """Run a command and return its result; raises BringupError when QEMU refuses or is gone."""
        with self._lock:
            number = next(self._numbers)
            body = {"execute": command, "arguments": arguments, "id": number}
            try:
                self._connection.sendall(json.dumps(body).encode() + b"\n")
                # An answer that came too late for the command before is not this one's.
                while (reply := self._replies.get(timeout=REPLY_TIMEOUT_S)) and reply.get("id") != number:
                    continue
            except (OSError, Empty):
                reply = None
        if reply is None:
            raise BringupError(f"QEMU does not answer on its monitor ({command})")
        if "error" in reply:
            raise BringupError(f"QEMU refused {command}: {reply['error'].get('desc', 'no reason')}")
        return reply.get("return")

    def _read(self) -> None:
        # QEMU may end at any time; its process tells the rest.
        with self._connection.makefile("rb") as lines, contextlib.suppress(OSError, ValueError):
            for line in lines:
                self._dispatch(json.loads(line))
        self._replies.put(None)

    def _dispatch(self, message: dict[str, Any]) -> None:
        if "event" in message:
            self._on_event(message["event"], message.get("data", {}))
        elif "return" in message or "error" in message:
            self._replies.put(message)

    def close(self) -> None:
        """Close the connection; the reader thread ends with it."""
        with contextlib.suppress(OSError):  # closed already by QEMU's end
            self._connection.shutdown(socket.SHUT_RDWR)
        self._reader.join(REPLY_TIMEOUT_S)
        self._connection.close()
