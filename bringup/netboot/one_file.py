"""One file over HTTP to one client, with HEAD and ranges: an image that a BMC shows its board as a disc.

The path is secret, and whoever else asks, or asks for anything else, is answered 404. aiohttp's own file
response does the ranges (RFC 9110 section 14).
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from aiohttp import web

from bringup.base.errors import LabError

_START_S = 10.0
_STOP_S = 5.0
_ANY_PORT = 9  # discard: nothing is sent, the kernel only chooses the way


def address_towards(peer: str) -> str:
    """Return this host's address on the way to `peer`, a name or an address; raises LabError."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            asked.connect((peer, _ANY_PORT))
            return str(asked.getsockname()[0])
    except OSError as error:
        raise LabError(
            f"this host has no way to {peer}: {error.strerror or error}", hint="is the BMC's address right?"
        ) from None


class OneFile:
    """Serves `path` to the host `client` while entered; `url` is where. `told` hears of each request.

    Entering raises LabError when this host does not let us listen.
    """

    def __init__(self, path: Path, client: str, told: Callable[[str], None]) -> None:
        self._path = path.absolute()
        self._client = client
        self._told = told
        self._secret = secrets.token_urlsafe(12)
        self._thread = threading.Thread(target=self._run, name="one-file", daemon=True)
        self._started = threading.Event()
        self._error: OSError | None = None
        self._address = ""
        self._allowed: set[str] = set()
        self._port = 0

    @property
    def url(self) -> str:
        """Where the file is; BMCs tell what it is by its ending."""
        return f"http://{self._address}:{self._port}/{self._secret}/{self._path.name}"

    def __enter__(self) -> OneFile:
        self._address = address_towards(self._client)
        self._allowed = {str(item[4][0]) for item in socket.getaddrinfo(self._client, None, socket.AF_INET)}
        self._thread.start()
        if not self._started.wait(_START_S) or self._error is not None:
            why = self._error.strerror if self._error else "it did not start in time"
            raise LabError(f"cannot serve {self._path.name} on {self._address}: {why}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(_STOP_S)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        runner = web.ServerRunner(web.Server(self._handle, access_log=None))
        try:
            await runner.setup()
            await web.TCPSite(runner, self._address, 0).start()
            self._port = runner.addresses[0][1]
        except OSError as error:
            self._error = error
            self._ended.set()
        self._started.set()
        await self._ended.wait()
        await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.remote not in self._allowed or request.path != f"/{self._secret}/{self._path.name}":
            return web.Response(status=404)
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, headers={"Allow": "GET, HEAD"})
        self._told(f"{request.method} {request.headers.get('Range', 'all of it')}")
        return web.FileResponse(self._path)
