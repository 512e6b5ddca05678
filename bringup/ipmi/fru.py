"""The serial number in a FRU inventory (IPMI Platform Management FRU Information Storage Definition 1.0).

The data comes from flash that anybody may have written: what does not fit the format is no serial number.
"""

from __future__ import annotations

from collections.abc import Callable

HEADER_BYTES = 8
_UNIT = 8
_BOARD_AT, _PRODUCT_AT = 3, 4
# How many fields stand before the serial number, and at which byte of the area the first one begins.
_BOARD = (6, 2)
_PRODUCT = (3, 4)
_END = 0xC1
_LENGTH = 0x3F
_TEXT = 0xC0
_UNITS_MAX = 32
# What vendors leave in the field; so is any run of one character.
_NOT_A_SERIAL = ("0123456789", "123456789", "none", "n/a", "na", "default string", "to be filled by o.e.m.")

Read = Callable[[int, int], bytes]
"""Returns so many bytes of the inventory from an offset on, fewer at its end."""


def serial_number(read: Read) -> str | None:
    """Return the board's serial number, else the product's, None where there is none."""
    header = read(0, HEADER_BYTES)
    if len(header) < HEADER_BYTES or sum(header) & 0xFF:
        return None
    for at, (first, before) in ((_BOARD_AT, _BOARD), (_PRODUCT_AT, _PRODUCT)):
        if header[at]:
            start = header[at] * _UNIT
            size = min((read(start, 2)[1:2] or b"\0")[0], _UNITS_MAX) * _UNIT
            area = read(start, size)
            # One that came in part would be another number.
            whole = len(area) == size > 0 and not sum(area) & 0xFF
            serial = _field(area, first, before) if whole else None
            if serial is not None:
                return serial
    return None


def _field(area: bytes, first: int, before: int) -> str | None:
    at = first
    for _ in range(before):
        if at >= len(area) or area[at] == _END:
            return None
        at += 1 + (area[at] & _LENGTH)
    if at >= len(area) or area[at] == _END:
        return None
    data = area[at + 1 : at + 1 + (area[at] & _LENGTH)]
    text = data.decode("latin-1").strip(" \0") if area[at] & _TEXT == _TEXT else data.hex()
    is_one = text.isprintable() and text.lower() not in _NOT_A_SERIAL and len(set(text)) > 1
    return text if is_one else None
