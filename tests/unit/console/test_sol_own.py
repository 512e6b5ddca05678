"""Which SOL sessions are ours, and which a process left that was killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.console.sol.own import OwnSessions
from bringup.lab.holder import Holder

ME = Holder("alice", os.getpid(), "console", time.time())

KILLED = """
import os, sys, time
from pathlib import Path
from bringup.console.sol.own import OwnSessions
from bringup.lab.holder import Holder
own = OwnSessions(Path(sys.argv[1]), Holder("bob", os.getpid(), "boot", time.time()))
own.add(17); own.add(18)
os.kill(os.getpid(), 9)
"""


def test_what_a_killed_process_left_is_known(tmp_path: Path) -> None:
    path = tmp_path / "sol.json"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False, env=environment, timeout=60)
    own = OwnSessions(path, ME)
    assert own.left == {17, 18}
    assert own.left_by is not None and (own.left_by.who, own.left_by.purpose) == ("bob", "boot")
    assert 17 not in own
    own.add(19)
    own.close()
    assert not path.exists()
    assert OwnSessions(path, ME).left == frozenset()


def test_what_a_living_process_has_is_not_left(tmp_path: Path) -> None:
    path = tmp_path / "sol.json"
    first = OwnSessions(path, ME)
    first.add(1)
    second = OwnSessions(path, ME)
    assert second.left == frozenset() and second.left_by is None
    second.add(2)
    assert 1 in first and 2 not in first and 2 in second
    second.close()
    assert path.exists()
    first.close()
    assert not path.exists()


def test_nothing_is_kept_where_nothing_can_be(tmp_path: Path) -> None:
    for own in (OwnSessions(), OwnSessions(tmp_path / "no" / "folder", ME)):
        own.add(3)
        assert 3 in own and not own.left
        own.close()


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[1]", b'{"sessions": 3}', b'{"sessions": [1, "x"]}', b"[" * 4000]
)
def test_a_file_that_says_nothing_of_ours(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "sol.json"
    path.write_bytes(data)
    own = OwnSessions(path, ME)
    assert own.left <= {1} and own.left_by is None
    own.close()


@given(st.binary(max_size=200))
def test_no_file_raises(data: bytes) -> None:
    from bringup.console.sol.own import _read

    descriptor = os.memfd_create("own")
    try:
        os.write(descriptor, data)
        sessions, holder = _read(descriptor)
        assert all(isinstance(each, int) for each in sessions)
        assert holder is None or isinstance(holder, Holder)
    finally:
        os.close(descriptor)
