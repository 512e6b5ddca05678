"""Entries of event logs: what explains a board that stops, and what does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.ipmi.sel import decode_entry

SPECIFIC, THRESHOLD = 0x6F, 0x01


def record(
    sensor: int, offset: int, event_type: int = SPECIFIC, *, kind: int = 0x02, number: int = 7
) -> bytes:
    """An entry as IPMI 2.0 table 32-1 has it; what stands above an offset says what else is in it."""
    head = number.to_bytes(2, "little") + bytes([kind]) + bytes(4) + b"\x20\x00\x04"
    return head + bytes([sensor, 0x30, event_type, 0xA0 | offset, 0xFF, 0xFF])


@pytest.mark.parametrize(
    ("sensor", "offset", "event_type", "kind"),
    [
        (0x23, 0x1, SPECIFIC, "watchdog"),
        (0x23, 0x3, SPECIFIC, "watchdog"),
        (0x11, 0x1, SPECIFIC, "watchdog"),
        (0x08, 0x1, SPECIFIC, "power"),
        (0x09, 0x6, SPECIFIC, "power"),
        (0x02, 0x2, THRESHOLD, "power"),
        (0x02, 0xB, THRESHOLD, "power"),
        (0x01, 0x9, THRESHOLD, "thermal"),
        (0x07, 0x1, SPECIFIC, "thermal"),
        (0x0C, 0x1, SPECIFIC, "memory"),
        (0x07, 0x0, SPECIFIC, "processor"),
        (0x13, 0x5, SPECIFIC, "bus"),
        (0x14, 0x2, SPECIFIC, "button"),
        (0x0F, 0x0, SPECIFIC, "self-test"),
    ],
)
def test_what_befell_a_board_is_told(sensor: int, offset: int, event_type: int, kind: str) -> None:
    entry = decode_entry(record(sensor, offset, event_type))
    assert entry is not None
    assert (entry.number, entry.kind) == (7, kind)
    assert entry.text
    gone = decode_entry(record(sensor, offset, event_type | 0x80))
    assert gone is not None and gone.kind is None  # it is over


@pytest.mark.parametrize(
    "entry",
    [
        record(0x23, 0x0),  # a timer that ran out and did nothing
        record(0x23, 0x8),
        record(0x09, 0x0),  # switched off, as somebody asked
        record(0x08, 0x0),  # present
        record(0x0C, 0x0),  # corrected
        record(0x01, 0x0, THRESHOLD),  # cold
        record(0x01, 0x2, THRESHOLD),
        record(0x04, 0x2, THRESHOLD),  # a fan
        record(0x1D, 0x0),  # the boot itself
        record(0x22, 0x0),
        record(0x23, 0x1, 0x03),  # another kind of event
        record(0x23, 0x1, kind=0xC0),  # a vendor's own
    ],
)
def test_what_explains_no_fault_is_nothing(entry: bytes) -> None:
    told = decode_entry(entry)
    assert told is not None and told.kind is None


@given(st.binary(max_size=24))
def test_any_bytes_are_an_entry_or_none(data: bytes) -> None:
    entry = decode_entry(data)
    assert (entry is None) == (len(data) < 16)
    assert entry is None or (entry.kind is None) == (not entry.text)
