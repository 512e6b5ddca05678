"""The console log keeps every byte, its time, and where some are missing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bringup.base.errors import LabError
from bringup.console.log import ConsoleLog, Stamper, read_log


def test_lines_come_back_with_the_time_of_their_first_byte(tmp_path: Path) -> None:
    log = ConsoleLog(tmp_path, 100.0)
    log.append(b"one\r\ntw", 101.0)
    log.append(b"o\r\n", 102.5)
    log.append(b"thr\x1b[31mee", 103.0)
    log.close()
    assert list(read_log(tmp_path)) == [(1.0, "one"), (1.0, "two"), (3.0, "three")]
    assert (tmp_path / "console.log").read_bytes() == b"one\r\ntwo\r\nthr\x1b[31mee"


def test_gap_is_a_line_of_its_own(tmp_path: Path) -> None:
    log = ConsoleLog(tmp_path, 0.0)
    log.append(b"half a li", 1.0)
    assert log.gap(12.44, 13.5) == b"\n-- SOL lost 12.4 s --\n"
    assert log.gap(1.0, 15.0) == b"-- SOL lost 1.0 s --\n"
    log.append(b"ne\n", 16.0)
    log.close()
    assert [line for _, line in read_log(tmp_path)] == [
        "half a li",
        "-- SOL lost 12.4 s --",
        "-- SOL lost 1.0 s --",
        "ne",
    ]


def test_gap_begins_at_its_own_time_after_a_whole_line(tmp_path: Path) -> None:
    log = ConsoleLog(tmp_path, 0.0)
    log.append(b"whole\n", 1.0)
    log.gap(3.0, 4.0)
    log.close()
    assert list(read_log(tmp_path)) == [(1.0, "whole"), (4.0, "-- SOL lost 3.0 s --")]


def test_no_log_and_no_index(tmp_path: Path) -> None:
    assert list(read_log(tmp_path)) == []
    (tmp_path / "console.log").write_bytes(b"a\nb")
    assert list(read_log(tmp_path)) == [(None, "a"), (None, "b")]


def test_the_index_says_what_the_clock_showed_at_the_start(tmp_path: Path) -> None:
    log = ConsoleLog(tmp_path, time.monotonic())
    log.close()
    word, utc_s = (tmp_path / "console.idx").read_text().split()
    assert word == "utc"
    assert float(utc_s) == pytest.approx(time.time(), abs=60.0)


def test_stamper_marks_each_line_once() -> None:
    stamper = Stamper()
    out = stamper.feed(b"a\r\nb", 0.25) + stamper.feed(b"c\rd\n", 1.0) + stamper.feed(b"e", 2.0)
    assert out == (
        b"1970-01-01T00:00:00.250Z  a\r\n1970-01-01T00:00:00.250Z  bc\rd\n1970-01-01T00:00:02.000Z  e"
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(index=st.binary(max_size=200), log=st.binary(max_size=300), keep=st.integers(0, 60))
def test_torn_or_foreign_files_are_read_as_far_as_they_go(
    tmp_path: Path, index: bytes, log: bytes, keep: int
) -> None:
    good = b"utc 1764000000.000\n0 0.5000\n7 1.2500\n20 2.0000\n"
    (tmp_path / "console.idx").write_bytes(good[:keep] + index)
    (tmp_path / "console.log").write_bytes(log)
    lines = list(read_log(tmp_path))
    assert len(lines) == log.count(b"\n") + (bool(log) and not log.endswith(b"\n"))
    assert all(text.isprintable() or "\t" in text for _, text in lines)


def test_torn_last_record_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "console.log").write_bytes(b"one\ntwo\n")
    (tmp_path / "console.idx").write_bytes(b"utc 10.0\n0 0.5000\n4 1.")
    assert list(read_log(tmp_path)) == [(0.5, "one"), (0.5, "two")]


_WRITER = """
import sys, time
from pathlib import Path
from bringup.console.log import ConsoleLog
log = ConsoleLog(Path(sys.argv[1]), 0.0)
sys.stdout.write("ready\\n"); sys.stdout.flush()
number = 0
while True:
    number += 1
    log.append(b"line %06d abcdefghijklmnopqrstuvwxyz\\r\\n" % number, float(number))
"""


def test_a_kill_at_any_moment_loses_no_whole_record(tmp_path: Path) -> None:
    code = f"import ctypes; ctypes.CDLL(None).prctl(1, {int(signal.SIGKILL)})\n{_WRITER}"
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(0.05)
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()
    lines = list(read_log(tmp_path))
    assert len(lines) > 10
    for number, (at_s, line) in enumerate(lines[:-1], start=1):
        assert line == f"line {number:06d} abcdefghijklmnopqrstuvwxyz"
        assert at_s == float(number)


@pytest.mark.skipif(not os.access("/dev/full", os.W_OK), reason="no /dev/full on this system")
def test_full_disk_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "console.log").symlink_to("/dev/full")
    log = ConsoleLog(tmp_path, 0.0)
    with pytest.raises(LabError, match=r"cannot write the console log in .*: No space left on device"):
        log.append(b"x", 1.0)
    log.close()


def test_missing_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="cannot write the console log"):
        ConsoleLog(tmp_path / "nowhere")


def test_device_or_pipe_in_place_of_a_log_or_its_index_is_none(tmp_path: Path) -> None:
    (tmp_path / "console.log").symlink_to("/dev/zero")
    (tmp_path / "console.idx").symlink_to("/dev/zero")
    assert list(read_log(tmp_path)) == []
    (tmp_path / "console.log").unlink()
    (tmp_path / "console.log").write_bytes(b"one\n")
    assert list(read_log(tmp_path)) == [(None, "one")]
    (tmp_path / "console.log").unlink()
    os.mkfifo(tmp_path / "console.log")
    assert list(read_log(tmp_path)) == []
