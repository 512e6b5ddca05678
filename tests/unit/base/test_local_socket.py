"""Sockets in a folder: who listens is found, also while many come at once."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from bringup.base import local_socket


def test_more_than_may_wait_are_let_in_one_after_the_other(tmp_path: Path) -> None:
    """A full queue is somebody who listens: a boot that took it for nobody started a second server."""
    listener = local_socket.listen(tmp_path, "meet.sock")
    listener.listen(1)
    came: list[bool] = []

    def come() -> None:
        local_socket.connect(tmp_path, "meet.sock", 20).close()
        came.append(True)

    threads = [threading.Thread(target=come) for _ in range(12)]
    for thread in threads:
        thread.start()
    listener.settimeout(20)
    for _ in threads:
        listener.accept()[0].close()
    for thread in threads:
        thread.join()
    local_socket.stop_listening(listener)
    assert len(came) == 12


def test_a_queue_that_stays_full_is_told_in_the_end(tmp_path: Path) -> None:
    listener = local_socket.listen(tmp_path, "meet.sock")
    listener.listen(0)
    waiting = [local_socket.connect(tmp_path, "meet.sock", 5)]
    with pytest.raises(BlockingIOError):
        for _ in range(8):
            waiting.append(local_socket.connect(tmp_path, "meet.sock", 0.05))
    for connection in waiting:
        connection.close()
    local_socket.stop_listening(listener)


def test_where_nobody_listens_nobody_is_found(tmp_path: Path) -> None:
    local_socket.stop_listening(local_socket.listen(tmp_path, "left.sock"))
    for name in ("left.sock", "never.sock"):
        with pytest.raises(OSError, match=r"refused|No such file"):
            local_socket.connect(tmp_path, name, 5)
