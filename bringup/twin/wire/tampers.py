"""What faults of the network do to frames on their way between board and server (no I/O).

A tamper is given one frame and its direction and returns what goes on instead: nothing, the frame, or
others, each with its direction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random

from bringup.twin.faults.choice import ChosenFault
from bringup.twin.wire.frames import SYN, TCP, UDP, Frame, read

_DHCP_SERVER, _DHCP_CLIENT, _PROXY, _TFTP, _HTTP = 67, 68, 4011, 69, 80
_PERCENT = 100.0
RIVAL_ADDRESS = "10.55.0.99"
"""Where the other DHCP server is."""
_READ_REQUEST = b"\0\1"
_BLKSIZE = b"blksize"
_HEAD_END = b"\r\n\r\n"
_SCRIPT = b".ipxe"
_MODULUS = 1 << 32
_OTHER_BYTES = b"<html><body>This is the web server of somebody's printer.</body></html>\n"


@dataclass(frozen=True, slots=True)
class Sent:
    """A frame on its way."""

    raw: bytes
    to_board: bool


class Tamper:
    """One fault of the network; the base lets everything pass."""

    def __init__(self, chosen: ChosenFault, random: Random) -> None:
        self.chosen = chosen
        self.random = random

    def take(self, sent: Sent, frame: Frame | None) -> list[Sent]:
        """Return what goes on instead of `sent`; `frame` is it read, None for what is neither UDP nor TCP."""
        return [sent] if frame is None else self.change(sent, frame)

    def change(self, sent: Sent, frame: Frame) -> list[Sent]:
        """Return what goes on instead of a frame of UDP or TCP."""
        return [sent]

    def delay_s(self, sent: Sent, now_s: float) -> float:
        """Return the seconds that a frame is held up."""
        return 0.0


class _DhcpLost(Tamper):
    def __init__(self, chosen: ChosenFault, random: Random) -> None:
        super().__init__(chosen, random)
        self._left = int(chosen.number("packets")) or None

    def change(self, sent: Sent, frame: Frame) -> list[Sent]:
        answer = sent.to_board and frame.protocol == UDP and frame.source_port in (_DHCP_SERVER, _PROXY)
        if not answer or self._left == 0:
            return [sent]
        if self._left is not None:
            self._left -= 1
        return []


class _DhcpRival(Tamper):
    """Holds up the answers of everybody but the other server, so that it is the first."""

    def delay_s(self, sent: Sent, now_s: float) -> float:
        frame = read(sent.raw)
        if frame is None or frame.protocol != UDP or frame.source_port != _DHCP_SERVER or not sent.to_board:
            return 0.0
        return 0.0 if frame.source == RIVAL_ADDRESS else self.chosen.number("lead")


class _TftpLoss(Tamper):
    def change(self, sent: Sent, frame: Frame) -> list[Sent]:
        ports = {frame.source_port, frame.target_port}
        other = frame.protocol != UDP or ports & {_DHCP_SERVER, _DHCP_CLIENT, _PROXY}
        lost = not other and self.random.random() < self.chosen.number("share") / _PERCENT
        return [] if lost else [sent]


class _BlksizeRefused(Tamper):
    def change(self, sent: Sent, frame: Frame) -> list[Sent]:
        asks = frame.protocol == UDP and frame.target_port == _TFTP and frame.payload[:2] == _READ_REQUEST
        if not asks:
            return [sent]
        return [replace(sent, raw=frame.with_payload(without_blksize(frame.payload)))]


class _HttpReset(Tamper):
    def __init__(self, chosen: ChosenFault, random: Random) -> None:
        super().__init__(chosen, random)
        self._began: dict[int, int] = {}
        self._left = int(chosen.number("times")) or None

    def change(self, sent: Sent, frame: Frame) -> list[Sent]:
        if frame.protocol != TCP or not sent.to_board or frame.source_port != _HTTP or self._left == 0:
            return [sent]
        if frame.flags & SYN:
            self._began[frame.target_port] = frame.sequence
        began = self._began.get(frame.target_port)
        if began is None or (frame.sequence - began) % _MODULUS < self.chosen.number("bytes"):
            return [sent]
        del self._began[frame.target_port]
        if self._left is not None:
            self._left -= 1
        return [Sent(frame.reset(), True), Sent(frame.reset_back(), False)]


class _SlowLink(Tamper):
    def __init__(self, chosen: ChosenFault, random: Random) -> None:
        super().__init__(chosen, random)
        self._free_s = {True: 0.0, False: 0.0}

    def delay_s(self, sent: Sent, now_s: float) -> float:
        takes_s = len(sent.raw) * 8 / (max(1.0, self.chosen.number("kbit")) * 1000)
        self._free_s[sent.to_board] = max(now_s, self._free_s[sent.to_board]) + takes_s
        return self._free_s[sent.to_board] - now_s


@dataclass
class _Answer:
    """The answer to a GET: the number of its first byte, and of the first one of the file when seen."""

    first: int
    body: int | None = None


class _WrongFile(Tamper):
    """Changes the bytes of what is fetched over HTTP, scripts of the loader apart."""

    def __init__(self, chosen: ChosenFault, random: Random) -> None:
        super().__init__(chosen, random)
        self._answers: dict[int, _Answer] = {}

    def change(self, sent: Sent, frame: Frame) -> list[Sent]:
        if frame.protocol != TCP or not frame.payload:
            return [sent]
        if not sent.to_board and frame.target_port == _HTTP and frame.payload.startswith(b"GET "):
            self._asked(frame)
        answer = self._answers.get(frame.target_port) if sent.to_board else None
        if answer is None or frame.source_port != _HTTP:
            return [sent]
        return [replace(sent, raw=frame.with_payload(self._other(frame, answer)))]

    def _asked(self, frame: Frame) -> None:
        path = frame.payload.split(b" ", 2)[1]
        if path.endswith(_SCRIPT):
            self._answers.pop(frame.source_port, None)
        else:
            self._answers[frame.source_port] = _Answer(frame.acknowledged)

    def _other(self, frame: Frame, answer: _Answer) -> bytes:
        payload, offset = frame.payload, (frame.sequence - answer.first) % _MODULUS
        if answer.body is None:
            found = payload.find(_HEAD_END)
            if found < 0:
                return payload
            answer.body = offset + found + len(_HEAD_END)
        kept = min(max(0, answer.body - offset), len(payload))
        start = max(0, offset - answer.body) % len(_OTHER_BYTES)
        size = len(payload) - kept
        text = _OTHER_BYTES * (size // len(_OTHER_BYTES) + 2)
        return payload[:kept] + text[start : start + size]


_KINDS: Mapping[str, type[Tamper]] = {
    "dhcp-rival": _DhcpRival,
    "dhcp-lost": _DhcpLost,
    "tftp-loss": _TftpLoss,
    "tftp-blksize-refused": _BlksizeRefused,
    "http-reset": _HttpReset,
    "slow-link": _SlowLink,
    "wrong-file": _WrongFile,
}
ON_THE_WIRE = frozenset(_KINDS)
"""The faults that need a wire."""


def tamper_of(chosen: ChosenFault, seed: int) -> Tamper:
    """Return what a fault does to frames; its chances depend on the seed and its name only."""
    return _KINDS[chosen.name](chosen, Random(f"{seed}/{chosen.name}"))  # noqa: S311  no secret


def passed_on(sent: Sent, tampers: list[Tamper]) -> list[Sent]:
    """Return what becomes of a frame when all tampers have had it."""
    going = [sent]
    for tamper in tampers:
        going = [after for before in going for after in tamper.take(before, read(before.raw))]
    return going


def without_blksize(request: bytes) -> bytes:
    """Return a TFTP read request (RFC 1350, RFC 2347) that does not ask for a block size."""
    words = request[2:].split(b"\0")[:-1]
    kept = words[:2]
    for name, value in zip(words[2::2], words[3::2], strict=False):
        if name.lower() != _BLKSIZE:
            kept += [name, value]
    return request[:2] + b"".join(word + b"\0" for word in kept)
