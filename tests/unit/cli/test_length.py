"""A length of time means the same in every option that takes one."""

from __future__ import annotations

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.cli.length import Length


@pytest.mark.parametrize(
    ("typed", "seconds"), [("90", 90), ("0", 0), ("2.5", 2.5), ("90s", 90), ("10m", 600), ("1h30m", 5400)]
)
def test_plain_seconds_and_units(typed: str, seconds: float) -> None:
    assert Length(0, 86400).convert(typed, None, None) == seconds


def test_where_hours_may_be_meant_the_unit_is_needed() -> None:
    lease = Length(1, 7 * 86400, unit_needed=True)
    assert lease.convert("2h", None, None) == 7200
    with pytest.raises(click.BadParameter, match="such as 2h, 90m or 1h30m"):
        lease.convert("2", None, None)


@pytest.mark.parametrize(
    ("typed", "said"), [("2d", "'2d': it is from 0 s to 1 d"), ("nan", "expected"), ("-1", "expected")]
)
def test_what_it_cannot_be_is_said(typed: str, said: str) -> None:
    with pytest.raises(click.BadParameter, match=said):
        Length(0, 86400).convert(typed, None, None)


def test_what_to_do_about_a_length_out_of_bounds_is_said_where_there_is_something() -> None:
    with pytest.raises(click.BadParameter, match=r"it is from 1 s to 7 d; take it anew"):
        Length(1, 7 * 86400, beyond="take it anew").convert("8d", None, None)


@given(st.text(max_size=12))
def test_any_text_is_a_length_within_bounds_or_refused(text: str) -> None:
    try:
        assert 1 <= Length(1, 60).convert(text, None, None) <= 60
    except click.BadParameter as refused:
        assert repr(text) in str(refused)
