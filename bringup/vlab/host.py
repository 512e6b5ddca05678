"""The namespaces of a lab: one process holds them all, and when it ends, so does everything inside.

A user namespace gives the right to make the others, so nothing needs root and nothing of the host's network
is touched. The first process is the init of a process namespace: the kernel ends every process of it with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bringup.base.errors import LabError, NamespaceError
from bringup.twin.info import process_started_ticks
from bringup.vlab.programs import search_path
from bringup.vlab.wiring import NODE_VARIABLE, hold_script

READY_TIMEOUT_S = 20.0
_PAUSE_S = 0.01


@dataclass(frozen=True, slots=True)
class Namespaces:
    """A lab's namespaces by process ids of this host: the init's, and a holder's for each node."""

    init_pid: int
    started_ticks: int
    holders: dict[str, int]
    users: bool

    def alive(self) -> bool:
        """Whether they are still there."""
        return process_started_ticks(self.init_pid) == self.started_ticks

    def enter(self, node: str | None = None) -> tuple[str, ...]:
        """Return the prefix that runs a program in a node, or where the segments are."""
        pid = self.init_pid if node is None else self.holders[node]
        users = ("--user", "--preserve-credentials") if self.users else ()
        inside = ("--mount", "--net", "--uts", "--pid", "--wd=/")
        return ("nsenter", "--target", str(pid), *users, *inside, "--")

    def inner_pids(self) -> dict[str, int]:
        """Return the holders' process ids as processes inside of the lab know them (proc(5), NSpid)."""
        return {name: _inner_pid(pid) for name, pid in self.holders.items()}

    def end(self) -> None:
        """End the init, and with it everything; returns when it is gone."""
        if not self.alive():
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.init_pid, signal.SIGKILL)
        deadline_s = time.monotonic() + READY_TIMEOUT_S
        while self.alive() and time.monotonic() < deadline_s:
            time.sleep(_PAUSE_S)


class Keeper:
    """Starts the first process of a lab; `close` ends it.

    `tied`: the lab also ends when this process does, however that happens.
    """

    def __init__(self, nodes: Sequence[str], *, tied: bool) -> None:
        self._nodes = tuple(nodes)
        self._tied = tied
        try:
            self.namespaces = self._start(users=True)
        except NamespaceError:
            # Root may make the others without a user namespace, where those are denied.
            if os.geteuid() != 0:
                raise
            self.namespaces = self._start(users=False)

    def _start(self, *, users: bool) -> Namespaces:
        own = ("--user", "--map-root-user") if users else ()
        script = hold_script(self._nodes, tied=self._tied)
        self._process = subprocess.Popen(
            [
                "unshare",
                *own,
                "--mount",
                "--net",
                "--uts",
                "--pid",
                "--fork",
                "--kill-child",
                "sh",
                "-c",
                script,
            ],
            stdin=subprocess.PIPE if self._tied else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "PATH": search_path(), "LC_ALL": "C"},
            start_new_session=True,
            cwd="/",
        )
        try:
            return self._found(users)
        except BaseException:
            self.close()
            raise

    def _found(self, users: bool) -> Namespaces:
        deadline_s = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline_s:
            if self._process.poll() is not None:
                assert self._process.stderr is not None  # noqa: S101
                words = self._process.stderr.read().decode(errors="replace").strip().splitlines()
                raise _refused(words[-1] if words else "no reason given")
            init = next(iter(_children(self._process.pid)), None)
            if init is not None:
                holders = {_node_of(pid): pid for pid in _children(init)}
                ticks = process_started_ticks(init)
                if ticks is not None and set(self._nodes) <= set(holders):
                    return Namespaces(init, ticks, {name: holders[name] for name in self._nodes}, users)
            time.sleep(_PAUSE_S)
        raise NamespaceError(f"the network of the virtual lab was not ready within {READY_TIMEOUT_S:.0f} s")

    def release(self) -> None:
        """Let the lab go on without this process."""
        if self._process.stderr is not None:
            self._process.stderr.close()
        # It is somebody else's child from now on; nothing waits for it here.
        self._process.returncode = 0

    def close(self) -> None:
        """End the lab; harmless when it has ended."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        if hasattr(self, "namespaces"):
            self.namespaces.end()


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(word) for word in text.split()]


def _inner_pid(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    line = next(line for line in status.splitlines() if line.startswith("NSpid:"))
    return int(line.split()[-1])


def _node_of(pid: int) -> str:
    """Return which node a process holds, once it sleeps in namespaces of its own."""
    try:
        words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        if Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() != "sleep":
            return ""
    except OSError:
        return ""
    prefix = f"{NODE_VARIABLE}=".encode()
    return next((word[len(prefix) :].decode() for word in words if word.startswith(prefix)), "")


def _refused(reason: str) -> NamespaceError:
    from bringup.twin.network import namespace_refused

    refusal = namespace_refused(reason)
    return NamespaceError(f"this host denies the virtual lab its network: {reason}", hint=refusal.hint)


def run_in(namespaces: Namespaces, node: str | None, script: str, *, timeout_s: float = 20.0) -> str:
    """Run a shell script in a node (None: where the segments are) and return its output.

    Raises LabError with its last words.
    """
    done = subprocess.run(
        [*namespaces.enter(node), "sh", "-c", script],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout_s,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PATH": search_path(), "LC_ALL": "C"},
    )
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()
        raise LabError(f"{node or 'the switch'}: {words[-1]}")
    return done.stdout
