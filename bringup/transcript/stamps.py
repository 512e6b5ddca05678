"""Takes off what other programs put before the lines of a console: time stamps, quotes, `cat -v`.

A console is recorded by many: minicom and picocom with stamps, `ts`, PuTTY, our own report of a run, a mail
that quotes it. What they add stands at the beginnings of lines and is removed there, several layers deep.
Linux's own stamps (`[    0.000000] `) are a guest's text and stay, unless the sample shows that a program put
such stamps before the kernel's lines too.
"""

from __future__ import annotations

import re

_CHUNK_MAX = 65536
_LAYERS = 4
_LINE_MAX = 4096

_QUOTE = rb"(?:> ){1,4}"
_SECONDS = rb"[ ]{0,9}\d{1,7}\.\d{3}(?: s )? "
_DATE = rb"\[?\d{4}[-.]\d\d[-.]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z| ?[+-]\d\d:?\d\d)?\]?:? {1,2}"
_MONTH = rb"\[?(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,9})?\]? "
_CLOCK = rb"\[?\d\d:\d\d:\d\d(?:[.,]\d{1,9})?\]?:? "
_KERNEL_STAMP = rb"\[ {0,6}\d{1,7}\.\d{3,9}\] "
# Texts that no Linux kernel prints, behind such a stamp: then a program stamped the line.
_STAMPED = re.compile(
    rb"^[ >]{0,8}"
    + _KERNEL_STAMP
    + rb"(?:Boot config:|Booting all finished|Starting test|SeaBIOS|vt-x:|seL4 "
    rb"|Detected \d+ boot module|Guest address space|Initializing guest|Mapping kernel window|FAULT HANDLER"
    rb"|Kernel loaded to:|Caught |\[ {0,6}\d+\.\d+\])",
    re.MULTILINE,
)
# Our own report of a run quotes lines of the console that it is about.
_QUOTED = b"console line "
_OWN_QUOTE = re.compile(rb"\n[^\n]{0,200}" + _QUOTED + rb"\d{1,9}: \"[^\n]*")
_OWN_UNTIL = re.compile(rb"^[^\n]{0,48}?board {2,9}[^\n]{1,200}, until ([a-z-]{3,20})\r?$", re.MULTILINE)
_CARET_ESCAPE = re.compile(rb"\^\[(?=\[[0-9;]*[A-Za-z])")
_CARET_RETURN = re.compile(rb"(?:\^M|\^@)")


class LineCleaner:
    """Removes the additions of a recording; pieces in order by `feed`, what is left by `finish`."""

    def __init__(self) -> None:
        self._carry = b""
        self._prefixes: tuple[tuple[bytes, re.Pattern[bytes]], ...] = ()
        self._carets = False
        self._at_line_start = True
        self.until: str | None = None
        """The stage that the run waited for, where the text is our own report of one."""

    def feed(self, data: bytes) -> bytes:
        """Return the console's own text in `data`, as far as its lines are whole."""
        data = self._carry + data
        end = data.rfind(b"\n") + 1
        if len(data) - end > _LINE_MAX:
            end = len(data)
        data, self._carry = data[:end], data[end:]
        return self._clean(data)

    def finish(self) -> bytes:
        """Return the text of the last line, which nothing ended."""
        data, self._carry = self._carry, b""
        return self._clean(data)

    def _clean(self, data: bytes) -> bytes:
        if not data:
            return data
        if not self._prefixes:
            self._look(data)
        begins, self._at_line_start = self._at_line_start, data.endswith(b"\n")
        text = b"\n" + data if begins else data
        if _QUOTED in text:
            text = _OWN_QUOTE.sub(b"\n", text)
        if self._carets:
            text = _CARET_RETURN.sub(b"", _CARET_ESCAPE.sub(b"\x1b", text))
        for end, prefix in self._prefixes:
            for _ in range(_LAYERS):
                text, count = prefix.subn(end, text)
                if not count:
                    break
        return text[1:] if begins else text

    def _look(self, sample: bytes) -> None:
        """Choose what to remove by the beginning of the recording."""
        kinds = [_QUOTE, _DATE, _MONTH, _CLOCK, _SECONDS]
        if _STAMPED.search(sample[:_CHUNK_MAX]):
            kinds.append(_KERNEL_STAMP)
        until = _OWN_UNTIL.search(sample)
        self.until = None if until is None else until.group(1).decode()
        self._carets = b"^[[" in sample or b"^M\n" in sample
        prefix = rb"(?:" + b"|".join(kinds) + rb")"
        self._prefixes = ((b"\n", re.compile(rb"\n" + prefix)), (b"\r", re.compile(rb"\r(?!\n)" + prefix)))
