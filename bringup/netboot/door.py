"""The door of the HTTP server: who may hold a connection, how many, and for how long without asking anything.

A connection costs a descriptor before a byte of a request has come, so that it is counted and timed from the
moment it is accepted, by whom it comes from: strangers together have fewer than one board.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from aiohttp import web

from bringup.netboot.clients import Client
from bringup.netboot.listen import bind_error
from bringup.netboot.packet_filter import attach, from_boards
from bringup.netboot.visits import HEAD_BYTES, Usher

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

    def __init__(
        self, server: web.Server, client_of: Callable[[str], Client | None], patience: Patience
    ) -> None:
        self._server = server
        self._client_of = client_of
        self._patience = patience
        self._guests: dict[asyncio.BaseTransport, _Guest] = {}
        self._looked_at: dict[asyncio.Task[None], str] = {}
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
        tasks = [*self._tasks, *self._looked_at]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()  # what they held goes with them: a connection that was accepted in this moment
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
            known = self._client_of(client)
            if not self._has_room(client, known is None):
                sock.close()
            elif known is not None and known.usher is not None:
                task = self._loop.create_task(self._look_at(sock, client, known.usher))
                self._looked_at[task] = client
                task.add_done_callback(functools.partial(self._looked, sock))
            else:
                await self._let_through(sock, client, stranger=known is None)

    async def _look_at(self, sock: socket.socket, client: str, usher: Usher) -> None:
        """Hand over a connection whose first words are for the boot itself, serve any other."""
        try:
            async with asyncio.timeout(self._patience.first_s):
                head = await _first_bytes(self._loop, sock)
        except (TimeoutError, OSError):
            sock.close()
            return
        if usher.wants(head):
            usher.hand_over(sock)
        else:
            await self._let_through(sock, client, stranger=False)

    def _looked(self, sock: socket.socket, task: asyncio.Task[None]) -> None:
        del self._looked_at[task]
        if task.cancelled():
            sock.close()

    async def _let_through(self, sock: socket.socket, client: str, *, stranger: bool) -> None:
        try:
            transport, _ = await self._loop.connect_accepted_socket(self._server, sock)
        except OSError:
            sock.close()
            return
        self._guests[transport] = _Guest(client, stranger, self._loop.time() + self._patience.first_s)

    def _has_room(self, client: str, stranger: bool) -> bool:
        self._forget_closed()
        held = self._guests.values()
        if stranger:
            return sum(guest.stranger for guest in held) < STRANGERS_MAX
        same = sum(guest.client == client for guest in held)
        same += sum(each == client for each in self._looked_at.values())
        return same < PER_CLIENT_MAX and len(held) + len(self._looked_at) < CONNECTIONS_MAX

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


async def _first_bytes(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> bytes:
    """Return what a connection begins with and leave it there; waits for it. Raises OSError."""
    came = asyncio.Event()
    loop.add_reader(sock, came.set)
    try:
        await came.wait()
    finally:
        loop.remove_reader(sock)
    return sock.recv(HEAD_BYTES, socket.MSG_PEEK)


def _abort(transport: asyncio.BaseTransport) -> None:
    """Close without waiting for what the other side does not take."""
    if isinstance(transport, asyncio.Transport):
        transport.abort()
