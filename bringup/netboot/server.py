"""A boot's side of being served: it finds the process that serves its interface, or starts it, and joins."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

from bringup.base.child import READY
from bringup.base.errors import BringupError, LabError
from bringup.base.events import Emit, Event
from bringup.netboot.ahead import READY_TIMEOUT_S, TITLE, launch
from bringup.netboot.catalog import HostError, hold
from bringup.netboot.rendezvous import Rendezvous, peer_of
from bringup.netboot.spec import MakeSpec, Segment, ServeSpec
from bringup.netboot.upload import Landing
from bringup.netboot.wire import Lines, send_descriptors, send_line

_STOP_TIMEOUT_S = 6.0
_AGAIN_MAX = 3


class _GoneError(Exception):
    """The process that serves ended in this moment: the next one has to be found."""


class NetbootServer:
    """DHCP, TFTP and HTTP for one boot, from entering the context (or `start()`) to `close()`.

    `enter` is the command prefix that runs a program in the network namespace of the board, empty for the
    host's own; `meeting` is where boots of one interface meet, for tests. Events reach `emit`, once it serves
    from a thread of this object. A process that is killed is started again, an event `run.servers_again`;
    servers that end by themselves, or whose process cannot be had again, are one `run.servers_lost`.
    """

    def __init__(
        self,
        segment: Segment,
        make_spec: MakeSpec,
        emit: Emit,
        enter: Sequence[str] = (),
        meeting: Path | None = None,
    ) -> None:
        self._segment = segment
        self._make_spec = make_spec
        self._emit = emit
        self._enter = tuple(enter)
        self._point = Rendezvous.of(segment.interface, enter, meeting)
        self._socket: socket.socket | None = None
        self._reader: threading.Thread | None = None
        self._error: BringupError | None = None
        self._closing = False
        self._last = False
        self._landing: Landing | None = None
        self.pid: int | None = None
        """The process that serves, None when there is none."""

    def start(self) -> None:
        """Be served; returns when DHCP, TFTP and HTTP answer.

        Raises PortBusyError, MissingProgramError, ProfileError or LabError, and then nothing is served.
        """
        lines = self._meet()
        self._reader = threading.Thread(target=self._follow, args=(lines,), name=TITLE, daemon=True)
        self._reader.start()

    def _meet(self) -> Lines:
        """Join the process that serves, or a new one; returns what it says from now on."""
        deadline_s = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline_s and not self._closing:
            sock = self._point.connect()
            if sock is None:
                launch(self._point, self._enter)
                continue
            self._socket = sock
            try:
                lines = self._join(sock)
            except _GoneError:
                self._drop()
                continue
            except BaseException:
                self._drop()
                raise
            sock.settimeout(None)
            return lines
        raise LabError(f"{TITLE} was not ready within {READY_TIMEOUT_S:.0f} s")

    def _join(self, sock: socket.socket) -> Lines:
        sock.settimeout(READY_TIMEOUT_S)
        peer = peer_of(sock)
        if not self._enter and not peer.is_trusted:
            raise LabError(f"{self._segment.interface} is served by {peer}, who is none of your group")
        lines = Lines(sock)
        with _talking():
            send_line(sock, {"join": asdict(self._segment)})
            joined = self._answer(lines, "joined")
            self.pid = int(joined["pid"])
        # Files that cannot be made here say nothing of the process that serves.
        spec = self._make_spec(self._segment.at_http_port(int(joined["http_port"])))
        with _talking():
            self._send(sock, spec)
            while self._take(body := self._next(lines)) != READY:
                if self._error is not None:
                    raise self._error
                del body
        return lines

    def _answer(self, lines: Lines, what: str) -> dict[str, Any]:
        body = self._next(lines)
        self._take(body)
        if self._error is not None:
            raise self._error
        answer = body.get(what)
        if not isinstance(answer, dict):
            raise BringupError(f"{TITLE} said something that is no answer")
        return answer

    def _next(self, lines: Lines) -> dict[str, Any]:
        try:
            body = lines.next()
        except ValueError:
            raise BringupError(f"{TITLE} said something that is not an event") from None
        if body is None:
            raise _GoneError
        return body

    def _send(self, sock: socket.socket, spec: ServeSpec) -> None:
        try:
            held = [hold(file) for file in spec.files]
        except HostError as error:
            hint = "`ulimit -n` says how many files a process may have open"
            raise LabError(str(error), hint=hint) from None
        numbers = [each.descriptor.number for each in held if each.descriptor is not None]
        if spec.upload is not None:
            self._landing = Landing(spec.upload.path)
            numbers.append(self._landing.fileno())
        if spec.visits is not None:
            numbers.append(spec.visits.descriptor)
        send_descriptors(sock, numbers)
        problems = {each.file.url_path: each.problem for each in held if each.descriptor is None}
        send_line(sock, {"serve": spec.to_json(), "problems": problems})

    def _take(self, body: dict[str, Any]) -> str | None:
        """Take what the process said; returns the kind of an event."""
        if "error" in body:
            with contextlib.suppress(ValueError):
                self._error = BringupError.from_dict(body["error"])
            return None
        if "left" in body:
            self._last = bool(body["left"].get("last"))
            return None
        if "kind" not in body:
            return None
        event = Event.from_body(body)
        if event.kind == "http.upload" and self._landing is not None:
            self._landing.keep()
        self._emit(event)
        return event.kind

    def _follow(self, lines: Lines) -> None:
        """Take what the process says; one that was killed is met again, though not for ever."""
        for killed in count(1):
            with contextlib.suppress(ValueError, KeyError, OSError):
                while (body := lines.next()) is not None:
                    self._take(body)
            if self._closing:
                return
            if self._error is not None or killed > _AGAIN_MAX:
                break
            self._drop()
            try:
                lines = self._meet()
            except BringupError as error:
                self._error = error
                break
            text = "the process that serves was killed: another one serves on"
            self._emit(Event("run", "run.servers_again", text))
        if not self._closing:
            reason = "it was ended" if self._error is None else self._error.message
            text = "the servers of the network boot ended by themselves"
            self._emit(Event("run", "run.servers_lost", text, {"reason": reason}))

    def close(self) -> None:
        """Be served no more, and wait until that is so; the last boot waits for the end of the process."""
        self._closing = True
        sock, process = self._socket, _process(self.pid)
        if sock is not None:
            with contextlib.suppress(OSError):
                send_line(sock, {"leave": True})
        if self._reader is not None and self._reader is not threading.current_thread():
            self._reader.join(_STOP_TIMEOUT_S)
        self._drop()
        if process is not None:
            with contextlib.closing(process):
                if self._last:
                    select.select([process], [], [], _STOP_TIMEOUT_S)

    def _drop(self) -> None:
        sock, self._socket = self._socket, None
        self.pid = None
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        if self._landing is not None:
            self._landing.close()
            self._landing = None

    def __enter__(self) -> NetbootServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextlib.contextmanager
def _talking() -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise LabError(f"{TITLE} was not ready within {READY_TIMEOUT_S:.0f} s") from None
    except OSError:
        raise _GoneError from None


class _Process:
    """A handle on a process that stays on it when its number is given away (pidfd_open(2))."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        os.close(self._descriptor)


def _process(pid: int | None) -> _Process | None:
    if pid is None:
        return None
    try:
        return _Process(os.pidfd_open(pid))
    except OSError:
        return None
