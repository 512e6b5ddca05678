"""Profiles that many boards share: read once, the same as by themselves, each with its own unit's facts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bringup.base.errors import ProfileError
from bringup.profile.load import SharedProfiles, load_profile


def test_many_boards_of_one_kind_have_one_profile() -> None:
    shared = SharedProfiles()
    with ThreadPoolExecutor(8) as pool:
        loaded = list(pool.map(lambda _: shared.load("twin-e300-9d"), range(16)))
    assert all(profile is loaded[0] for profile in loaded)
    assert loaded[0] == load_profile("twin-e300-9d")
    assert shared.load("supermicro-e300-9d") == load_profile("supermicro-e300-9d")


def test_a_folder_of_a_lab_has_profiles_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('extends = "twin-e300-9d"\ntitle = "Mine"\n')
    shared = SharedProfiles()
    assert shared.load("mine", [tmp_path]).title == "Mine"
    with pytest.raises(ProfileError, match='no profile "mine"'):
        shared.load("mine")


def test_what_was_measured_on_one_unit_is_not_said_of_another(tmp_path: Path) -> None:
    unit = tmp_path / "one.toml"
    unit.write_text(
        'board = "one"\nprofile = "supermicro-e300-9d"\n\n[[facts]]\nname = "serial.baud"\nvalue = 9600\n'
        'grade = "measured"\nevidence = "console read"\ndate = "2026-11-28"\n'
    )
    shared = SharedProfiles()
    usual = load_profile("supermicro-e300-9d").serial.baud
    one = shared.load("supermicro-e300-9d", unit=unit).serial.baud
    other = shared.load("supermicro-e300-9d", unit=tmp_path / "none.toml").serial.baud
    assert (one.value, one.grade) == (9600, "measured")
    assert other == usual
