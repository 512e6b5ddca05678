"""A process of our own: how it is started, what the two say to each other, and how it ends.

The starter writes one line of JSON, the request, and keeps the child's stdin open: when that ends, so has the
starter. The child writes lines of JSON to its stdout: events, of which `run.ready` says that it does what it
was asked to, and `{"error": …}` with the error that ended it, which arrives whole.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

from bringup.base.errors import BringupError, LabError, MissingProgramError
from bringup.base.events import Emit, Event
from bringup.base.privilege import clean_environment

READY = "run.ready"
_STDERR_TAIL = 2000
_CHUNK = 65536


class Child:
    """A child that runs `module` (`python -m`), from `start` to `close`.

    `title` is what people call it; `enter` is the command prefix that runs it elsewhere. Its events reach
    `emit`, after `start` from a thread of this object. `on_lost` is told why, when a child that was ready
    ends although nobody closed it.
    """

    def __init__(
        self,
        module: str,
        title: str,
        *,
        enter: Sequence[str] = (),
        emit: Emit | None = None,
        on_lost: Callable[[str], None] | None = None,
    ) -> None:
        # -P: what lies in the current folder is none of our modules.
        self._command = [*enter, sys.executable, "-P", "-m", module]
        self._title = title
        self._emit = emit
        self._on_lost = on_lost
        self._error: BringupError | None = None
        self._closing = False
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._stderr: IO[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id, None when it does not run."""
        return None if self._process is None else self._process.pid

    def start(self, request: Mapping[str, Any], timeout_s: float) -> None:
        """Start it with `request` (JSON data) and return when it is ready.

        Raises the child's error, MissingProgramError, or LabError when it is not ready in time; then nothing
        runs.
        """
        try:
            process = self._open()
            lines = _Lines(process.stdout)
            self._send(process, request)
            self._wait_ready(lines, timeout_s)
        except BaseException:
            self.close(timeout_s)
            raise
        if self._emit is not None:
            self._reader = threading.Thread(target=self._read, args=(lines,), name=self._title, daemon=True)
            self._reader.start()

    def _open(self) -> subprocess.Popen[bytes]:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  closed in close()
        try:
            # A session of its own: Ctrl-C is for the command, which has to leave the board safe first.
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                start_new_session=True,
                env=clean_environment(),
            )
        except FileNotFoundError:
            raise MissingProgramError(
                f"the program {self._command[0]} is not installed", hint="apt install util-linux"
            ) from None
        return self._process

    def _send(self, process: subprocess.Popen[bytes], request: Mapping[str, Any]) -> None:
        assert process.stdin is not None  # noqa: S101
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()

    def _wait_ready(self, lines: _Lines, timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        while True:
            try:
                line = lines.next(max(0.0, deadline_s - time.monotonic()))
            except TimeoutError:
                raise LabError(f"{self._title} was not ready within {timeout_s:.0f} s") from None
            if line is None:
                raise BringupError(f"{self._title} ended before it was ready: {self._last_words()}")
            if self._take(line):
                return
            if self._error is not None:
                raise self._error

    def _read(self, lines: _Lines) -> None:
        while (line := lines.next(None)) is not None:
            self._take(line)
        if not self._closing and self._on_lost is not None:
            self._on_lost(self._last_words())

    def _take(self, line: bytes) -> bool:
        """Take what the child said; returns whether it is that it is ready."""
        try:
            body = json.loads(line)
            if "error" in body:
                self._error = BringupError.from_dict(body["error"])
                return False
            event = Event.from_json(line)
        except (ValueError, KeyError, TypeError):
            self._error = BringupError(f"{self._title} said something that is not an event")
            return False
        if self._emit is not None:
            self._emit(event)
        return event.kind == READY

    def _last_words(self) -> str:
        if self._error is not None:
            return self._error.message
        if self._stderr is None or self._stderr.closed:
            return "no reason given"
        length = os.fstat(self._stderr.fileno()).st_size
        text = os.pread(self._stderr.fileno(), _STDERR_TAIL, max(0, length - _STDERR_TAIL))
        return next(iter(text.decode(errors="replace").strip().splitlines()[-1:]), "no reason given")

    def tell(self, body: Mapping[str, Any]) -> None:
        """Send one more line of JSON, to a child that reads its stdin; nothing happens when it has ended."""
        if self._process is not None:
            self._send(self._process, body)

    def release(self) -> None:
        """Let it go on without this process; only for a child that does not end with its starter."""
        process, self._process = self._process, None
        self._let_go(process)

    def close(self, timeout_s: float) -> None:
        """End it, by force after `timeout_s`, and wait until it has ended; harmless when it runs no more."""
        self._closing = True
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None  # noqa: S101
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            end_process(process.pid, timeout_s, lambda left_s: _wait(process, left_s))
            if self._reader is not None and self._reader is not threading.current_thread():
                self._reader.join(timeout_s)
        self._let_go(process)

    def _let_go(self, process: subprocess.Popen[bytes] | None) -> None:
        pipes = () if process is None else (process.stdin, process.stdout)
        for stream in (*pipes, self._stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


def end_process(pid: int, timeout_s: float, wait: Callable[[float], bool]) -> None:
    """Ask a process to end, and make it after `timeout_s`; `wait` returns whether it has ended in a time."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        if wait(timeout_s):
            return


def _wait(process: subprocess.Popen[bytes], timeout_s: float) -> bool:
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return False
    return True


class _Lines:
    """The lines that come through a pipe, each waited for no longer than asked."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        assert pipe is not None  # noqa: S101
        self._descriptor = pipe.fileno()
        self._data = b""

    def next(self, timeout_s: float | None) -> bytes | None:
        """Return the next line, None at the end; raises TimeoutError."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while b"\n" not in self._data:
            left_s = None if deadline_s is None else max(0.0, deadline_s - time.monotonic())
            if not select.select([self._descriptor], [], [], left_s)[0]:
                raise TimeoutError
            data = os.read(self._descriptor, _CHUNK)
            if not data:
                return None
            self._data += data
        line, _, self._data = self._data.partition(b"\n")
        return line


def answer_starter(serve: Callable[[dict[str, Any], Emit], None]) -> int:
    """Do as the starter's request says, in the child: all of its `main`. Returns the exit code.

    `serve` is given the request and what tells the starter of an event, from any thread.
    """
    told = _Told()
    try:
        serve(_request(), told.emit)
    except BringupError as error:
        told.line(json.dumps({"error": error.to_dict()}))
        return error.exit_code
    return 0


def answer_until_told(serve: Callable[[dict[str, Any], Emit, threading.Event], None]) -> int:
    """Do as `answer_starter`, where `serve` goes on until a signal sets the event that it is given.

    What such a process writes is its user's alone.
    """
    os.umask(0o077)
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: told.set())
    return answer_starter(lambda request, emit: serve(request, emit, told))


def when_starter_ends(call: Callable[[], object]) -> None:
    """Call once, from a thread, when the process that started this one has ended or let it go."""

    def wait_for_end() -> None:
        # Not through sys.stdin: its lock, held by a thread that reads, would hold up the end of the process.
        with contextlib.suppress(OSError):
            while os.read(0, _CHUNK):
                pass
        call()

    threading.Thread(target=wait_for_end, name="starter", daemon=True).start()


def _request() -> dict[str, Any]:
    try:
        body = json.loads(sys.stdin.readline())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise BringupError("what came on stdin is not a request to this process")
    return body


class _Told:
    """Whole lines on stdout, from any thread, until nobody reads them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def emit(self, event: Event) -> None:
        self.line(event.to_json(origin_s=0.0))

    def line(self, text: str) -> None:
        with self._lock, contextlib.suppress(BrokenPipeError, ValueError):
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
