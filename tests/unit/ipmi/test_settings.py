"""Cipher suite records of BMCs, as Get Channel Cipher Suites has them (IPMI 2.0 table 22-19)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.ipmi.settings import suites_of

STANDARD_3, STANDARD_17 = bytes([0xC0, 3, 1, 0x41, 0x81]), bytes([0xC0, 17, 3, 0x44, 0x81])
# An OEM's suite has a number of three bytes, which may look like the head of a record.
OEM = bytes([0xC1, 0x80, 0xC0, 0x2A, 0x00, 1, 0x41, 0x81])


@pytest.mark.parametrize(
    ("records", "suites"),
    [
        (STANDARD_3 + STANDARD_17, (3, 17)),
        (OEM + STANDARD_17, (0x80, 17)),
        (bytes([0xC0, 0, 0]) + STANDARD_3, (0, 3)),  # without integrity and confidentiality
        (STANDARD_3[:1], ()),
        (b"", ()),
    ],
)
def test_the_suites_of_records(records: bytes, suites: tuple[int, ...]) -> None:
    assert suites_of(records) == suites


@given(st.binary(max_size=80))
def test_whatever_comes_is_read(records: bytes) -> None:
    assert len(suites_of(records)) <= len(records)
