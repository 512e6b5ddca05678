"""Folders whose content is trusted are one's own, and lock files are never reached through a link."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bringup.base import paths
from bringup.base.errors import BmcBusyError, LabError
from bringup.base.paths import at_home
from bringup.lab.lease import Lease
from bringup.twin.info import twin_folder


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_refused(home: Path) -> None:
    (home / "run").mkdir(parents=True)
    os.chown(home / "run", 65534, 65534)
    with pytest.raises(LabError, match="not a folder of yours"):
        paths.runtime_dir()


def test_a_link_in_the_folders_place_is_refused(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    (home / "run").symlink_to(tmp_path)
    with pytest.raises(LabError, match="not a folder of yours"):
        paths.runtime_dir()


def test_a_lock_is_not_taken_through_a_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "lock").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        paths.open_lock(tmp_path / "lock")
    assert victim.read_text() == "precious"


def test_a_real_board_has_one_lease_whatever_it_is_called(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks = tmp_path / "locks"
    locks.mkdir()
    with Lease("e300", "boot", known_as="10.0.0.17:623", host_locks=locks):
        monkeypatch.setenv("BRINGUP_HOME", str(tmp_path / "another"))
        with pytest.raises(BmcBusyError, match="boot"):
            Lease("rack1", "boot", known_as="10.0.0.17:623", host_locks=locks).__enter__()
        with Lease("rack2", "boot", known_as="10.0.0.18:623", host_locks=locks):
            pass


def test_two_homes_share_no_twin_and_one_home_is_one_however_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BRINGUP_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    usual = twin_folder("e300")
    assert usual == tmp_path / "run" / "bringup" / "twin-e300"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "me" / ".local" / "state"))
    assert twin_folder("e300") == usual
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other"))
    other = twin_folder("e300")
    assert other != usual and other.parent.is_dir()
    with Lease("e300", "boot"):
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "third"))
        assert twin_folder("e300") not in (usual, other)
        with Lease("e300", "boot"):
            pass
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other"))
        assert twin_folder("e300") == other
        with pytest.raises(BmcBusyError):
            Lease("e300", "boot").__enter__()


def test_a_home_is_put_in_and_an_unknown_user_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert at_home("~/lab.toml") == Path("/home/me/lab.toml")
    assert at_home("~nobody-has-this-name/lab.toml") == Path("~nobody-has-this-name/lab.toml")
