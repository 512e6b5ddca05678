"""The board's own side of the BMC: the stream protocol of QEMU's `ipmi-bmc-extern` (QEMU ipmi_bmc_extern.c).

A message is `id, netfn/LUN, command, data..., checksum` and ends with 0xA0; a control code ends with 0xA1.
Those two bytes and the escape 0xAA are sent as 0xAA and the byte with bit 4 set. A message sums to 0 mod 256.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bringup.twin.bmc.request import Request, Response

_MESSAGE_END, _CONTROL_END, _ESCAPE = 0xA0, 0xA1, 0xAA
_ESCAPED_BIT = 0x10
_VERSION, _PROTOCOL_VERSION = 0xFF, 0x01
_RESPONSE_BIT = 0x04
MAX_FRAME = 512


@dataclass(frozen=True, slots=True)
class Message:
    """An IPMI message with the number QEMU gave it."""

    number: int
    netfn_lun: int
    command: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Control:
    """A hardware control code: 0xFF version, 0x08 capabilities, 0x04 the machine was reset, and so on."""

    code: int
    data: bytes


class Framer:
    """Turns the byte stream into frames; damaged or endless ones are dropped, the next one is read again."""

    def __init__(self) -> None:
        self._frame = bytearray()
        self._escaped = False
        self._spoilt = False

    def feed(self, stream: bytes) -> Iterator[Message | Control]:
        """Yield the frames that `stream` completes."""
        for byte in stream:
            if byte in (_MESSAGE_END, _CONTROL_END):
                frame = self._take()
                if frame is not None and byte == _MESSAGE_END:
                    message = _message(frame)
                    if message is not None:
                        yield message
                elif frame:
                    yield Control(frame[0], frame[1:])
            elif byte == _ESCAPE:
                self._spoilt |= self._escaped
                self._escaped = True
            else:
                self._add(byte)

    def _add(self, byte: int) -> None:
        if self._escaped:
            byte &= ~_ESCAPED_BIT
            self._escaped = False
        if len(self._frame) < MAX_FRAME:
            self._frame.append(byte)
        else:
            self._spoilt = True

    def _take(self) -> bytes | None:
        frame = None if self._spoilt or self._escaped else bytes(self._frame)
        self._frame.clear()
        self._spoilt = self._escaped = False
        return frame


def _message(frame: bytes) -> Message | None:
    if len(frame) < 4 or sum(frame) & 0xFF:
        return None
    return Message(frame[0], frame[1], frame[2], frame[3:-1])


def frame_message(body: bytes) -> bytes:
    """Return a message frame: checksum added, special bytes escaped, ended."""
    return _escape(body + bytes([-sum(body) & 0xFF])) + bytes([_MESSAGE_END])


def frame_control(code: int, data: bytes = b"") -> bytes:
    """Return a control frame."""
    return _escape(bytes([code]) + data) + bytes([_CONTROL_END])


def _escape(body: bytes) -> bytes:
    out = bytearray()
    for byte in body:
        if byte in (_MESSAGE_END, _CONTROL_END, _ESCAPE):
            out += bytes([_ESCAPE, byte | _ESCAPED_BIT])
        else:
            out.append(byte)
    return bytes(out)


class KcsPort:
    """One machine's connection. Commands that come this way have all privileges and no session."""

    def __init__(self, connection: socket.socket, run: Callable[[Request], Response]) -> None:
        # A copy of our own: the chassis closes its end from another thread, and a number that is closed and
        # given out again would make the selector watch a stranger.
        self.socket = connection.dup()
        self.socket.setblocking(False)
        self._run = run
        self._framer = Framer()
        self._send(frame_control(_VERSION, bytes([_PROTOCOL_VERSION])))

    def read(self) -> bool:
        """Answer what has arrived; False when the machine is gone."""
        try:
            stream = self.socket.recv(4096)
        except BlockingIOError:
            return True
        except OSError:
            return False
        for frame in self._framer.feed(stream):
            if isinstance(frame, Message):
                self._answer(frame)
        return bool(stream)

    def close(self) -> None:
        """Close our copy."""
        self.socket.close()

    def _answer(self, message: Message) -> None:
        netfn, lun = message.netfn_lun >> 2, message.netfn_lun & 0x03
        response = self._run(Request(netfn, message.command, message.data))
        head = bytes([message.number, (netfn << 2 | _RESPONSE_BIT) & 0xFF | lun, message.command])
        self._send(frame_message(head + bytes([response.code]) + response.data))

    def _send(self, frame: bytes) -> None:
        try:
            self.socket.send(frame)
        except OSError:
            return  # a machine that does not listen times out by itself (4 s)
