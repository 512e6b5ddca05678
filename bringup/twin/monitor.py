"""QEMU's monitor of a running twin, from another process: `info pci` and the like, as text.

The twin's process listens on a socket in its private runtime folder. One line of JSON is the question, one
the answer.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bringup.base.errors import BringupError, LabError
from bringup.base.local_socket import connect, listen, stop_listening

_NAME = "monitor"
_QUESTION_MAX = 4096
_ANSWER_MAX = 8 << 20
_TIMEOUT_S = 10.0


class MonitorServer:
    """Answers questions to the monitor until closed; `answer` raises BringupError for what it cannot."""

    def __init__(self, folder: Path, answer: Callable[[str], str]) -> None:
        self._answer = answer
        self._listener = listen(folder, _NAME)
        self._thread = threading.Thread(target=self._serve, name="monitor", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # closed
            with connection, contextlib.suppress(OSError):
                connection.settimeout(_TIMEOUT_S)
                connection.sendall(self._reply(_read_line(connection, _QUESTION_MAX)))

    def _reply(self, line: bytes) -> bytes:
        try:
            body: dict[str, Any] = {"text": self._answer(str(json.loads(line)["command"]))}
        except BringupError as error:
            body = {"error": error.to_dict()}
        except (ValueError, KeyError, TypeError):
            body = {"error": LabError("not a question to the monitor").to_dict()}
        return json.dumps(body).encode() + b"\n"

    def close(self) -> None:
        """Stop listening."""
        stop_listening(self._listener)
        self._thread.join(_TIMEOUT_S)


def ask_monitor(folder: Path, command: str) -> str:
    """Return what QEMU's monitor prints for `command` in the twin of this runtime folder; raises LabError."""
    try:
        with connect(folder, _NAME, _TIMEOUT_S) as connection:
            connection.sendall(json.dumps({"command": command}).encode() + b"\n")
            answer = json.loads(_read_line(connection, _ANSWER_MAX))
        failed = BringupError.from_dict(answer["error"]) if "error" in answer else None
    except (OSError, ValueError) as error:
        raise LabError(
            f"the twin does not answer on its monitor: {error}", hint="bringup twin status"
        ) from None
    if failed is not None:
        raise failed
    return str(answer["text"])


def _read_line(connection: socket.socket, limit: int) -> bytes:
    data = b""
    while not data.endswith(b"\n") and len(data) < limit:
        chunk = connection.recv(65536)
        if not chunk:
            break
        data += chunk
    return data
