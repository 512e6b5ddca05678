"""Serial numbers in FRU inventories: as vendors write them, as they leave them empty, and as bytes rot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.ipmi.fru import HEADER_BYTES, serial_number


def area(first: bytes, *fields: bytes) -> bytes:
    body = bytes([1, 0]) + first + b"".join(bytes([0xC0 | len(each)]) + each for each in fields) + b"\xc1"
    padded = body + bytes(-(len(body) + 1) % 8)
    padded = padded[:1] + bytes([(len(padded) + 1) // 8]) + padded[2:]
    return padded + bytes([-sum(padded) & 0xFF])


def inventory(board: bytes = b"", product: bytes = b"") -> bytes:
    board_at = 1 if board else 0
    product_at = 1 + len(board) // 8 if product else 0
    header = bytes([1, 0, 0, board_at, product_at, 0, 0])
    return header + bytes([-sum(header) & 0xFF]) + board + product


def serial_in(data: bytes) -> str | None:
    return serial_number(lambda start, size: data[start : start + size])


def board(serial: bytes) -> bytes:
    return area(bytes([0x19, 0, 0, 0]), b"Supermicro", b"X11SDV-4C-TLN2F", serial, b"part")


def product(serial: bytes) -> bytes:
    return area(bytes([0x19]), b"Supermicro", b"SYS-E300-9D", b"part", b"1.0", serial, b"asset")


def test_the_board_s_own_number_comes_first() -> None:
    assert serial_in(inventory(board(b"ZM18AS1"), product(b"S1234"))) == "ZM18AS1"
    assert serial_in(inventory(product=product(b" S1234  "))) == "S1234"
    assert serial_in(inventory(board=board(b"ZM18AS1"))) == "ZM18AS1"


@pytest.mark.parametrize("empty", [b"", b"    ", b"0123456789", b"Default string", b"000000", b"NA", b"\0\0"])
def test_what_vendors_leave_in_the_field_is_no_number(empty: bytes) -> None:
    assert serial_in(inventory(board(empty))) is None
    assert serial_in(inventory(board(empty), product(b"S1234"))) == "S1234"


def test_an_inventory_that_is_cut_or_damaged_tells_nothing_else() -> None:
    whole = inventory(board(b"ZM18AS1"))
    assert serial_in(whole) == "ZM18AS1"
    assert {serial_in(whole[:size]) for size in range(len(whole))} == {None}
    assert {serial_in(flipped(whole, at)) for at in range(len(whole))} == {None}
    assert serial_in(b"") is None
    assert serial_in(bytes(HEADER_BYTES)) is None
    assert serial_in(bytes([2]) + whole[1:]) is None


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x04]) + data[at + 1 :]


@given(st.binary(max_size=300))
def test_any_bytes_are_a_serial_number_or_none(data: bytes) -> None:
    head = bytes([1, 0, 0, 1, 2, 0, 0])
    found = serial_in(head + bytes([-sum(head) & 0xFF]) + data)
    assert found is None or (found.isprintable() and len(found) > 1)
