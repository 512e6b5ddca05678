"""HTTP for boards: GET and HEAD of the boot's own files, whole or from an offset, with progress as events.

What a board may send is `upload.py`'s business, what its boot answers itself `visits.py`'s; every other
method is refused.

GRUB reads a kernel's first bytes, closes, and asks again from an offset (`Range: bytes=N-`), so a response
that the board breaks off is an ordinary event and not an error. Who may be connected is `door.py`'s business.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import Counter
from typing import Any, BinaryIO

from aiohttp import web

from bringup.base.events import Emit, Event
from bringup.netboot.catalog import (
    ChangedFileError,
    Held,
    HostError,
    ProgressThrottle,
    open_served,
    shown,
)
from bringup.netboot.clients import Client, Clients
from bringup.netboot.door import USUAL, Door, Patience
from bringup.netboot.spec import ServedFile

_CHUNK = 256 * 1024
_TRANSFERS_MAX = 16
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


class HttpService:
    """An HTTP server on one address. Make it inside a running loop, `start()`, later `stop()`."""

    def __init__(
        self,
        clients: Clients,
        address: str,
        port: int,
        patience: Patience = USUAL,
    ) -> None:
        # What strangers send is nothing to log: the log would grow as long as they go on.
        logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
        self._clients = clients
        self._address = address
        self._asked_port = port
        self._transfers: Counter[Client] = Counter()
        self._stall_s = patience.stall_s
        # lingering_time 0: the body of a refused request is nothing to wait for.
        server = web.Server(
            self._handle, keepalive_timeout=patience.next_s, lingering_time=0.0, access_log=None
        )
        self.door = Door(server, clients.of, patience)

    @property
    def port(self) -> int:
        """Return the port that is listened on."""
        return self.door.port

    async def start(self) -> None:
        """Listen; raises PortBusyError or LabError."""
        self.door.open(self._address, self._asked_port)

    async def stop(self) -> None:
        """Stop listening and drop what is under way."""
        await self.door.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        with self.door.serving(request.transport):
            return await self._answer(request)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        client = self._clients.of(request.remote or "")
        if client is not None and client.receiver is not None and client.receiver.wants(request):
            return await client.receiver.receive(request)
        emit = self._clients.tell if client is None else client.emit
        held, status = self._judge(request, client)
        if client is None or held is None:
            path = shown(request.path)
            _tell(emit, "http.error", f"{path} refused ({status})", path=path, status=status)
            return web.Response(status=status, headers={"Allow": "GET, HEAD"} if status == 405 else None)
        file = held.file
        span = requested_span(request.headers.get("Range"), file.size)
        if span is None:
            _tell(emit, "http.error", f"{file.url_path} refused (416)", path=file.url_path, status=416)
            return web.Response(status=416, headers={"Content-Range": f"bytes */{file.size}"})
        self._transfers[client] += 1
        try:
            return await self._send(request, held, span, emit)
        except ChangedFileError as error:
            text = f"{file.url_path} {error}"
            _tell(emit, "http.error", text, path=file.url_path, status=500, code="file-changed")
            return web.Response(status=500)
        finally:
            self._transfers[client] -= 1
            if not self._transfers[client]:
                del self._transfers[client]

    def _judge(self, request: web.BaseRequest, client: Client | None) -> tuple[Held | None, int]:
        if request.method not in ("GET", "HEAD"):
            return None, 405
        if client is None:
            return None, 403
        if self._transfers[client] >= _TRANSFERS_MAX:
            return None, 503
        return client.catalog.find(request.path), 404

    async def _send(
        self, request: web.BaseRequest, held: Held, span: range, emit: Emit
    ) -> web.StreamResponse:
        file = held.file
        whole = len(span) == file.size
        response = web.StreamResponse(status=200 if whole else 206, headers=_headers(file, span, whole))
        response.content_length = len(span)
        with await asyncio.to_thread(open_served, held) as content:
            await response.prepare(request)
            if request.method == "HEAD":
                await response.write_eof()
                return response
            transfer = _Transfer(emit, request, file)
            try:
                content.seek(span.start)
                for position in range(span.start, span.stop, _CHUNK):
                    chunk = _read(content, min(_CHUNK, span.stop - position))
                    async with asyncio.timeout(self._stall_s):
                        await response.write(chunk)
                    transfer.sent(min(position + _CHUNK, span.stop))
                await response.write_eof()
            except (TimeoutError, HostError):
                # Nothing can be taken back of what was sent: the board sees the connection end.
                transfer.closed()
                if request.transport is not None:
                    request.transport.abort()
                raise ConnectionResetError from None
            except (ConnectionError, asyncio.CancelledError):
                transfer.closed()
                raise
            transfer.finished(span)
        return response


def _tell(emit: Emit, kind: str, text: str, **data: Any) -> None:
    emit(Event("http", kind, text, data))


def _read(content: BinaryIO, count: int) -> bytes:
    try:
        return content.read(count)
    except OSError as error:
        raise HostError(f"this host cannot read it now: {error.strerror}") from None


class _Transfer:
    """The events of one response."""

    def __init__(self, emit: Emit, request: web.BaseRequest, file: ServedFile) -> None:
        self._emit = emit
        self._file = file
        self._position = 0
        self._began_s = time.monotonic()
        self._throttle = ProgressThrottle(file.size, self._began_s)
        data = {"client": request.remote, "size": file.size}
        self._tell("http.start", file.url_path, **data)

    def sent(self, position: int) -> None:
        self._position = position
        if self._throttle.due(position, time.monotonic()):
            self._tell("http.progress", self._file.url_path, sent=position, size=self._file.size)

    def closed(self) -> None:
        text = f"{self._file.url_path}: the board closed it after {self._position} of {self._file.size} bytes"
        self._tell("http.closed", text, sent=self._position, size=self._file.size)

    def finished(self, span: range) -> None:
        seconds = round(time.monotonic() - self._began_s, 4)
        # The end of the file has gone out: only then is it the file that is done, not a look at its head.
        kind = "http.done" if span.stop == self._file.size else "http.part"
        text = f"{self._file.url_path} {len(span)} bytes in {seconds:.2f} s"
        self._tell(kind, text, bytes=len(span), seconds=seconds)

    def _tell(self, kind: str, text: str, **data: Any) -> None:
        _tell(self._emit, kind, text, path=self._file.url_path, role=self._file.role, **data)


def _headers(file: ServedFile, span: range, whole: bool) -> dict[str, str]:
    headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}
    if file.sha256:
        headers["ETag"] = f'"{file.sha256}"'
    if not whole:
        headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{file.size}"
    return headers


def requested_span(header: str | None, size: int) -> range | None:
    """Return the bytes that a Range header asks for, all without one, None when there are none (pure).

    More than one range, or one that is not understood, is answered with the whole file (RFC 9110 14.2).
    """
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or match[0] == "bytes=-":
        return range(size)
    first, last = match.groups()
    if not first:
        return range(max(size - int(last), 0), size) if int(last) and size else None
    start = int(first)
    stop = min(int(last) + 1, size) if last else size
    if last and int(last) < start:
        return range(size)
    return range(start, stop) if start < size else None
