"""Screens that firmware draws: text placed by the cursor, characters sent twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.transcript.failures.firmware import FIRMWARE
from bringup.transcript.failures.loader import LOADER
from bringup.transcript.redrawn import find
from bringup.transcript.stages import Sighting, StageReader

ROWS = [row for row in (*FIRMWARE, *LOADER) if row.where == "any"]


def failures(*pieces: bytes) -> list[Sighting]:
    reader = StageReader()
    sightings = [s for at, piece in enumerate(pieces) for s in reader.feed(piece, float(at))]
    sightings += reader.finish(99.0)
    return [s for s in sightings if s.failure is not None]


def codes(*pieces: bytes) -> list[str]:
    return [s.failure.code for s in failures(*pieces) if s.failure]


def at(row: int, column: int, text: str) -> bytes:
    return f"\x1b[{row:02};{column:02}H{text}".encode()


def test_screen_drawn_character_by_character_is_one_line() -> None:
    text = "PXE-E61: Media test failure, check cable"
    (seen,) = failures(b"".join(at(5, 1 + column, c) for column, c in enumerate(text)))
    assert seen.line_text == text


def test_gap_on_one_row_is_blank_and_another_row_another_line() -> None:
    (seen,) = failures(at(4, 1, "Station 1") + at(5, 3, "PXE-E53:") + at(5, 12, "No boot filename received"))
    assert seen.line_text == "PXE-E53: No boot filename received"


@pytest.mark.parametrize(
    ("screen", "code"),
    [
        (at(1, 1, "PXX") + at(1, 3, "E-E61: Media test failure"), "pxe-no-link"),
        (at(24, 1, "Reboot and Seleect") + at(24, 17, "t proper Boot device"), "nothing-to-boot"),
        (at(2, 1, "  PXE--E18: Server response timeout"), "pxe-no-answer"),
        (at(9, 1, "Presss F1 to") + at(9, 12, " Run SETUP"), "waits-for-key"),
        (at(1, 1, "grub: eerror: ") + at(2, 1, "Enteering rescue mode....") + at(3, 1, "x"), "grub-rescue"),
    ],
)
def test_characters_sent_twice_hide_no_text(screen: bytes, code: str) -> None:
    assert codes(screen) == [code]


def test_a_number_with_equal_digits_is_not_taken_for_another() -> None:
    assert codes(at(1, 1, "PXE-E117: no such number")) == []
    assert codes(at(1, 1, "PPXE-E11: ARP timeout")) == ["pxe-no-answer"]


def test_what_was_found_is_found_once() -> None:
    assert codes(at(1, 1, "xx PXE-E61: Media test failure") + b"\r\n") == ["pxe-no-link"]


def test_doubled_text_counts_only_on_a_drawn_screen_before_a_kernel() -> None:
    doubled = b"Reeboot and Select proper Boot device\r\n"
    assert codes(doubled) == []
    kernel = b"Boot config: disable_iommu = false\r\n"
    assert codes(at(1, 1, "American Megatrends, Inc. Copyright") + b"\r\n" + kernel + doubled) == []
    assert codes(at(1, 1, "American Megatrends, Inc. Copyright") + b"\r\n" + doubled) == ["nothing-to-boot"]


@given(st.data())
def test_every_text_is_found_with_any_of_its_characters_twice(data: st.DataObject) -> None:
    row = data.draw(st.sampled_from(ROWS))
    plain = "".join(row.text.replace("%d", "17").replace("%x", "c5").split())
    text = "".join(c * data.draw(st.sampled_from((1, 1, 2))) for c in plain).encode()
    found = {known for known, _, _ in find(text, 0, 0)}
    assert row.text in found or text == plain.encode()


@given(st.binary(max_size=400))
def test_any_bytes_are_searched_without_an_error(text: bytes) -> None:
    assert all(0 <= start < end <= len(text) for _, start, end in find(text, 0, 0))
