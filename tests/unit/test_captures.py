"""Captures: names by UTC time, the newest last, nothing half written, nothing lost."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bringup import captures
from bringup.errors import LabError, UsageError


@pytest.fixture
def bundle(tmp_path: Path, home: Path) -> Path:
    path = tmp_path / "bundle.tar.gz"
    path.write_bytes(b"first")
    return path


def test_the_latest_is_the_one_added_last(bundle: Path) -> None:
    assert captures.latest("e300") is None
    first = captures.add("e300", bundle)
    bundle.write_bytes(b"second")
    second = captures.add("e300", bundle)
    assert captures.list_captures("e300") == (first, second)
    assert captures.latest("e300") == second
    assert (first.read_bytes(), second.read_bytes()) == (b"first", b"second")
    assert captures.latest("other") is None


def test_names_are_the_utc_time_and_keep_their_order(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "gmtime", lambda: time.struct_time((2026, 11, 23, 10, 15, 2, 0, 327, 0)))
    paths = [captures.add("e300", bundle) for _ in range(12)]
    assert paths[0].name == "2026-11-23T101502Z.tar.gz"
    assert paths[1].name == "2026-11-23T101502Z-2.tar.gz"
    # As text, -10 would come before -2.
    assert list(captures.list_captures("e300")) == paths


def test_a_bundle_that_cannot_be_read_leaves_nothing(home: Path, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="cannot keep the capture of e300"):
        captures.add("e300", tmp_path / "absent")
    folder = home / "state" / "captures" / "e300"
    assert list(folder.iterdir()) == []


def test_other_files_are_no_captures(bundle: Path) -> None:
    path = captures.add("e300", bundle)
    for name in (".new-abc", "notes.txt", "9999-01-01T000000Z.tar.gz.part"):
        (path.parent / name).write_bytes(b"")
    assert captures.list_captures("e300") == (path,)


@pytest.mark.parametrize("name", ["../e300", "", "a/b", "."])
def test_a_name_that_is_no_board_is_no_folder(bundle: Path, name: str) -> None:
    with pytest.raises(UsageError):
        captures.add(name, bundle)
    with pytest.raises(UsageError):
        captures.latest(name)
