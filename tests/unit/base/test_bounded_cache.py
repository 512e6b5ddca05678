"""A cache whose files are whole or absent, whose size is bounded, and which any number of processes share."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bringup.base.bounded_cache import BoundedCache, in_use
from bringup.base.errors import LabError

KIB = 1024


def kib(path: Path) -> None:
    path.write_bytes(path.name[:1].encode() * KIB)


def put(cache: BoundedCache, name: str) -> Path:
    path = cache.get(name, kib)
    time.sleep(0.02)  # a file system may tell times apart by 10 ms only
    return path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_is_made_once(tmp_path: Path) -> None:
    cache = BoundedCache(tmp_path / "cache", 10 * KIB)
    made: list[Path] = []

    def make(path: Path) -> None:
        made.append(path)
        path.write_bytes(b"content")

    first = cache.get("a", make)
    assert cache.get("a", make) == first and len(made) == 1
    assert first.read_bytes() == b"content"
    assert names(tmp_path / "cache") == {"a"}


def test_boards_that_ask_together_wait_for_the_one_that_makes_it(tmp_path: Path) -> None:
    cache = BoundedCache(tmp_path / "cache", 10 * KIB)
    together = threading.Barrier(4, timeout=60)
    made: list[Path] = []

    def make(path: Path) -> None:
        made.append(path)
        time.sleep(0.1)  # long enough for the others to come meanwhile
        path.write_bytes(b"content")

    def ask(_number: int) -> bytes:
        together.wait()
        return cache.get("a", make).read_bytes()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == [b"content"] * 4
    assert len(made) == 1


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    cache = BoundedCache(tmp_path, 3 * KIB)
    for name in ("a", "b", "c"):
        put(cache, name)
    put(cache, "a")
    put(cache, "d")
    assert names(tmp_path) == {"a", "c", "d"}


def test_one_that_is_larger_than_all_may_be_is_kept_alone(tmp_path: Path) -> None:
    cache = BoundedCache(tmp_path, KIB // 2)
    put(cache, "a")
    assert put(cache, "b").is_file()
    assert names(tmp_path) == {"b"}


def test_what_is_in_use_stays(tmp_path: Path) -> None:
    cache = BoundedCache(tmp_path, KIB)
    first = put(cache, "a")
    with in_use(first):
        put(cache, "b")
        put(cache, "c")
        assert names(tmp_path) == {"a", "c"}
    put(cache, "d")
    assert names(tmp_path) == {"d"}


def test_what_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="taken away from the cache"), in_use(tmp_path / "a"):
        pass


def test_a_failed_file_leaves_nothing(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise LabError("no more")

    with pytest.raises(LabError, match="no more"):
        BoundedCache(tmp_path, KIB).get("a", fail)
    assert names(tmp_path) == set()


def test_a_folder_that_cannot_be_written_is_the_labs(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LabError, match="cannot keep a file in") as caught:
        BoundedCache(tmp_path / "file" / "cache", KIB).get("a", kib)
    assert "BRINGUP_HOME" in (caught.value.hint or "")


def test_what_a_killed_process_left_goes_and_what_another_makes_stays(tmp_path: Path) -> None:
    old, new = tmp_path / ".a.x.part", tmp_path / ".b.x.part"
    for part in (old, new):
        part.write_bytes(b"half")
    hour_ago = time.time() - 3600
    os.utime(old, (hour_ago, hour_ago))
    put(BoundedCache(tmp_path, KIB), "c")
    assert names(tmp_path) == {new.name, "c"}


def racer(folder: Path, seed: int) -> None:
    """Get names in an order of its own; every file must be whole while it is used."""
    cache = BoundedCache(folder, 3 * KIB)
    for step in range(60):
        name = "abcdef"[(seed * 7 + step * (seed + 1)) % 6]
        path = cache.get(name, lambda part, name=name: part.write_bytes(name.encode() * KIB) and None)
        try:
            with in_use(path):
                assert path.read_bytes() == name.encode() * KIB
        except LabError:
            continue  # four others used newer ones in between


def test_processes_race(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    racers = [context.Process(target=racer, args=(tmp_path, seed)) for seed in range(4)]
    for each in racers:
        each.start()
    for each in racers:
        each.join(60)
    assert [each.exitcode for each in racers] == [0] * 4
    BoundedCache(tmp_path, 3 * KIB).get("z", kib)
    assert len(names(tmp_path)) <= 3


def test_what_its_user_misses_is_not_said_to_be_the_caches(tmp_path: Path) -> None:
    put(BoundedCache(tmp_path, KIB), "a")
    with pytest.raises(FileNotFoundError), in_use(tmp_path / "a"):
        (tmp_path / "of somebody else").read_bytes()
