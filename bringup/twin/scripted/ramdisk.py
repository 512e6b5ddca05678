"""The maintenance ramdisk, played: it asks the host for orders and obeys them on the board's disk (asyncio).

Its orders are those of probes/linux/maintenance. Nothing is kept in memory but the piece that moves, so what
the real one fetches whole before it writes is written here as it comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from bringup.twin.scripted.disk import NAME, PIECE, BoardDisk
from bringup.twin.scripted.network import NetworkError

Connect = Callable[[str, int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]

ROLE = "bringup.role=maintenance"
"""The kernel word by which a board knows what it was given."""
_ORDER_S = 40.0
_AGAIN_S = 1.0
# bringup.netboot.upload's, which lies above the twin.
_SHA256_HEADER = "X-Bringup-Sha256"


@dataclass(frozen=True, slots=True)
class _Answer:
    status: str
    size: int
    body: asyncio.StreamReader

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body; raises NetworkError where it breaks off."""
        left = self.size
        while left > 0:
            async with asyncio.timeout(_ORDER_S):
                data = await self.body.read(min(PIECE, left))
            if not data:
                raise NetworkError("http-reset")
            left -= len(data)
            yield data


class Ramdisk:
    """Obeys whoever answers at `url` from `serve` on; `disk` None is a board without one."""

    def __init__(self, url: str, connect: Connect, disk: BoardDisk | None) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._path = parts.hostname or "", parts.port or 80, parts.path
        self._connect = connect
        self._disk = disk

    async def serve(self) -> None:
        """Ask and obey, for ever."""
        number, answer = 1, "ready"
        while True:
            try:
                async with self._asked("GET", f"order/{number}?{answer}") as got:
                    order = b"".join([piece async for piece in got.pieces()]).decode("ascii", "replace")
                    heard = got.status == "200"
            except NetworkError:
                heard = False
            if not heard:
                await asyncio.sleep(_AGAIN_S)
            elif order:
                answer = await self._obey(number, order.split())
                number += 1

    async def _obey(self, number: int, words: list[str]) -> str:
        match words:
            case ["disks"]:
                told = self._disk.told().encode() if self._disk else b""
                return await self._send(number, len(told), hashlib.sha256(told).hexdigest(), [told])
            case [verb, name, *rest] if self._disk and name == NAME:
                return await self._act(self._disk, number, verb, rest)
        return "failed:order"

    async def _act(self, disk: BoardDisk, number: int, verb: str, words: list[str]) -> str:
        match verb, words:
            case "read", [offset, length]:
                return await self._read(disk, number, int(offset), int(length))
            case "write", [offset, length, path]:
                return await self._write(disk, int(offset), int(length), path)
            case "hash", ranges:
                return await _hashes(disk, list(map(int, ranges)))
            case "flush", []:
                return "ok"
        return "failed:order"

    async def _read(self, disk: BoardDisk, number: int, offset: int, length: int) -> str:
        try:
            digest = await asyncio.to_thread(disk.sha256, offset, length)
            return await self._send(number, length, digest, disk.pieces(offset, length))
        except OSError:
            return "failed:read"

    async def _send(self, number: int, size: int, digest: str, body: Iterable[bytes]) -> str:
        headers = f"Content-Length: {size}\r\n{_SHA256_HEADER}: {digest}\r\n"
        try:
            async with self._asked("PUT", f"reply/{number}", headers, body) as got:
                return "ok" if got.status == "201" else "failed:send"
        except NetworkError:
            return "failed:send"

    async def _write(self, disk: BoardDisk, offset: int, length: int, path: str) -> str:
        try:
            async with self._asked("GET", path) as got:
                if got.status != "200" or got.size != length:
                    return "failed:fetch"
                async for piece in got.pieces():
                    disk.write(offset, piece)
                    offset += len(piece)
        except NetworkError:
            return "failed:fetch"
        except OSError:
            return "failed:write"
        return "ok"

    @contextlib.asynccontextmanager
    async def _asked(
        self, method: str, path: str, headers: str = "", body: Iterable[bytes] = ()
    ) -> AsyncIterator[_Answer]:
        """Ask the host; raises NetworkError when it does not answer."""
        reader, writer = await self._connect(self._host, self._port)
        try:
            head = f"{method} {self._path}/{path} HTTP/1.1\r\nHost: {self._host}\r\n{headers}"
            writer.write(f"{head}Connection: close\r\n\r\n".encode())
            for piece in body:
                writer.write(piece)
                await writer.drain()
            yield await _answer(reader)
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            raise NetworkError("http-reset") from None
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def _answer(reader: asyncio.StreamReader) -> _Answer:
    async with asyncio.timeout(_ORDER_S):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status, *lines = head.split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
    return _Answer(status.split(" ")[1], int(fields.get("content-length", "0")), reader)


async def _hashes(disk: BoardDisk, ranges: list[int]) -> str:
    try:
        pairs = zip(ranges[::2], ranges[1::2], strict=True)
        return "ok:" + ",".join([await asyncio.to_thread(disk.sha256, *pair) for pair in pairs])
    except OSError:
        return "failed:read"
