"""The shell of a played VM: whatever is typed, this host stays as it is, and the next line is answered."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bringup.twin.scripted.vms.guest import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    own = tmp_path / "world" / "vm0"
    own.mkdir(parents=True)
    with closing(Shell(own)) as it:
        yield it


def said(shell: Shell, line: str) -> str:
    return (shell.run(line) or b"").decode().splitlines()[-1]


def test_files_of_this_host_are_neither_seen_nor_written(shell: Shell, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of this host")
    assert "No such file" in said(shell, f"cat {secret}")
    assert "Read-only" in said(shell, "echo x >/usr/bin/sh")
    assert said(shell, f"echo x >{tmp_path}/made; echo went on") == "went on"
    assert not (tmp_path / "made").exists()
    assert said(shell, f"rm -rf {tmp_path} 2>/dev/null; echo gone") == "gone"
    assert secret.read_text() == "of this host"


def test_no_process_or_network_of_this_host_is_reached(shell: Shell) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        try:
            assert "No such process" in (shell.run(f"kill -9 {other.pid}") or b"").decode()
            assert other.poll() is None
        finally:
            other.kill()
    assert said(shell, "mount -o remount,rw /usr 2>&1; echo $?") != "0"
    with socket.create_server(("127.0.0.1", 0)) as server:
        reach = f"bash -c 'echo >/dev/tcp/127.0.0.1/{server.getsockname()[1]}' 2>/dev/null; echo $?"
        assert said(shell, reach) != "0"


@pytest.mark.parametrize("line", ["exit", "kill -9 $$", 'rm -rf "$ROOT"', "yes", "exec true"])
def test_a_line_that_ends_it_or_does_not_end_is_followed_by_the_next(shell: Shell, line: str) -> None:
    shell.run(line)
    assert said(shell, 'echo x >"$ROOT/own"; cat "$ROOT/own"') == "x"
