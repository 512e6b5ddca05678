"""Files that may be anything."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bringup.base.errors import BringupError
from bringup.base.regular_file import is_file, is_folder, read_whole
from bringup.console.timed import timed_pieces
from bringup.profile.files import profile_files


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"four")
    assert read_whole(tmp_path / "file", 4) == b"four"
    with pytest.raises(ValueError, match="more than 3"):
        read_whole(tmp_path / "file", 3)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="no file"):
        read_whole(tmp_path / "pipe", 9)
    with pytest.raises(OSError, match="directory"):
        read_whole(tmp_path, 9)


def as_somebody_else(look: Callable[[], object]) -> bool:
    """Return whether `look` is true for a user who is not root, in a process of its own."""
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setresuid(65534, 65534, 65534)
            os._exit(0 if look() else 1)
        except BaseException:  # noqa: BLE001  # whatever it is, this process has to end here
            os._exit(2)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 1), "it raised"
    return code == 0


def test_what_lies_where_nobody_may_look_is_not_there(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "folder").mkdir(parents=True)
    (closed / "file").write_text("")
    assert is_folder(closed / "folder") and is_file(closed / "file")
    closed.chmod(0)
    try:
        assert not as_somebody_else(lambda: is_folder(closed / "folder") or is_file(closed / "file"))
        assert as_somebody_else(lambda: refused(lambda: profile_files([closed]), "cannot be listed"))
        assert as_somebody_else(lambda: refused(lambda: list(timed_pieces(closed / "file")), "cannot read"))
    finally:
        closed.chmod(0o700)


def refused(call: Callable[[], object], words: str) -> bool:
    try:
        call()
    except BringupError as error:
        return words in error.message
    return False
