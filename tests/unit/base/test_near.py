"""What a misspelt name may mean."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.near import did_you_mean, nearest

BOARDS = ["e300", "e300-1", "rack1"]


@pytest.mark.parametrize(
    ("name", "known", "near"),
    [
        ("e30", BOARDS, "e300"),
        ("E300-1", BOARDS, "e300-1"),
        ("rakc1", BOARDS, "rack1"),
        ("slot7F0", ["LAN1", "Slot7f0"], "Slot7f0"),
        ("zmq", BOARDS, None),
        ("", BOARDS, None),
        ("e300", [], None),
    ],
)
def test_the_nearest_name(name: str, known: list[str], near: str | None) -> None:
    assert nearest(name, known) == near
    assert did_you_mean(name, known) == ("" if near is None else f"; did you mean {near}?")


def test_more_likeness_can_be_asked_for() -> None:
    assert nearest("guest_ram", ["guest_ram_mb"], likeness=0.75) == "guest_ram_mb"
    assert nearest("guest", ["guest_ram_mb"], likeness=0.75) is None


@given(st.text(), st.lists(st.text(max_size=12), max_size=6))
def test_only_known_names_are_meant_and_each_means_itself(name: str, known: list[str]) -> None:
    assert nearest(name, known) in {None, *known}
    for each in known:
        near = nearest(each, known)
        assert not each or (near is not None and near.lower() == each.lower())


def test_a_name_without_end_takes_no_time() -> None:
    begin = time.process_time()
    nearest("a" * 1_000_000, ["b" * 70, *BOARDS])
    assert time.process_time() - begin < 30  # minutes, where the whole name is compared
