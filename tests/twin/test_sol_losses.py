"""What SOL loses is marked: while a BMC ends the console, packets vanish, and this process stands still."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doubles.fake_bmc import burst
from tests.doubles.sol_losses import LINE_BYTES, count, ours, run, schedule


def test_lost_lines_are_counted_and_marks_excuse_only_their_place() -> None:
    data, line = burst(LINE_BYTES * 10), LINE_BYTES
    cut = data[: 3 * line + 5] + b"\0GAP 2.0\0" + data[5 * line :]
    assert count(data, 10, 72).lost == 0
    marked = count(cut, 10, 72)
    assert (marked.lost, marked.unmarked, marked.marks, marked.short) == (2 * line, 0, 1, 0)
    assert count(cut.replace(b"\0GAP 2.0\0", b""), 10, 72).unmarked == 2 * line
    early = b"\0GAP 9.0\0" + data[:line] + data[5 * line :]
    assert (count(early, 10, 72).unmarked, count(data[: 6 * line], 10, 72).unmarked) == (4 * line, 4 * line)
    brief = data[:line] + b"\0GAP 1.0\0" + data[9 * line :]
    assert count(brief, 10, 72).short == 1
    assert count(data + data[:line], 10, 72).doubled == line


def test_a_schedule_leaves_time_between_its_faults() -> None:
    faults = schedule(7, 400.0, drops=20, losses=20, stalls=5)
    ends = [fault.at_s + fault.seconds for fault in faults]
    assert len(faults) == 45 and all(end <= fault.at_s for end, fault in zip(ends, faults[1:], strict=False))


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
def test_every_byte_that_is_lost_is_marked(seed: int, tmp_path: Path) -> None:
    size, rate = 360_000, 4000
    faults = schedule(seed, size / rate, drops=2, losses=4, stalls=2)
    lost = run(ours, tmp_path, faults, size=size, rate=rate)
    assert lost.unmarked == 0 and lost.short == 0 and lost.doubled == 0, lost
    assert lost.marks >= 2
    assert lost.lost < size / 2, lost
