"""The table of files, read through descriptors, and progress that does not flood."""

from __future__ import annotations

import hashlib
import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.netboot.catalog import Catalog, ChangedFileError, Held, ProgressThrottle, hold, open_served
from bringup.netboot.spec import ServedFile


def test_names() -> None:
    file = ServedFile("/kernel", Path("/srv/kernel"), "kernel", 1)
    held = Held(file, None)
    catalog = Catalog([held])
    assert catalog.find("kernel") is held
    assert catalog.find("/kernel") is held
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
        open_served(hold(ServedFile("/f", path, "kernel", 4)))


def test_the_announced_file_is_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1234")
    with open_served(hold(ServedFile("/f", tmp_path / "file", "kernel", 4))) as content:
        assert content.read() == b"1234"


def test_readers_of_one_descriptor_have_places_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(range(100)) * 100)
    held = hold(ServedFile("/f", tmp_path / "file", "kernel", 10_000))
    with open_served(held) as one, open_served(held) as other:
        assert other.seek(5000) == 5000
        assert one.read(3) == b"\0\1\2"
        assert other.read(3) == b"\0\1\2"
        assert one.seek(-1, os.SEEK_END) == 9999
        assert one.read() == b"\x63"


@pytest.mark.parametrize("how", ["linked", "removed", "mode"])
def test_what_changes_no_byte_of_a_file_is_no_change(tmp_path: Path, how: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"1234")
    digest, changed_ns = hashlib.sha256(b"1234").hexdigest(), path.stat().st_ctime_ns
    held = hold(ServedFile("/f", path, "kernel", 4, digest, changed_ns))
    other = hold(ServedFile("/f", path, "kernel", 4, hashlib.sha256(b"5678").hexdigest(), changed_ns))
    time.sleep(0.02)
    if how == "linked":
        (tmp_path / "backup").hardlink_to(path)
    elif how == "removed":
        path.unlink()
    else:
        path.chmod(0o600)
    with open_served(held) as content:
        assert content.read() == b"1234"
    with pytest.raises(ChangedFileError):
        open_served(other)


def test_bytes_that_changed_after_they_were_looked_at_again_are_not_served(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"1234")
    digest = hashlib.sha256(b"1234").hexdigest()
    held = hold(ServedFile("/f", path, "kernel", 4, digest, path.stat().st_ctime_ns - 1))
    open_served(held).close()
    time.sleep(0.02)
    path.write_bytes(b"5678")
    with pytest.raises(ChangedFileError):
        open_served(held)


@pytest.mark.parametrize("how", ["written", "replaced", "removed"])
def test_what_changes_while_it_is_held_is_not_served(tmp_path: Path, how: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"1234")
    changed_ns = path.stat().st_ctime_ns
    held = hold(ServedFile("/f", path, "kernel", 4, changed_ns=changed_ns))
    time.sleep(0.02)  # the kernel's clock of files ticks every few milliseconds
    if how == "written":
        path.write_bytes(b"5678")
    elif how == "replaced":
        (tmp_path / "new").write_bytes(b"5678")
        (tmp_path / "new").replace(path)
    else:
        path.unlink()
    with pytest.raises(ChangedFileError):
        open_served(held)


def test_a_host_without_descriptors_says_nothing_about_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1234")
    script = (
        "import resource, sys; from pathlib import Path\n"
        "from bringup.netboot.catalog import HostError, hold\n"
        "from bringup.netboot.spec import ServedFile\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))\n"
        "try: hold(ServedFile('/f', Path(sys.argv[1]), 'kernel', 4))\n"
        "except HostError as error: print(error)\n"
    )
    command = [sys.executable, "-P", "-c", script, str(tmp_path / "file")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "this host cannot read" in done.stdout


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
