"""Files that went over the network: TFTP (RFC 1350, 2347-2349) and HTTP, as events. Pure, in bounds."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from bringup.base.events import Event, Source
from bringup.netboot.recorded.frames import Datagram
from bringup.netboot.spec import BOOT_IMAGE

_RRQ, _DATA, _ERROR, _OACK = 1, 3, 5, 6
_TFTP_PORT, _BLOCK = 69, 512
_TRANSFERS_MAX = 4096
_GET = re.compile(rb"(?:GET|HEAD) (\S{1,512}) HTTP/1\.[01]\r\n")
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d{1,15})", re.IGNORECASE)
_ELF, _ELF_TYPE_AT, _EXECUTABLE = b"\x7fELF", 16, b"\2\0"  # ELF64, e_type
_LINUX_AT, _LINUX = 0x202, b"HdrS"
_SCRIPTS = (".ipxe", ".cfg", ".conf")
_SEQ = 1 << 32

Key = TypeVar("Key")


@dataclass(slots=True)
class _Transfer:
    """One file on its way to `client`; `size` None is not told."""

    source: Source
    client: str
    path: str
    began_s: float
    size: int | None = None
    block: int = _BLOCK
    sent: int = 0
    head: bytes = b""
    first_seq: int | None = None

    @property
    def is_whole(self) -> bool:
        return self.size is not None and self.sent >= self.size


class FileReader:
    """Turns datagrams into the events `tftp.*` and `http.*`."""

    def __init__(self) -> None:
        self._tftp: dict[tuple[str, int], _Transfer] = {}
        self._http: dict[tuple[str, int, str, int], _Transfer] = {}
        self._has_kernel = False

    def feed(self, packet: Datagram) -> Iterator[Event]:
        """Yield what a packet tells of files."""
        if packet.seq is None:
            yield from self._feed_tftp(packet)
        else:
            yield from self._feed_http(packet)

    def end(self, at_s: float) -> Iterator[Event]:
        """Yield what is left when the capture ends: files that were still on their way."""
        for transfer in (*self._tftp.values(), *self._http.values()):
            if transfer.sent and not transfer.is_whole:
                yield self._event(transfer, "progress", at_s)

    # TFTP.

    def _feed_tftp(self, packet: Datagram) -> Iterator[Event]:
        if len(packet.payload) < 4:
            return
        (code,) = struct.unpack_from("!H", packet.payload)
        if code == _RRQ and packet.target_port == _TFTP_PORT:
            words = packet.payload[2:].split(b"\0")
            if len(words) > 1 and words[1].lower() in (b"octet", b"netascii"):
                _bound(self._tftp)
                transfer = _Transfer("tftp", packet.source, _text(words[0]), packet.at_s)
                self._tftp[packet.source, packet.source_port] = transfer
                yield self._event(transfer, "start", packet.at_s)
            return
        answered = self._tftp.get((packet.target, packet.target_port))
        if answered is not None:
            yield from self._answer(answered, code, packet)
        elif code == _ERROR:
            self._tftp.pop((packet.source, packet.source_port), None)  # a ROM that only asked for the size

    def _answer(self, transfer: _Transfer, code: int, packet: Datagram) -> Iterator[Event]:
        key = packet.target, packet.target_port
        if code == _OACK:
            words = packet.payload[2:].split(b"\0")
            told = {name.lower(): value for name, value in zip(words[::2], words[1::2], strict=False)}
            transfer.block = _number(told.get(b"blksize")) or _BLOCK
            transfer.size = _number(told.get(b"tsize"))
        elif code == _ERROR:
            del self._tftp[key]
            reason = _text(packet.payload[4:].split(b"\0")[0])
            yield self._failed(transfer, packet.at_s, reason, reason=reason)
        elif code == _DATA:
            number = struct.unpack_from("!H", packet.payload, 2)[0]
            transfer.head = transfer.head or packet.payload[4:1028]
            if number == (transfer.sent // transfer.block + 1) & 0xFFFF:  # not one that is sent again
                transfer.sent += packet.size - 4
            if packet.size - 4 < transfer.block:
                del self._tftp[key]
                yield self._event(transfer, "done", packet.at_s)

    # HTTP.

    def _feed_http(self, packet: Datagram) -> Iterator[Event]:
        asked = _GET.match(packet.payload)
        here = packet.source, packet.source_port, packet.target, packet.target_port
        there = packet.target, packet.target_port, packet.source, packet.source_port
        if packet.ack is not None and here in self._http:
            yield from self._acknowledged(here, packet.ack, packet.at_s)
        if asked is not None:
            yield from self._over(here, packet.at_s)
            _bound(self._http)
            self._http[here] = transfer = _Transfer("http", packet.source, _text(asked[1]), packet.at_s)
            yield self._event(transfer, "start", packet.at_s)
        elif there in self._http:
            yield from self._body(there, packet)
        if packet.ends:
            yield from self._over(here, packet.at_s)
            yield from self._over(there, packet.at_s)

    def _body(self, key: tuple[str, int, str, int], packet: Datagram) -> Iterator[Event]:
        transfer, seq = self._http[key], packet.seq or 0
        if transfer.first_seq is None:
            status = _STATUS.match(packet.payload)
            if status is None:
                return
            if status[1] not in (b"200", b"206"):
                del self._http[key]
                yield self._failed(transfer, packet.at_s, f"status {_text(status[1])}", status=int(status[1]))
                return
            head, _, body = packet.payload.partition(b"\r\n\r\n")
            length = _LENGTH.search(head)
            transfer.size = int(length[1]) if length else None
            transfer.first_seq = (seq + len(head) + 4) % _SEQ
            transfer.head = body[:1024]
        elif not transfer.head:
            transfer.head = packet.payload[:1024]
        # Whatever came again or out of turn: how far the furthest byte lies behind the first. TCP counts by
        # 32 bits, files are longer.
        behind = (seq + packet.size - transfer.first_seq - transfer.sent) % _SEQ
        if behind < _SEQ // 2:
            transfer.sent += behind
        if transfer.is_whole:
            del self._http[key]
            yield self._event(transfer, "done", packet.at_s)

    def _acknowledged(self, key: tuple[str, int, str, int], ack: int, at_s: float) -> Iterator[Event]:
        """Count what the board says it has: a capture on a busy host misses packets that came."""
        transfer = self._http[key]
        if transfer.first_seq is None or transfer.size is None:
            return
        behind = (ack - transfer.first_seq - transfer.sent) % _SEQ
        if behind < _SEQ // 2:
            transfer.sent = min(transfer.sent + behind, transfer.size)  # the end counts as one byte more
        if transfer.is_whole:
            del self._http[key]
            yield self._event(transfer, "done", at_s)

    def _over(self, key: tuple[str, int, str, int], at_s: float) -> Iterator[Event]:
        """Yield how a file ended whose connection did."""
        transfer = self._http.pop(key, None)
        if transfer is None or transfer.first_seq is None:
            return
        if transfer.size is None:
            yield self._event(transfer, "done", at_s)
        elif not transfer.is_whole:
            reason = f"ended after {transfer.sent} of {transfer.size} bytes"
            yield self._failed(transfer, at_s, reason, reason=reason)

    # Both.

    def _event(self, transfer: _Transfer, what: str, at_s: float) -> Event:
        role = None if what == "start" else self._role(transfer)
        seconds = round(at_s - transfer.began_s, 3)
        words = "" if what == "start" else f" {transfer.sent} bytes in {seconds:.2f} s"
        if what == "progress":
            words = f" {transfer.sent} of {transfer.size or 'unknown'} bytes, then nothing more"
        data = {"path": transfer.path, "client": transfer.client, "role": role, "size": transfer.size}
        counted = {"bytes": transfer.sent, "seconds": seconds}
        return Event(
            transfer.source, f"{transfer.source}.{what}", transfer.path + words, {**data, **counted}, at_s
        )

    def _failed(self, transfer: _Transfer, at_s: float, words: str, **more: object) -> Event:
        data = {"path": transfer.path, "client": transfer.client, **more}
        return Event(transfer.source, f"{transfer.source}.error", f"{transfer.path}: {words}", data, at_s)

    def _role(self, transfer: _Transfer) -> str:
        """Return what a file is to the boot, by its content, its name, and what came before it."""
        head = transfer.head
        if head.startswith(b"#!ipxe") or transfer.path.endswith(_SCRIPTS):
            return "loader-script"
        if transfer.path.lstrip("/") == BOOT_IMAGE.lstrip("/"):
            return "boot-image"
        program = head.startswith(_ELF) and head[_ELF_TYPE_AT : _ELF_TYPE_AT + 2] == _EXECUTABLE
        if head.startswith(_ELF) and not program:
            return "other"  # a module of GRUB's or of pxelinux
        if program or head[_LINUX_AT : _LINUX_AT + 4] == _LINUX:
            kernel, self._has_kernel = not self._has_kernel, True
            return "kernel" if kernel else "module"
        if self._has_kernel:
            return "module"
        return "loader" if transfer.source == "tftp" or head.startswith(b"MZ") else "other"


def _bound(transfers: dict[Key, _Transfer]) -> None:
    """Make room for one more: of too many the oldest is forgotten."""
    if len(transfers) >= _TRANSFERS_MAX:
        del transfers[next(iter(transfers))]


def _number(value: bytes | None) -> int | None:
    return int(value) if value is not None and value.isdigit() and len(value) < 16 else None


def _text(data: bytes) -> str:
    return "".join(char if char.isprintable() else "?" for char in data[:512].decode("latin-1"))
