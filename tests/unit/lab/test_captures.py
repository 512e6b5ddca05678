"""Captures: names by UTC time, the newest last, nothing half written, nothing lost."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bringup.base.errors import LabError, UsageError
from bringup.lab import captures


@pytest.fixture
def bundle(tmp_path: Path, home: Path) -> Path:
    path = tmp_path / "bundle.tar.gz"
    path.write_bytes(b"first")
    return path


def test_the_latest_is_the_one_added_last(bundle: Path) -> None:
    assert captures.latest_capture("e300") is None
    first = captures.add("e300", bundle)
    bundle.write_bytes(b"second")
    second = captures.add("e300", bundle)
    assert captures.list_captures("e300") == (first, second)
    assert captures.latest_capture("e300") == second
    assert (first.read_bytes(), second.read_bytes()) == (b"first", b"second")
    assert captures.latest_capture("other") is None


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
        captures.latest_capture(name)


def test_what_two_probes_saw_is_one_capture(bundle: Path, tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_bytes(b"report")
    alone = captures.add("e300", bundle)
    both = captures.add_together("e300", {"linux.tar.gz": bundle, "firmware-probe.log": log})
    assert captures.list_captures("e300") == (alone, both)
    assert captures.latest_capture("e300") == both
    assert {path.name: path.read_bytes() for path in both.iterdir()} == {
        "linux.tar.gz": b"first",
        "firmware-probe.log": b"report",
    }
    assert sorted(path.name for path in both.parent.iterdir()) == sorted([alone.name, both.name])


def test_files_and_folders_share_one_order(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "gmtime", lambda: time.struct_time((2026, 11, 23, 10, 15, 2, 0, 327, 0)))
    paths = []
    for _ in range(3):
        paths += [captures.add("e300", bundle), captures.add_together("e300", {"linux.tar.gz": bundle})]
    assert [path.name for path in paths[:3]] == [
        "2026-11-23T101502Z.tar.gz",
        "2026-11-23T101502Z-2",
        "2026-11-23T101502Z-3.tar.gz",
    ]
    assert list(captures.list_captures("e300")) == paths


def test_half_of_two_is_none(home: Path, bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="cannot keep the capture of e300"):
        captures.add_together("e300", {"a": bundle, "b": tmp_path / "absent"})
    assert list((home / "state" / "captures" / "e300").iterdir()) == []
    assert captures.latest_capture("e300") is None


def test_a_folder_of_a_files_name_is_no_capture(bundle: Path) -> None:
    path = captures.add("e300", bundle)
    (path.parent / "9999-01-01T000000Z.tar.gz").mkdir()
    (path.parent / "9999-01-01T000000Z").write_bytes(b"")
    assert captures.latest_capture("e300") == path
