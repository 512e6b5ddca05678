"""What a boot and the process that serves say to each other: lines of JSON, and open files beside them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bringup.netboot.catalog import Descriptor

_CHUNK = 65536
_LINE_MAX = 1 << 20
_DESCRIPTORS_MAX = 256
_AT_ONCE = 64
# What a boot that reads no more (a stopped process) may leave waiting for it.
_WAITING_MAX = 4 << 20


def send_line(sock: socket.socket, body: Mapping[str, Any]) -> None:
    """Send one line on a blocking socket; raises OSError."""
    sock.sendall(json.dumps(body).encode() + b"\n")


def send_descriptors(sock: socket.socket, numbers: Sequence[int]) -> None:
    """Send open files; they belong to the line that follows. Raises OSError."""
    for start in range(0, len(numbers), _AT_ONCE):
        socket.send_fds(sock, [b"\n"], list(numbers[start : start + _AT_ONCE]))


class Lines:
    """The lines that a blocking socket brings."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._data = b""

    def next(self) -> dict[str, Any] | None:
        """Return the next line, None when the other side has ended; raises TimeoutError, ValueError."""
        while b"\n" not in self._data:
            try:
                data = self._socket.recv(_CHUNK)
            except TimeoutError:
                raise
            except OSError:
                return None
            if not data:
                return None
            self._data += data
        line, _, self._data = self._data.partition(b"\n")
        body = json.loads(line)
        if not isinstance(body, dict):
            raise ValueError("not an object")
        return body


class Wire:
    """One boot's connection, in the loop of the process that serves; `say` may be called from any thread.

    `heard` is given each line with the open files that came before it, `ended` is called once.
    """

    def __init__(
        self,
        sock: socket.socket,
        heard: Callable[[dict[str, Any], list[Descriptor]], None],
        ended: Callable[[], None],
    ) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._heard = heard
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._in, self._out = b"", b""
        self._files: list[Descriptor] = []
        self._closing = False
        self._loop.add_reader(sock, self._read)

    def say(self, text: str) -> None:
        """Send one line; what nobody takes is not kept for ever."""
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(self._queue, text.encode() + b"\n")

    def say_body(self, body: Mapping[str, Any]) -> None:
        """Send one line, from the loop itself."""
        self._queue(json.dumps(body).encode() + b"\n")

    def close(self) -> None:
        """End the connection once what was said is sent."""
        self._closing = True
        self._write()

    def _queue(self, data: bytes) -> None:
        if not self._closing and len(self._out) + len(data) <= _WAITING_MAX:
            self._out += data
            self._write()

    def _write(self) -> None:
        if self._socket.fileno() < 0:
            return
        try:
            sent = self._socket.send(self._out) if self._out else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            self._end()
            return
        self._out = self._out[sent:]
        if self._out:
            self._loop.add_writer(self._socket, self._write)
            return
        self._loop.remove_writer(self._socket)
        if self._closing:
            self._end()

    def _read(self) -> None:
        try:
            data, numbers, _flags, _ = socket.recv_fds(self._socket, _CHUNK, _AT_ONCE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data, numbers = b"", []
        self._files += [Descriptor(number) for number in numbers]
        for file in self._files[len(self._files) - len(numbers) :]:
            os.set_inheritable(file.number, False)
        self._in += data
        if not data or len(self._in) > _LINE_MAX or len(self._files) > _DESCRIPTORS_MAX:
            self._end()
            return
        while b"\n" in self._in and self._socket.fileno() >= 0:
            line, _, self._in = self._in.partition(b"\n")
            if line.strip():
                self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            body = json.loads(line)
        except (ValueError, RecursionError):
            body = None
        files, self._files = self._files, []
        if isinstance(body, dict):
            self._heard(body, files)
        else:
            self._end()

    def _end(self) -> None:
        if self._socket.fileno() < 0:
            return
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        self._files = []
        self._ended()
