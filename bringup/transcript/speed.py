"""A console that is read at another speed than the board's shows bytes that are no text. Pure."""

from __future__ import annotations


class WrongSpeed:
    """Notices a wrong line speed: two windows in a row with a large share of bytes that no console prints."""

    WINDOW = 256
    SHARE = 0.3
    # Text, what terminals are driven with, and the bytes of frames in CP437 and in UTF-8.
    _TEXT = (
        bytes(range(0x20, 0x7F))
        + b"\a\b\t\n\f\r\x0e\x0f\x1b"
        + b"\xb3\xba\xc4\xcd\xc9\xbb\xc8\xbc\xda\xbf\xc0\xd9"
        + b"\xe2\x94\x95\x96\x80\x82\x8c\x90\x98"
    )

    def __init__(self) -> None:
        self._count = 0
        self._bad = 0
        self._bad_windows = 0
        self._told = False

    def feed(self, data: bytes) -> bool:
        """Return True when `data` makes the console garbage; told once."""
        if self._told:
            return False
        if not self._bad and not data.translate(None, self._TEXT):
            whole, self._count = divmod(self._count + len(data), self.WINDOW)
            if whole:
                self._bad_windows = 0
            return False
        position = 0
        while position < len(data):
            piece = data[position : position + self.WINDOW - self._count]
            position += len(piece)
            self._count += len(piece)
            self._bad += len(piece.translate(None, self._TEXT))
            if self._count == self.WINDOW:
                self._bad_windows = self._bad_windows + 1 if self._bad >= self.SHARE * self.WINDOW else 0
                self._count = self._bad = 0
        if self._bad_windows < 2:
            return False
        self._told = True
        return True
