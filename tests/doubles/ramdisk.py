"""The maintenance ramdisk without a board: asks an agent for orders over HTTP and obeys on files as disks."""

from __future__ import annotations

import hashlib
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from http.client import IncompleteRead
from pathlib import Path

from bringup.netboot.upload import SHA256_HEADER


class FakeRamdisk:
    """Obeys until `close()`; `disks` are the files by the disks' names, `listing` what `disks` answers.

    `obeyed` are the orders in their sequence. `fail` says for an order what it fails with, None for nothing.
    """

    def __init__(
        self,
        url: str,
        disks: dict[str, Path],
        listing: str = "",
        fail: Callable[[list[str]], str | None] = lambda _words: None,
    ) -> None:
        self.obeyed: list[str] = []
        self._url = url
        self._disks = disks
        self.listing = listing
        self._fail = fail
        self._closing = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ask no more."""
        self._closing = True
        self._thread.join(20)

    def _run(self) -> None:
        number, answer = 1, "ready"
        while not self._closing:
            with suppress(OSError):
                order = self._get(f"order/{number}?{answer}").decode()
                if order:
                    self.obeyed.append(order)
                    answer = self._obey(number, order.split())
                    number += 1

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"{self._url}/{path}", timeout=20) as response:  # noqa: S310
            data = response.read()
            assert isinstance(data, bytes)
            return data

    def _obey(self, number: int, words: list[str]) -> str:
        failed = self._fail(words)
        if failed is not None:
            return f"failed:{failed}"
        if len(words) > 1 and not self._is_there(*words[1].split("@")):
            return "failed:gone"
        words[1:2] = [each.partition("@")[0] for each in words[1:2]]
        match words:
            case ["disks"]:
                return self._send(number, self.listing.encode())
            case ["read", disk, offset, length]:
                return self._send(number, self._bytes(disk, int(offset), int(length)))
            case ["write", disk, offset, length, path]:
                try:
                    data = self._get(path)
                except IncompleteRead:
                    return "failed:fetch"
                if len(data) != int(length):
                    return "failed:fetch"
                with self._disks[disk].open("r+b") as file:
                    file.seek(int(offset))
                    file.write(data)
                return "ok"
            case ["hash", disk, *ranges]:
                pairs = zip(map(int, ranges[::2]), map(int, ranges[1::2]), strict=True)
                sums = [hashlib.sha256(self._bytes(disk, *pair)).hexdigest() for pair in pairs]
                return f"ok:{','.join(sums)}"
            case ["flush", _]:
                return "ok"
        return "failed:order"

    def _is_there(self, name: str, sequence: str = "") -> bool:
        """Return whether a disk is the one that was told of, as far as its sequence was told."""
        told = f"{name} diskseq {sequence.encode().hex()}"
        return not sequence or told in self.listing.splitlines()

    def _bytes(self, disk: str, offset: int, length: int) -> bytes:
        with self._disks[disk].open("rb") as file:
            file.seek(offset)
            return file.read(length)

    def _send(self, number: int, data: bytes) -> str:
        headers = {SHA256_HEADER: hashlib.sha256(data).hexdigest()}
        request = urllib.request.Request(f"{self._url}/reply/{number}", data, headers, method="PUT")  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310
                # What the real one waits for: "HTTP/1.1 201 ".
                return "ok" if (response.version, response.status) == (11, 201) else "failed:send"
        except urllib.error.HTTPError:
            return "failed:send"
