"""Leases that were taken for a time: what makes one hold, with clocks that stand still."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.errors import BmcBusyError, LabError
from bringup.lab.holder import Holder
from bringup.lab.reservation import Reservation, ReservationFile, opened, reservation_in

NOW, UPTIME = 1_800_000_000.0, 5000.0


@dataclass
class Times:
    now: float = NOW
    uptime: float = UPTIME


@dataclass
class Desk:
    """One file, opened by a keeper and by somebody who looks."""

    keeper: ReservationFile
    other: ReservationFile
    times: Times

    def take(self, seconds: float = 3600.0, every: float = 5.0) -> Reservation:
        holder = Holder("alice", 4711, "BIOS update", NOW, NOW + seconds)
        made = Reservation(holder, self.keeper.mark(), self.times.uptime, every)
        self.keeper.write(made)
        return made


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    times = Times()
    keeper, other = (
        ReservationFile(
            os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT),
            now=lambda: times.now,
            monotonic=lambda: times.uptime,
        )
        for _ in range(2)
    )
    return Desk(keeper, other, times)


def test_what_was_taken_is_seen_by_others(desk: Desk) -> None:
    assert desk.other.current() is None
    made = desk.take()
    assert desk.other.current() == made


def test_one_whose_keeper_is_gone_is_free_at_once(desk: Desk) -> None:
    desk.take()
    os.close(desk.keeper.descriptor)
    assert desk.other.current() is None


def test_one_whose_time_is_over_is_free_whatever_its_keeper_does(desk: Desk) -> None:
    made = desk.take(seconds=10)
    desk.times.now += 9.9
    assert desk.other.current() is not None
    desk.times.now += 0.2
    assert desk.other.current() is None and not desk.keeper.beat(made.mark)


def test_one_without_signs_of_life_is_free_and_a_beat_keeps_it(desk: Desk) -> None:
    made = desk.take(every=5.0)
    desk.times.uptime += 29
    assert desk.other.current() is not None
    assert desk.keeper.beat(made.mark)
    desk.times.uptime += 29
    assert desk.other.current() is not None
    desk.times.uptime += 2
    assert desk.other.current() is None  # stopped


def test_one_that_was_taken_over_is_not_taken_back(desk: Desk) -> None:
    made = desk.take()
    theirs = Reservation(Holder("bob", 4712, "mine", NOW, NOW + 60), desk.other.mark(), UPTIME, 5.0)
    desk.other.write(theirs)
    assert not desk.keeper.beat(made.mark)
    assert desk.keeper.current() == theirs


def test_word_that_is_left_is_there_for_the_holder_and_gone_with_the_next_lease(desk: Desk) -> None:
    made = desk.take()
    bob = Holder("bob", 4712, "power off", NOW)
    desk.other.tell(bob)
    desk.keeper.beat(made.mark)
    assert list(desk.keeper.notices()) == [bob] and desk.other.current() is not None
    desk.take()
    assert list(desk.keeper.notices()) == []


def test_who_floods_the_file_with_words_makes_it_no_greater(desk: Desk) -> None:
    desk.take()
    for _ in range(300):
        desk.other.tell(Holder("bob", 1, "x" * 80, NOW))
    assert os.fstat(desk.keeper.descriptor).st_size < 20_000


def test_the_file_is_had_by_one_at_a_time(desk: Desk) -> None:
    with desk.keeper.guarded(), pytest.raises(BmcBusyError), desk.other.guarded(0.0):
        pass
    with desk.other.guarded():
        pass


@given(st.binary(max_size=2000))
def test_any_bytes_are_a_reservation_or_none(block: bytes) -> None:
    assert reservation_in(block) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(("who", "pid", "purpose", "since", "until", "mark", "beat", "every")), JSON)
def test_a_field_of_another_kind_makes_it_none_or_harmless(key: str, value: object) -> None:
    good = Reservation(Holder("alice", 4711, "x", NOW, NOW + 60), 1 << 61, UPTIME, 5.0)
    body = json.loads(good.to_block())
    found = reservation_in(json.dumps({**body, key: value}).encode())
    assert found is None or (str(found.holder).isprintable() and len(found.to_block()) <= 1024)


def test_any_name_and_purpose_fit_into_a_block() -> None:
    holder = Holder("\U0001f600" * 40, 4_194_304, "\U0001f600" * 80, NOW, NOW)
    assert reservation_in(Reservation(holder, (1 << 62) - 1, UPTIME, 5.0).to_block()) is not None


@pytest.mark.parametrize("put", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/etc/passwd")])
def test_what_is_no_file_is_told_in_one_line(tmp_path: Path, put: object) -> None:
    put(tmp_path / "file")  # type: ignore[operator]
    with (
        pytest.raises(LabError, match="cannot open the lease of e300"),
        opened("e300", tmp_path / "file", shared=False),
    ):
        pass
