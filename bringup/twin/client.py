"""Starts, finds and ends a twin from a command."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any

from bringup.base.errors import BringupError, ImageError, LabError, ProfileError, UsageError
from bringup.base.paths import open_lock, runtime_dir
from bringup.twin import info
from bringup.twin.chassis import require_programs
from bringup.twin.engines import DEFAULT_MEMORY_MIB
from bringup.twin.info import TwinInfo
from bringup.twin.machine import Variant

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 10.0

_BY_EXIT_CODE: dict[int, type[BringupError]] = {
    kind.exit_code: kind for kind in (UsageError, LabError, ImageError, ProfileError)
}


@dataclass(frozen=True, slots=True)
class TwinRequest:
    """How to start a twin: `tied` ends it with the command that started it; port 0 picks a free one.

    `variant` is a sibling of the board (`machine.VARIANTS`).
    """

    name: str
    tied: bool
    memory_mib: int = DEFAULT_MEMORY_MIB
    bmc_port: int = 0
    variant: Variant = "standard"


def running(name: str) -> TwinInfo | None:
    """Return the running twin called `name`, None if it is not up; clears away what a crash left."""
    found = info.load(name)
    if found is None or found.alive():
        return found
    shutil.rmtree(info.twin_folder(name), ignore_errors=True)
    return None


class StartedTwin:
    """A twin this process started; `close()` ends it if it is tied."""

    def __init__(self, request: TwinRequest) -> None:
        require_programs()
        self._tied = request.tied
        with _one_starter(request.name):
            if running(request.name) is not None:
                raise LabError(f"the twin {request.name} is up already", hint="bringup twin status")
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bringup.twin.daemon"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            try:
                self.info = self._wait_ready(request)
            except BaseException:
                self._end()
                raise
        if not request.tied:
            self._release()

    def _wait_ready(self, request: TwinRequest) -> TwinInfo:
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: S101
        body = {
            "name": request.name,
            "tied": request.tied,
            "memory_mib": request.memory_mib,
            "bmc_port": request.bmc_port,
            "variant": request.variant,
        }
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(body).encode() + b"\n")
            self._process.stdin.flush()
        answer = _read_answer(self._process.stdout)
        if "error" in answer:
            kind = _BY_EXIT_CODE.get(answer.get("exit_code", 1), BringupError)
            raise kind(answer["error"], hint=answer.get("hint"))
        found = running(request.name)
        if found is None:
            raise BringupError("the twin said it was ready and is gone")
        return found

    def _release(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def _end(self) -> None:
        self._release()
        _stop_process(self._process.pid, wait=lambda left: _wait_child(self._process, left))

    def close(self) -> None:
        """End the twin when it is tied to this process."""
        if self._tied:
            self._end()

    def __enter__(self) -> StartedTwin:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def down(name: str) -> bool:
    """End the twin called `name`; returns whether one was up."""
    found = running(name)
    if found is None:
        return False
    _stop_process(found.pid, wait=lambda left: _wait_gone(found, left))
    shutil.rmtree(info.twin_folder(name), ignore_errors=True)
    return True


def _stop_process(pid: int, wait: Any) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    if not wait(STOP_TIMEOUT_S):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        wait(STOP_TIMEOUT_S)


def _wait_child(process: subprocess.Popen[bytes], timeout_s: float) -> bool:
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return False
    return True


def _wait_gone(found: TwinInfo, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while found.alive():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _read_answer(stdout: IO[bytes]) -> dict[str, Any]:
    readable, _, _ = select.select([stdout], [], [], START_TIMEOUT_S)
    line = stdout.readline() if readable else b""
    try:
        answer: dict[str, Any] = json.loads(line)
    except ValueError:
        raise BringupError("the twin's process ended before it was ready, without a word") from None
    return answer


@contextlib.contextmanager
def _one_starter(name: str) -> Iterator[None]:
    lock = open_lock(runtime_dir() / f"twin-{name}.lock")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
