"""A recorded console is read whole, and nothing is read for ever."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bringup.base.errors import UsageError
from bringup.console.recorded import recorded_pieces


def refusal(path: Path, **bounds: Any) -> str:
    with pytest.raises(UsageError) as caught:
        list(recorded_pieces(path, **bounds))
    assert caught.value.hint
    return caught.value.message


def test_a_file_and_a_run_folder_are_read_whole(tmp_path: Path) -> None:
    text = os.urandom(200_000)
    (tmp_path / "console.log").write_bytes(text)
    assert b"".join(recorded_pieces(tmp_path / "console.log")) == text
    assert b"".join(recorded_pieces(tmp_path)) == text


def test_a_folder_without_a_console_is_told(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path} holds no console.log: it is not the folder of a run"


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    assert refusal(tmp_path / "no") == f"cannot read {tmp_path / 'no'}: No such file or directory"


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device_is_no_recording(device: str) -> None:
    assert refusal(Path(device)) == f"{device} is a device, not a recording"


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    assert refusal(path) == f"{path} is more than 954 MiB, which no console says in a day"


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


@pytest.fixture
def writer(pipe: Path) -> Iterator[int]:
    """Somebody who has the pipe open."""
    descriptor = os.open(pipe, os.O_RDWR)
    yield descriptor
    os.close(descriptor)


def test_a_pipe_is_read_to_its_end(pipe: Path) -> None:
    thread = threading.Thread(target=pipe.write_bytes, args=(b"x" * 300_000,))
    thread.start()
    assert b"".join(recorded_pieces(pipe, patience_s=20.0)) == b"x" * 300_000
    thread.join(10)


def test_a_pipe_that_nobody_writes_to_is_not_waited_for_for_ever(pipe: Path) -> None:
    assert refusal(pipe, patience_s=0.1) == f"{pipe} said nothing for 0 s and did not end"


def test_a_pipe_that_falls_silent_is_not_waited_for_for_ever(pipe: Path, writer: int) -> None:
    os.write(writer, b"text")
    assert "did not end" in refusal(pipe, patience_s=0.1)


def test_a_pipe_that_goes_on_and_on_ends_by_size_or_by_time(pipe: Path, writer: int) -> None:
    os.write(writer, b"x" * 5000)
    assert "is more than" in refusal(pipe, limit=4000)
    os.write(writer, b"x" * 5000)
    assert refusal(pipe, longest_s=-1.0) == f"{pipe} still goes on after -1 s"
