"""Starts the serving process of a boot and hands its events on."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import IO

from bringup.base.errors import BringupError, LabError, MissingProgramError, PortBusyError, ProfileError
from bringup.base.events import Emit, Event
from bringup.netboot.dhcp import dnsmasq_config
from bringup.netboot.spec import ServeSpec

READY_TIMEOUT_S = 20.0
_STOP_TIMEOUT_S = 6.0
_STDERR_TAIL = 2000

# On its own the process also sees its stdin close; this covers what closes no files.
_DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "TERM", "--")

_BY_KIND: dict[str, type[BringupError]] = {
    kind.__name__: kind for kind in (LabError, PortBusyError, MissingProgramError, ProfileError)
}


class NetbootServer:
    """DHCP, TFTP and HTTP for one boot, from entering the context (or `start()`) to `close()`.

    `enter` is the command prefix that runs a program in the network namespace of the board, empty for the
    host's own. Events reach `emit` from a thread of this object. A server that ends by itself is an event
    `run.servers_lost`.
    """

    def __init__(self, spec: ServeSpec, emit: Emit, enter: Sequence[str] = ()) -> None:
        self._spec = spec
        self._emit = emit
        self._enter = tuple(enter) or _DIE_WITH_PARENT
        self._ready = threading.Event()
        self._refusal: BringupError | None = None
        self._closing = False
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._stderr: IO[bytes] | None = None

    def start(self) -> None:
        """Start serving; returns when DHCP, TFTP and HTTP answer.

        Raises PortBusyError, MissingProgramError, ProfileError or LabError, and then nothing runs.
        """
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  closed in close()
        command = [*self._enter, sys.executable, "-m", "bringup.netboot.serve"]
        try:
            # A session of its own: Ctrl-C is for the command, which still has to disarm before serving ends.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                text=True,
                start_new_session=True,
            )
        except FileNotFoundError:
            self.close()
            raise MissingProgramError(
                f"the program {command[0]} is not installed", hint="apt install util-linux"
            ) from None
        self._reader = threading.Thread(
            target=self._read, args=(self._process,), name="netboot-events", daemon=True
        )
        self._reader.start()
        try:
            self._send_spec(self._process)
            self._wait_ready()
        except BaseException:
            self.close()
            raise

    def _send_spec(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None  # noqa: S101
        configuration = json.dumps(dnsmasq_config(self._spec))
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(f"{self._spec.to_json()}\n{configuration}\n")
            process.stdin.flush()

    def _wait_ready(self) -> None:
        if not self._ready.wait(READY_TIMEOUT_S):
            raise LabError(f"the network boot's servers were not ready within {READY_TIMEOUT_S:.0f} s")
        if self._refusal is not None:
            raise self._refusal

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None  # noqa: S101
        for line in process.stdout:
            self._take(line)
        if not self._ready.is_set():
            self._refusal = self._refusal or self._silent_end()
            self._ready.set()
        elif not self._closing:
            text = "the servers of the network boot ended by themselves"
            self._emit(Event("run", "run.servers_lost", text, {"reason": self._last_words()}))

    def _take(self, line: str) -> None:
        try:
            event = Event.from_json(line)
        except (ValueError, KeyError):
            self._refusal = _refusal(line)
            return
        if event.kind == "run.ready":
            self._ready.set()
        self._emit(event)

    def _silent_end(self) -> BringupError:
        return BringupError(f"the network boot's servers ended before they were ready: {self._last_words()}")

    def _last_words(self) -> str:
        if self._refusal is not None:
            return self._refusal.message
        if self._stderr is None or self._stderr.closed:
            return "no reason given"
        self._stderr.seek(0, 2)
        self._stderr.seek(max(0, self._stderr.tell() - _STDERR_TAIL))
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "no reason given"

    def close(self) -> None:
        """Stop serving and wait until it has stopped; harmless when it runs no more."""
        self._closing = True
        process, self._process = self._process, None
        if process is not None:
            self._end(process)
        if self._stderr is not None:
            self._stderr.close()

    def _end(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None and process.stdout is not None  # noqa: S101
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._reader is not None and self._reader is not threading.current_thread():
            self._reader.join(_STOP_TIMEOUT_S)
        process.stdout.close()

    def __enter__(self) -> NetbootServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _refusal(line: str) -> BringupError:
    try:
        body = json.loads(line)
        kind = _BY_KIND.get(body["kind"], BringupError)
        return kind(str(body["error"]), hint=body["hint"])
    except (ValueError, KeyError, TypeError):
        return BringupError("the network boot's servers said something that is not an event")
