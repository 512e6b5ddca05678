"""Texts as people hold them: quoted in a mail, indented, between fences, in UTF-16.

What was put around a text is taken off; nothing of the text itself is changed. Pure.
"""

from __future__ import annotations

import codecs
import re

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_QUOTE = re.compile(rb"^(?:> ?){1,8}", re.MULTILINE)
_FENCE = re.compile(rb"^[ \t]{0,8}(?:```|~~~)[^\n]{0,40}$", re.MULTILINE)
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
    if data.startswith(b">") or b"\n>" in data:
        data = _QUOTE.sub(b"", data)
    if b"```" in data or b"~~~" in data:
        data = _FENCE.sub(b"", data)
    return _without_indent(data)


def _without_indent(data: bytes) -> bytes:
    """Take off the indent of the listing's first function from all lines that have it."""
    first = _INDENT.search(data)
    if first is None or _START.search(data[: first.start()]):
        return data
    indent = first[1]
    return re.sub(rb"^" + re.escape(indent), b"", data, flags=re.MULTILINE)
