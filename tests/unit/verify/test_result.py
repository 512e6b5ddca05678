"""What evidence proves: an absence only beside a positive control, the whole only where every part does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.verify.result import Control, absent, first_failure, judged, together, troubled


def test_nothing_seen_beside_a_control_passes() -> None:
    result = absent("frames in clear", 0, [Control("inside", 6, 3)])
    assert (result.status, result.evidence) == ("pass", "0 frames in clear; controls: 6 inside")


def test_nothing_seen_without_its_control_proves_nothing() -> None:
    result = absent("frames in clear", 0, [Control("inside", 6, 3), Control("type 4 outside", 0)])
    assert result.status == "fail"
    assert result.evidence == "0 frames in clear, which proves nothing: only 0 of at least 1 type 4 outside"


def test_a_capture_that_lost_frames_proves_no_absence_but_shows_what_it_shows() -> None:
    assert absent("leaks", 0, [Control("inside", 1)], losses=3).status == "fail"
    seen = absent("leaks", 2, [Control("inside", 1)], losses=3, excerpt=["a > b"])
    assert seen.evidence == "2 leaks (beside: 1 inside)"
    assert seen.excerpt == ("a > b",)


def test_an_absence_without_any_control_is_a_mistake_of_the_probe() -> None:
    with pytest.raises(AssertionError):
        absent("leaks", 0, [])


@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 2))
def test_pass_means_none_all_controls_and_no_losses(hits: int, seen: int, wanted: int, losses: int) -> None:
    result = absent("x", hits, [Control("c", seen, wanted)], losses=losses)
    assert result.ok == (hits == 0 and seen >= wanted and losses == 0)


def test_one_place_that_fails_is_the_evidence() -> None:
    whole = together({"site a": judged(True, "fine"), "site b": judged(False, "seen", excerpt=["line"])})
    assert (whole.status, whole.evidence, whole.excerpt) == ("fail", "site b: seen", ("line",))
    assert together({"a": judged(True, "x"), "b": judged(True, "y")}).evidence == "a: x | b: y"


def test_the_first_part_that_fails_is_the_result() -> None:
    assert first_failure(judged(True, "a"), judged(False, "b"), judged(False, "c")).evidence == "b"
    assert first_failure(judged(True, "a", n=1), judged(True, "b", m=2)).values == {"n": 1, "m": 2}


def test_trouble_is_told_from_a_finding() -> None:
    assert troubled("no answer").trouble and not judged(False, "leak").trouble
