"""The one file that a board sends back: taken whole, checked, and named only when it is right.

Who boots the board opens the file (`Landing`) and gives it its name; the process that speaks to the network
is given it open, as it is given what it serves.

The path is a secret of this run, and closed for good once a file has come whole. The request says the
SHA-256 of its body in a header, so that a transfer that was cut or changed is refused and can be repeated.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import os
import re
import time
from pathlib import Path

from aiohttp import web

from bringup.base.events import Emit, Event
from bringup.base.whole_file import whole_file
from bringup.netboot.catalog import Descriptor
from bringup.netboot.spec import Upload

SHA256_HEADER = "X-Bringup-Sha256"
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_CHUNK = 64 * 1024
SILENCE_S = 20.0


def _write_all(number: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(number, view, at)
        view, at = view[written:], at + written


class _RefusedError(Exception):
    """Why a body is not kept; `status` is HTTP's."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


class Landing:
    """The file that an upload becomes: beside its place without its name, until `keep` or `close`.

    Making one raises OSError.
    """

    def __init__(self, target: Path) -> None:
        self._stack = contextlib.ExitStack()
        self._file = self._stack.enter_context(whole_file(target))

    def fileno(self) -> int:
        """Return the descriptor that is written to."""
        return self._file.fileno()

    def keep(self) -> None:
        """Give it its name; raises OSError."""
        self._stack.close()

    def close(self) -> None:
        """Let it vanish unless it was kept; harmless when called again."""
        with contextlib.suppress(_NotKeptError), self._stack:
            raise _NotKeptError


class _NotKeptError(Exception):
    """An upload did not come."""


class Receiver:
    """Takes the upload of one run into an open file. Every method runs in the loop of the HTTP server.

    A body that pauses for `silence_s` is given up.
    """

    def __init__(self, upload: Upload, emit: Emit, file: Descriptor, silence_s: float = SILENCE_S) -> None:
        self._upload = upload
        self._emit = emit
        self._file = file
        self._silence_s = silence_s
        self._busy = False
        self._done = False

    def wants(self, request: web.BaseRequest) -> bool:
        """Return whether this is a request to send the file, while none has come."""
        is_path = hmac.compare_digest(request.path.encode(errors="replace"), self._upload.url_path.encode())
        return is_path and request.method in ("PUT", "POST") and not self._done

    async def receive(self, request: web.BaseRequest) -> web.Response:
        """Take the body and answer: 201 when it is kept, else why not."""
        if self._busy:
            return self._refuse(_RefusedError(409, "one is under way"), request)
        self._busy = True
        began_s = time.monotonic()
        try:
            digest = self._announced(request)
            count = await self._keep(request, digest)
        except _RefusedError as refused:
            return self._refuse(refused, request)
        finally:
            self._busy = False
        self._done = True
        seconds = round(time.monotonic() - began_s, 4)
        data = {"client": request.remote, "bytes": count, "seconds": seconds, "sha256": digest}
        self._emit(Event("http", "http.upload", f"the capture, {count} bytes by HTTP", data))
        return web.Response(status=201)

    def _announced(self, request: web.BaseRequest) -> str:
        """Return the SHA-256 that the body is said to have; refuses what cannot be kept before it is read."""
        digest = request.headers.get(SHA256_HEADER, "").strip().lower()
        if not _SHA256.fullmatch(digest):
            raise _RefusedError(400, f"no {SHA256_HEADER} of 64 hexadecimal digits")
        if request.content_length is not None and request.content_length > self._upload.limit:
            raise _RefusedError(
                413, f"{request.content_length} bytes, at most {self._upload.limit} are taken"
            )
        self._emit(Event("http", "http.upload_start", "the capture", {"size": request.content_length}))
        return digest

    async def _keep(self, request: web.BaseRequest, digest: str) -> int:
        try:
            os.ftruncate(self._file.number, 0)  # what came of an attempt that was cut
            return await self._copy(request, digest)
        except OSError as error:
            raise _RefusedError(507, f"it cannot be kept: {error.strerror}") from None

    async def _copy(self, request: web.BaseRequest, digest: str) -> int:
        count, seen = 0, hashlib.sha256()
        try:
            while data := await asyncio.wait_for(request.content.read(_CHUNK), self._silence_s):
                count += len(data)
                if count > self._upload.limit:
                    raise _RefusedError(413, f"more than {self._upload.limit} bytes")
                seen.update(data)
                _write_all(self._file.number, data, count - len(data))
        except TimeoutError:
            waited = f"nothing came for {self._silence_s:.0f} s"
            raise _RefusedError(408, f"{waited} after {count} bytes") from None
        except (ConnectionError, web.RequestPayloadError):
            raise _RefusedError(400, f"it was cut after {count} bytes") from None
        if seen.hexdigest() != digest:
            raise _RefusedError(422, f"its {count} bytes have another SHA-256 than announced")
        return count

    def _refuse(self, refused: _RefusedError, request: web.BaseRequest) -> web.Response:
        text = f"the capture was refused ({refused.status}): {refused.why}"
        data = {"path": "upload", "status": refused.status, "client": request.remote, "why": refused.why}
        self._emit(Event("http", "http.error", text, data))
        return web.Response(status=refused.status, text=f"{refused.why}\n")
