"""Texts as people hold them: quoted in a mail, indented, between fences, coloured, numbered, in UTF-16.

What was put around a text is taken off; nothing of the text itself is changed. Pure.
"""

from __future__ import annotations

import codecs
import html
import json
import re

from bringup.transcript.stamps import LineCleaner

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_QUOTE = re.compile(rb"^(?:> ?){1,8}", re.MULTILINE)
_FENCE = re.compile(rb"^[ \t]{0,8}(?:```|~~~)[^\n]{0,40}$", re.MULTILINE)
_COLOUR = re.compile(rb"\x1b\[[0-9;]{0,32}[mK]")
# Boards of forums, and pages of the web: `[CODE]`, `<pre>`.
_BOARD_TAG = re.compile(
    rb"\[/?(?:CODE|ICODE|QUOTE|SPOILER)(?:=[^\]\n]{0,120})?\]|"
    rb"</?(?:pre|code|p|br|div|span|blockquote|html|body|head|meta)(?: [^>\n]{0,200})?/?>",
    re.IGNORECASE,
)
_BOARD = re.compile(rb"\[CODE|\[QUOTE|\[SPOILER|<pre[ >]|<code[ >]", re.IGNORECASE)
_NUMBERS_MIN = 4
_NUMBERED = re.compile(rb"^ {0,8}(\d{1,6})(?:\t|  )", re.MULTILINE)
# How a function begins in a listing of lspci or pciconf, when it does not begin its line.
_INDENT = re.compile(
    rb"^([ \t]{1,32})"
    rb"(?:(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7] |[a-z]{1,32}\d{0,4}@pci\d|Slot:\t)",
    re.MULTILINE,
)
# Where listings begin their lines already, and where an indent has a meaning.
_START = re.compile(rb"^(?:(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7] |IOMMU [Gg]roup)", re.MULTILINE)


def unwrapped(data: bytes) -> bytes:
    """Return a text without what mail, web and editors put around it; other bytes as they are."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            data = data[len(mark) :]
            if encoding != "utf-8":
                data = data.decode(encoding, "replace").encode()
            break
    if b"\0" in data[:4096]:
        return data
    if b"\x1b[" in data:
        data = _COLOUR.sub(b"", data)
    if _BOARD.search(data):
        data = html.unescape(_BOARD_TAG.sub(b"", data).decode("utf-8", "replace")).encode()
    data = _without_numbers(_messages(data))
    if data.startswith(b">") or b"\n>" in data:
        data = _QUOTE.sub(b"", data)
    if b"```" in data or b"~~~" in data:
        data = _FENCE.sub(b"", data)
    return _without_indent(data)


def unstamped(data: bytes) -> bytes:
    """Return a text without the times that a program put before its lines."""
    cleaner = LineCleaner()
    return cleaner.feed(data) + cleaner.finish()


def _messages(data: bytes) -> bytes:
    """Return the log of `journalctl -o json` as the lines that were logged."""
    if not data.startswith(b"{") or b'"MESSAGE"' not in data[:8192]:
        return data
    lines = []
    for line in data.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("MESSAGE"), str):
            lines.append(entry["MESSAGE"])
    return "\n".join(lines).encode() + b"\n"


def _without_numbers(data: bytes) -> bytes:
    """Take off the numbers of lines, as `cat -n` writes them, where they count from the first line on."""
    lines = data.split(b"\n", _NUMBERS_MIN)[:_NUMBERS_MIN]
    numbers = [int(found[1]) for found in map(_NUMBERED.match, lines) if found]
    if len(numbers) < _NUMBERS_MIN or numbers != list(range(numbers[0], numbers[0] + _NUMBERS_MIN)):
        return data
    return _NUMBERED.sub(b"", data)


def _without_indent(data: bytes) -> bytes:
    """Take off the indent of the listing's first function from all lines that have it."""
    first = _INDENT.search(data)
    if first is None or _START.search(data[: first.start()]):
        return data
    indent = first[1]
    return re.sub(rb"^" + re.escape(indent), b"", data, flags=re.MULTILINE)
