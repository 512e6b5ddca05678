"""Files that may be anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bringup.base.regular_file import read_whole


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
