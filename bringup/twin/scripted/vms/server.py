"""The SerialServer, played: clients in colours on one line, and the keyboard turned by `@N`.

As global-components components/SerialServer/src/serial.c: the colour is sent when the client changes; a
client's text goes out at a line end, at once where it wrote last and nobody waits, at 4096 bytes, else by a
heartbeat that finds nothing written. Its own words (`Switching input to 1`) come in the reset colour. A line
feed leaves as LF CR.
"""

from __future__ import annotations

from collections.abc import Callable

BUFFER = 4096
HEARTBEAT_S = 0.5
_RESET = b"\x1b[0m"
_COLOURS = (b"31", b"32", b"34", b"35", b"33", b"36")
_PAIRS = (b"\r\n", b"\n\r")
_ENDS = (ord("\r"), ord("\n"))
_ESCAPE = ord("@")

Client = int
"""Guests are 0, 1, …; the VMM of guest n is ~n."""


class SerialServer:
    """`send` takes the bytes of the line, `give` the keys that a guest is given."""

    def __init__(self, guests: int, send: Callable[[bytes], None], give: Callable[[int, int], None]) -> None:
        self._guests = guests
        self._send = send
        self._give = give
        self._waiting: dict[Client, bytearray] = {}
        self._last: Client | None = None
        self._wrote = False
        self._active = 0
        self._state = "line start"

    def write(self, client: Client, text: bytes) -> None:
        """Take what a client prints, a character at a time."""
        for byte in text:
            self._put(client, byte)

    def _put(self, client: Client, byte: int) -> None:
        held = self._waiting.setdefault(client, bytearray())
        held.append(byte)
        others = any(text for other, text in self._waiting.items() if other != client)
        if len(held) == BUFFER:
            for each in list(self._waiting):
                self._flush(each)
        elif held[-2:] in _PAIRS or (self._last == client and not others and len(held) == 1):
            self._flush(client)

    def heartbeat(self) -> None:
        """Send what waits, if nothing was sent since the last beat; whole lines first."""
        if self._wrote:
            self._wrote = False
            return
        lines = {client: self._lines_of(text) for client, text in self._waiting.items()}
        for client, size in lines.items():
            self._flush(client, size)
        if not any(lines.values()):
            for client in list(self._waiting):
                self._flush(client)
            self._wrote = False

    @staticmethod
    def _lines_of(text: bytearray) -> int:
        ends = [at for at, byte in enumerate(text) if byte in _ENDS]
        return ends[-1] + 1 if ends else 0

    def _flush(self, client: Client, size: int | None = None) -> None:
        held = self._waiting[client]
        text = bytes(held[:size])
        if not text:
            return
        del held[:size]
        if client != self._last:
            self._line(_RESET + self._colour(client))
            self._last = client
        self._line(text)
        self._wrote = True

    @staticmethod
    def _colour(client: Client) -> bytes:
        # Badges begin at 1 in the recorded systems: guest n has the colour of slot n + 1.
        guest = client if client >= 0 else ~client
        colour = _COLOURS[(guest + 1) % len(_COLOURS)]
        return b"\x1b[" + colour + (b";47m" if client >= 0 else b"m")

    def _line(self, text: bytes) -> None:
        self._send(text.replace(b"\n", b"\n\r"))

    def _say(self, text: str) -> None:
        self._last = None
        self._line(_RESET + b"\r\n" + text.encode() + b"\r\n")

    def hear(self, byte: int) -> None:
        """Take a key."""
        match self._state:
            case "escape":
                self._command(byte)
            case "line start" if byte == _ESCAPE:
                self._state = "escape"
            case _:
                self._state = "line start" if byte in (*_ENDS, 0x03, 0x1A) else "inside"
                self._give(self._active, byte)

    def _command(self, byte: int) -> None:
        number = byte - ord("0")
        self._state = "line start"
        if 0 <= number < self._guests:
            self._active = number
            self._say(f"Switching input to {number}")
        elif byte == ord("?"):
            self._say(
                f" --- SerialServer help ---\r\n 0 - {self._guests - 1:<2} switches input to that client"
            )
        else:
            self._state = "inside"
            if byte != _ESCAPE:
                self._give(self._active, _ESCAPE)
            self._give(self._active, byte)
