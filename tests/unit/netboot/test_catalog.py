"""The table of files, progress that does not flood, and telling strangers by the ARP table."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.netboot.catalog import Catalog, ChangedFileError, ProgressThrottle, is_stranger, open_served
from bringup.netboot.spec import ServedFile

MACS = ("52:54:00:0e:30:10",)
# proc_net_arp(5), as Linux 6.1 writes it.
ARP = """\
IP address       HW type     Flags       HW address            Mask     Device
10.55.0.30       0x1         0x2         52:54:00:0E:30:10     *        br0
10.55.0.77       0x1         0x2         52:54:00:00:00:99     *        br0
10.55.0.78       0x1         0x0         00:00:00:00:00:00     *        br0
"""


@pytest.mark.parametrize(
    ("address", "stranger"),
    [
        ("10.55.0.30", False),
        ("10.55.0.77", True),
        ("10.55.0.78", False),
        ("127.0.0.1", False),
        ("10.55.0.3", False),
    ],
)
def test_strangers(address: str, stranger: bool) -> None:
    assert is_stranger(ARP, address, MACS) is stranger


def test_names() -> None:
    file = ServedFile("/kernel", Path("/srv/kernel"), "kernel", 1)
    catalog = Catalog([file])
    assert catalog.find("kernel") is file
    assert catalog.find("/kernel") is file
    assert catalog.find("//kernel") is None
    assert catalog.find("") is None


@pytest.mark.parametrize("kind", ["missing", "grown", "directory", "pipe", "unreadable-link"])
def test_what_is_not_the_announced_file_is_not_opened(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    if kind == "grown":
        path.write_bytes(b"12345")
    elif kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "unreadable-link":
        path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ChangedFileError):
        open_served(ServedFile("/f", path, "kernel", 4))


def test_the_announced_file_is_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1234")
    with open_served(ServedFile("/f", tmp_path / "file", "kernel", 4)) as content:
        assert content.read() == b"1234"


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0.0, 0.5)), max_size=100))
def test_progress_is_at_most_five_per_second(steps: list[tuple[int, float]]) -> None:
    throttle = ProgressThrottle(size=1000, told_s=0.0)
    sent, now_s, told = 0, 0.0, []
    for step, wait_s in steps:
        sent, now_s = sent + step, now_s + wait_s
        if throttle.due(sent, now_s):
            told.append((sent, now_s))
    assert len(told) <= now_s / 0.2
    assert all(later[0] > earlier[0] for earlier, later in itertools.pairwise(told))


def test_slow_progress_is_told_once_a_second() -> None:
    throttle = ProgressThrottle(size=10**9, told_s=0.0)
    told = [tenth for tenth in range(1, 100) if throttle.due(tenth * 1000, tenth / 10)]
    assert told == list(range(10, 100, 10))
