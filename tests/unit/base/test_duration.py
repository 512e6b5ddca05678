"""Lengths of time, typed and told."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.duration import rough_duration, seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2h", 7200),
        ("90m", 5400),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("30s", 30),
        ("1d", 86400),
        ("10 min", 600),
    ],
)
def test_what_people_type(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "2x", "2h!", "-2h", "2h 3", "²h"])
def test_what_is_no_length(text: str) -> None:
    with pytest.raises(ValueError, match="such as 2h"):
        seconds_of(text)


@given(st.text(max_size=20))
def test_any_text_is_a_length_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert seconds_of(text) >= 0


def test_told_in_two_units() -> None:
    told = [rough_duration(seconds) for seconds in (-1, 7, 150, 5400, 7200, 90000)]
    assert told == ["0 s", "7 s", "2 min", "1 h 30 min", "2 h", "1 d 1 h"]
