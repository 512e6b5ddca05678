"""A file appears whole or not at all, and nothing is left beside it."""

from __future__ import annotations

import errno
import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from bringup.base.errors import UsageError
from bringup.base.whole_file import make_folder, unwritable, whole_file, write_whole


@pytest.fixture
def target(tmp_path: Path) -> Path:
    target = tmp_path / "plan.json"
    target.write_bytes(b"old")
    return target


def test_the_old_file_is_there_until_the_new_one_is_whole(target: Path) -> None:
    with whole_file(target, mode=0o640) as file:
        file.write(b"new")
        file.flush()
        assert target.read_bytes() == b"old"
        assert Path(file.name).parent == target.parent
    assert (target.read_bytes(), target.stat().st_mode & 0o777) == (b"new", 0o640)
    assert list(target.parent.iterdir()) == [target]


def test_whoever_has_the_old_file_open_keeps_it(target: Path) -> None:
    with target.open("rb") as reader:
        with whole_file(target) as file:
            file.write(b"new")
        assert reader.read() == b"old"


def test_of_two_that_make_the_same_file_the_first_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "module"
    with whole_file(target, first_stays=True) as late:
        late.write(b"same bytes")
        with whole_file(target, first_stays=True) as early:
            early.write(b"same bytes")
        first = target.stat()
    assert (target.stat().st_ino, target.stat().st_mtime_ns) == (
        first.st_ino,
        first.st_mtime_ns,
    )  # whoever hashed it finds the file they hashed
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_does_not_change_once_it_can_be_found(tmp_path: Path) -> None:
    """Whoever finds it hashes it, and takes a change (st_ctime) for other bytes."""
    seen: list[tuple[os.stat_result, os.stat_result]] = []
    for number in range(100):
        target = tmp_path / str(number)
        finder = threading.Thread(target=lambda path=target: seen.append(_found_and_settled(path)))
        finder.start()
        with whole_file(target, first_stays=True, lasting=False) as file:
            file.write(b"same bytes")
        finder.join()
    assert [(found.st_nlink, found.st_ctime_ns) for found, _ in seen] == [
        (1, settled.st_ctime_ns) for _, settled in seen
    ]


def _found_and_settled(path: Path) -> tuple[os.stat_result, os.stat_result]:
    while not path.exists():
        pass
    found = path.stat()
    time.sleep(0.01)  # the kernel's clock of files ticks every few milliseconds
    return found, path.stat()


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_what_was(target: Path, kind: type[BaseException]) -> None:
    with pytest.raises(kind), whole_file(target) as file:
        file.write(b"half")
        raise kind
    assert target.read_bytes() == b"old"
    assert list(target.parent.iterdir()) == [target]


def test_what_cannot_be_replaced_is_left_alone(target: Path) -> None:
    target.unlink()
    (target / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match=target.name), whole_file(target) as file:
        file.write(b"new")
    assert list(target.parent.iterdir()) == [target]


def test_a_program_may_write_it_by_its_path(target: Path) -> None:
    with whole_file(target) as file:
        subprocess.run(["cp", "/dev/stdin", file.name], input=b"from a program", check=True)
    assert target.read_bytes() == b"from a program"
    assert target.stat().st_mode & 0o777 == 0o600


def test_a_name_as_long_as_names_may_be(tmp_path: Path) -> None:
    with whole_file(tmp_path / ("n" * 255)) as file:
        file.write(b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["n" * 255]


@pytest.mark.parametrize(
    ("number", "hint"), [(errno.ENOSPC, "free some space"), (errno.EACCES, "you may write to")]
)
def test_a_file_that_cannot_be_written_comes_with_what_helps(number: int, hint: str) -> None:
    error = unwritable(Path("a.img"), OSError(number, os.strerror(number)))
    assert hint in (error.hint or "")


def test_what_is_no_file_is_written_to_and_stays(tmp_path: Path) -> None:
    """The folder of /dev/null is root's to write to, and a file in its place would take the host down."""
    read, write = os.pipe()
    link = tmp_path / "out"
    link.symlink_to(f"/dev/fd/{write}")
    write_whole(link, b"text")
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        assert pipe.read() == b"text"
    assert link.is_symlink()
    assert list(tmp_path.iterdir()) == [link]


def test_a_link_that_leads_to_itself_gives_way_to_the_file(tmp_path: Path) -> None:
    link = tmp_path / "loop"
    link.symlink_to(link)
    write_whole(link, b"text")
    assert link.read_bytes() == b"text"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot write .*: is a directory"):
        write_whole(tmp_path, b"text")


def test_a_folder_that_cannot_be_made_is_the_persons_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot write .*file/out: not a directory"):
        make_folder(tmp_path / "file" / "out")
