"""Locks of parts of a file: shared with who inherits them, asked for without being taken."""

from __future__ import annotations

import os
from pathlib import Path

from bringup.base import locks


def opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT)


def test_two_opens_exclude_each_other_and_asking_takes_nothing(tmp_path: Path) -> None:
    one, two, three = (opened(tmp_path / "file") for _ in range(3))
    assert not locks.is_taken(two)
    assert locks.take(one) and not locks.take(two)
    assert locks.is_taken(two) and locks.is_taken(three) and not locks.is_taken(one)
    locks.drop(one)
    assert not locks.is_taken(three) and locks.take(two)
    os.close(two)
    assert locks.take(three)


def test_parts_are_apart_also_behind_the_end(tmp_path: Path) -> None:
    one, two = opened(tmp_path / "file"), opened(tmp_path / "file")
    assert locks.take(one, 1 << 60, 1) and locks.take(two, (1 << 60) + 1, 1)
    assert locks.is_taken(two, 1 << 60, 1) and locks.is_taken(one, 1 << 60, 2)
    assert not locks.take_within(two, 0.0, 1 << 60, 1)
    locks.drop(one, 1 << 60, 1)
    assert locks.take_within(two, 0.0, 1 << 60, 1)


def test_who_inherits_the_descriptor_keeps_the_lock(tmp_path: Path) -> None:
    one, two = opened(tmp_path / "file"), opened(tmp_path / "file")
    assert locks.take(one)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    os.close(one)
    os.close(reader)
    assert locks.is_taken(two)
    os.close(writer)
    os.waitpid(child, 0)
    assert not locks.is_taken(two)
