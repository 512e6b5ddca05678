"""How a lab's nodes are spoken to: an agent in each, and the recorder of the segments."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bringup.base.errors import LabError
from bringup.vlab.frames import Frame, read_frames
from bringup.vlab.host import Namespaces
from bringup.vlab.programs import search_path

_ANSWER_TIMEOUT_S = 90.0
_FOLDER = Path(__file__).parent


class Lines(ABC):
    """Somebody who answers each line with one."""

    def __init__(self, node: str) -> None:
        self.node = node
        self._lock = threading.Lock()
        self._left = b""

    @abstractmethod
    def _say(self, data: bytes) -> None:
        """Send bytes; raises OSError."""

    @abstractmethod
    def _hears(self) -> int:
        """Return the descriptor that answers are read from."""

    def ask(self, line: str, timeout_s: float = _ANSWER_TIMEOUT_S) -> dict[str, Any]:
        """Send a line and return the answer; raises LabError when none comes."""
        with self._lock:
            try:
                self._say(line.encode() + b"\n")
            except OSError:
                raise LabError(f"the agent of {self.node} has ended") from None
            return self.answer(timeout_s)

    def answer(self, timeout_s: float = _ANSWER_TIMEOUT_S) -> dict[str, Any]:
        """Return the next line it says; raises LabError."""
        descriptor = self._hears()
        while b"\n" not in self._left:
            if not select.select([descriptor], [], [], timeout_s)[0]:
                raise LabError(f"{self.node} did not answer within {timeout_s:.0f} s")
            data = os.read(descriptor, 65536)
            if not data:
                raise LabError(f"the agent of {self.node} has ended")
            self._left += data
        line, _, self._left = self._left.partition(b"\n")
        body = json.loads(line)
        assert isinstance(body, dict)  # noqa: S101
        return body

    @abstractmethod
    def close(self) -> None:
        """End it."""


class Actor(Lines):
    """A node as checks see it (`bringup/vlab/agent.py` says what it can do), whatever runs it.

    `patience` is how many times longer than in a namespace its scripts may take.
    """

    patience = 1.0

    def act(self, act: str, **arguments: Any) -> dict[str, Any]:
        """Let it do one thing; raises LabError when the node refuses."""
        answer = self.ask(json.dumps({"act": act, **arguments}), _ANSWER_TIMEOUT_S * self.patience)
        if "error" in answer:
            raise LabError(f"{self.node}: {act}: {answer['error']}")
        result = answer["ok"]
        assert isinstance(result, dict)  # noqa: S101
        return result

    def run(self, script: str, *, timeout_s: float = 10.0) -> str:
        """Run a shell script there and return its output; raises LabError with its last words."""
        done = self.act("run", script=script, timeout_s=timeout_s * self.patience)
        if done["code"] != 0:
            words = (done["err"].strip() or done["out"].strip() or f"exit code {done['code']}").splitlines()
            raise LabError(f"{self.node}: {words[-1]}")
        return str(done["out"])

    def tries(self, script: str) -> bool:
        """Run a shell script and return whether it succeeded."""
        return bool(self.act("run", script=script)["code"] == 0)


class Helper(Lines):
    """A process inside the lab that answers each line of its stdin with one line."""

    def __init__(self, namespaces: Namespaces, node: str | None, file: str, *arguments: str) -> None:
        super().__init__(node or "the switch")
        # Isolated and without site packages: it starts in milliseconds and sees nothing of the person's.
        self._process = subprocess.Popen(
            [*namespaces.enter(node), sys.executable, "-I", "-S", str(_FOLDER / file), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PATH": search_path(), "LC_ALL": "C", "HOME": "/run"},
            start_new_session=True,
        )

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def _say(self, data: bytes) -> None:
        assert self._process.stdin is not None  # noqa: S101
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def _hears(self) -> int:
        assert self._process.stdout is not None  # noqa: S101
        return self._process.stdout.fileno()

    def close(self) -> None:
        """End it."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Agent(Helper, Actor):
    """The agent of a node that is a namespace, or of where the segments are."""

    def __init__(self, namespaces: Namespaces, node: str | None) -> None:
        super().__init__(namespaces, node, "agent.py")


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment in the captures: the length of each file then, and the frames lost so far."""

    lengths: Mapping[str, int]
    losses: int


class Recorder(Helper):
    """Records all segments into `folder`."""

    def __init__(
        self, namespaces: Namespaces, folder: Path, segments: Sequence[str], limit_bytes: int
    ) -> None:
        super().__init__(namespaces, None, "recorder.py", str(folder), str(limit_bytes), *segments)
        self._folder = folder
        self.answer()

    def mark(self) -> Mark:
        """Return this moment: everything that has arrived before is in the files."""
        told = self.ask("mark")
        return Mark(
            {name: length for name, (length, _) in told.items()}, sum(lost for _, lost in told.values())
        )

    def frames(self, segment: str, start: Mark, end: Mark) -> list[Frame]:
        """Return what was seen on a segment between two moments."""
        path = self._folder / f"{segment}.pcap"
        return read_frames(path, start.lengths[segment], end.lengths[segment])

    def path(self, segment: str) -> Path:
        """Where a segment's capture lies."""
        return self._folder / f"{segment}.pcap"


def record_on(namespaces: Namespaces, folder: Path, segments: Sequence[str], limit_bytes: int) -> None:
    """Record all segments into `folder` for as long as the lab is up, also after this process has ended."""
    file = str(_FOLDER / "recorder.py")
    with subprocess.Popen(
        [*namespaces.enter(), sys.executable, "-I", "-S", file, str(folder), str(limit_bytes), *segments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PATH": search_path()},
        start_new_session=True,
    ) as process:
        assert process.stdout is not None  # noqa: S101
        if not process.stdout.readline():
            raise LabError("the segments of the virtual lab cannot be recorded")
        # Nothing waits for it here: it ends with the lab.
        process.returncode = 0
