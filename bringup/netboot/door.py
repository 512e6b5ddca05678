"""The door of the HTTP server: who may hold a connection, how many, and for how long without asking anything.

A connection costs a descriptor before a byte of a request has come, so that it is counted and timed from the
moment it is accepted, by whom it comes from: strangers together have fewer than one board.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from aiohttp import web

from bringup.netboot.listen import bind_error
from bringup.netboot.packet_filter import attach, from_boards

CONNECTIONS_MAX = 64
PER_CLIENT_MAX = 24
STRANGERS_MAX = 16
_LOOK_EVERY_S = 0.5
_BACKLOG = 256
_NO_DESCRIPTOR_PAUSE_S = 0.1
_SHUTDOWN_S = 0.5


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a connection may wait, in seconds: to ask first, to ask again, to take what it asked for.

    A request comes in one packet; a board may halt between two files of one connection; a board that takes no
    byte for half a minute will not take the next either.
    """

    first_s: float = 10.0
    next_s: float = 30.0
    stall_s: float = 30.0


USUAL = Patience()


@dataclass(slots=True)
class _Guest:
    """A connection that is open; `ends_s` is when it has to have asked something, None while it is served."""

    client: str
    stranger: bool
    ends_s: float | None


class Door:
    """Listens on one address for `server`. Make it inside a running loop, `open()`, later `close()`."""

    def __init__(self, server: web.Server, is_stranger: Callable[[str], bool], patience: Patience) -> None:
        self._server = server
        self._is_stranger = is_stranger
        self._patience = patience
        self._guests: dict[asyncio.BaseTransport, _Guest] = {}
        self._socket: socket.socket | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._loop = asyncio.get_running_loop()

    def __len__(self) -> int:
        return len(self._guests)

    @property
    def port(self) -> int:
        """Return the port that is listened on."""
        assert self._socket is not None  # noqa: S101
        return int(self._socket.getsockname()[1])

    def open(self, address: str, port: int) -> None:
        """Listen; raises PortBusyError or LabError."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((address, port))
            sock.listen(_BACKLOG)
        except OSError as error:
            sock.close()
            raise bind_error("HTTP", "TCP", address, port, error) from None
        self._socket = sock
        self._tasks = [self._loop.create_task(self._accept(sock)), self._loop.create_task(self._look())]

    def let_in(self, macs: Iterable[str]) -> None:
        """Let only these MACs, and this host, connect; others hear nothing."""
        assert self._socket is not None  # noqa: S101
        attach(self._socket, from_boards(macs))

    async def close(self) -> None:
        """Stop listening and drop what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._socket is not None:
            self._socket.close()
        await self._server.shutdown(_SHUTDOWN_S)

    @contextlib.contextmanager
    def serving(self, transport: asyncio.BaseTransport | None) -> Iterator[None]:
        """Leave a connection its time while its request is answered, which has limits of its own."""
        guest = None if transport is None else self._guests.get(transport)
        if guest is not None:
            guest.ends_s = None
        try:
            yield
        finally:
            if guest is not None:
                guest.ends_s = self._loop.time() + self._patience.next_s

    async def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                sock, (client, _) = await self._loop.sock_accept(listening)
            except OSError:
                # Gone again already, or no descriptor left: this host's trouble, and it passes.
                self._forget_closed()
                await asyncio.sleep(_NO_DESCRIPTOR_PAUSE_S)
                continue
            stranger = self._is_stranger(client)
            if not self._has_room(client, stranger):
                sock.close()
                continue
            try:
                transport, _ = await self._loop.connect_accepted_socket(self._server, sock)
            except OSError:
                sock.close()
                continue
            self._guests[transport] = _Guest(client, stranger, self._loop.time() + self._patience.first_s)

    def _has_room(self, client: str, stranger: bool) -> bool:
        self._forget_closed()
        held = self._guests.values()
        if stranger:
            return sum(guest.stranger for guest in held) < STRANGERS_MAX
        same = sum(guest.client == client for guest in held)
        return same < PER_CLIENT_MAX and len(held) < CONNECTIONS_MAX

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            self._forget_closed()
            now_s = self._loop.time()
            for transport, guest in self._guests.items():
                if guest.ends_s is not None and guest.ends_s < now_s:
                    _abort(transport)

    def _forget_closed(self) -> None:
        for transport in [each for each in self._guests if each.is_closing()]:
            del self._guests[transport]


def _abort(transport: asyncio.BaseTransport) -> None:
    """Close without waiting for what the other side does not take."""
    if isinstance(transport, asyncio.Transport):
        transport.abort()
