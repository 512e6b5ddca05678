"""The one file that a board sends back: taken whole, checked, and named only when it is right.

The path is a secret of this run, and closed for good once a file has come whole. The request says the
SHA-256 of its body in a header, so that a transfer that was cut or changed is refused and can be repeated.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import time
from typing import IO

from aiohttp import web

from bringup.base.events import Emit, Event
from bringup.base.whole_file import whole_file
from bringup.netboot.spec import Upload

SHA256_HEADER = "X-Bringup-Sha256"
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_CHUNK = 64 * 1024
SILENCE_S = 20.0


class _RefusedError(Exception):
    """Why a body is not kept; `status` is HTTP's."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


class Receiver:
    """Takes the upload of one run. Every method runs in the loop of the HTTP server.

    A body that pauses for `silence_s` is given up.
    """

    def __init__(self, upload: Upload, emit: Emit, silence_s: float = SILENCE_S) -> None:
        self._upload = upload
        self._emit = emit
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
            with whole_file(self._upload.path) as file:
                return await self._copy(request, file, digest)
        except OSError as error:
            raise _RefusedError(507, f"it cannot be kept: {error.strerror}") from None

    async def _copy(self, request: web.BaseRequest, file: IO[bytes], digest: str) -> int:
        count, seen = 0, hashlib.sha256()
        try:
            while data := await asyncio.wait_for(request.content.read(_CHUNK), self._silence_s):
                count += len(data)
                if count > self._upload.limit:
                    raise _RefusedError(413, f"more than {self._upload.limit} bytes")
                seen.update(data)
                file.write(data)
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
