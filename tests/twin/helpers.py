"""What the end-to-end tests share: running the real command line and looking for what it left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PATIENCE_S = 240.0
"""How long what must come is waited for: nothing where it comes, and below the limit of a test (600 s).

A virtual machine beside others on one processor takes many times as long as alone.
"""


def long(*values: Any) -> Any:
    """Return a row that waits for `make test-long`: another one of its kind always runs."""
    return pytest.param(*values, marks=pytest.mark.long)


@dataclass(frozen=True)
class Outcome:
    """How one command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on stdout."""
        lines = self.out.splitlines()
        assert len(lines) == 1, f"stdout holds {len(lines)} lines: {self.out!r}\n{self.err}"
        body = json.loads(lines[0])
        assert isinstance(body, dict)
        return body


@dataclass(frozen=True)
class Cli:
    """The command line with a home of its own."""

    home: Path
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("BRINGUP_")}
        return {
            **clean,
            "BRINGUP_HOME": str(self.home),
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }

    @property
    def command(self) -> tuple[str, ...]:
        return (sys.executable, "-m", "bringup")

    def popen(self, *words: str, prefix: tuple[str, ...] = (), **extra: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*prefix, *self.command, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={**self.environment, **extra},
        )

    def __call__(
        self, *words: str, timeout_s: float = PATIENCE_S, prefix: tuple[str, ...] = (), **extra: str
    ) -> Outcome:
        process = self.popen(*words, prefix=prefix, **extra)
        try:
            out, err = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"{words} still ran after {timeout_s:.0f} s:\n{out}\n{err}") from None
        assert "Traceback" not in err, err
        return Outcome(process.returncode, out, err)


def processes_of(home: Path) -> list[str]:
    """Return the command lines of processes that were started with this home (their environment says so)."""
    return list(process_table(home).values())


def process_table(home: Path) -> dict[int, str]:
    """Return `processes_of` by process id."""
    needle = f"BRINGUP_HOME={home}".encode()
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if needle in (folder / "environ").read_bytes().split(b"\0"):
                command = (folder / "cmdline").read_bytes()
                found[int(folder.name)] = command.replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # ended while we looked
    return {pid: line for pid, line in found.items() if line}


def wait_for(what: Any, timeout_s: float = PATIENCE_S) -> Any:
    """Return the first true answer of `what()`, or its last one when time is up."""
    deadline = time.monotonic() + timeout_s
    while not (answer := what()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return answer


def assert_nothing_left(home: Path) -> None:
    """Fail when a process, socket or runtime folder of this home outlived its command."""
    assert wait_for(lambda: not processes_of(home)), processes_of(home)
    run = home / "run"
    left = [path.name for path in run.glob("twin-*") if path.is_dir()] if run.exists() else []
    assert not left, left
