"""Serial lines on real pseudo-terminals, sockets and an RFC 2217 server."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import serial
import serial.rfc2217

from bringup.base.errors import ConsoleLostError, LabError, UsageError
from bringup.base.events import Event
from bringup.console.reconnect import ReconnectingConsole
from bringup.console.serial import SerialConsole

ALL_BYTES = bytes(range(256)) * 8


@pytest.fixture
def line() -> Iterator[tuple[int, str]]:
    """The board's end of a serial line, and the device at ours."""
    board, ours = os.openpty()
    tty.setraw(board)
    tty.setraw(ours)
    name = os.ttyname(ours)
    yield board, name
    for descriptor in (board, ours):
        with contextlib.suppress(OSError):
            os.close(descriptor)


@contextlib.contextmanager
def opened(url: str) -> Iterator[SerialConsole]:
    console = SerialConsole(url)
    console.open(5.0)
    try:
        yield console
    finally:
        console.close()


def collect(read: Callable[[], bytes], size: int, timeout_s: float = 60.0) -> bytes:
    data, deadline = b"", time.monotonic() + timeout_s
    while len(data) < size and time.monotonic() < deadline:
        data += read()
    return data


def test_bytes_both_ways_untouched(line: tuple[int, str]) -> None:
    board, device = line
    with opened(device) as console:
        threading.Thread(target=os.write, args=(board, ALL_BYTES), daemon=True).start()
        assert collect(lambda: console.read(0.2), len(ALL_BYTES)) == ALL_BYTES
        writer = threading.Thread(target=console.write, args=(ALL_BYTES,), daemon=True)
        writer.start()
        assert collect(lambda: os.read(board, 4096), len(ALL_BYTES)) == ALL_BYTES
        writer.join(5)


def test_read_waits_no_longer_than_told(line: tuple[int, str]) -> None:
    with opened(line[1]) as console:
        began = time.monotonic()
        assert console.read(0.2) == b""
        assert 0.15 < time.monotonic() - began < 15.0


def test_a_second_program_is_kept_out(line: tuple[int, str]) -> None:
    with opened(line[1]), pytest.raises(LabError, match="is used by another program") as caught:
        SerialConsole(line[1]).open(5.0)
    assert "fuser" in caught.value.hint


def test_a_missing_device_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="does not exist") as caught:
        SerialConsole(str(tmp_path / "ttyUSB7")).open(5.0)
    assert "/dev/serial/by-id" in caught.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_a_forbidden_device_names_the_group(line: tuple[int, str]) -> None:
    Path(line[1]).chmod(0)
    with pytest.raises(LabError, match="may not be opened by you") as caught:
        SerialConsole(line[1]).open(5.0)
    assert "dialout" in caught.value.hint


def test_the_system_saying_forbidden_names_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_keywords: object) -> None:
        raise serial.SerialException(13, "could not open port /dev/ttyUSB0: Permission denied")

    monkeypatch.setattr(serial, "serial_for_url", refuse)
    with pytest.raises(LabError, match="may not be opened by you") as caught:
        SerialConsole("/dev/ttyUSB0").open(5.0)
    assert "dialout" in caught.value.hint


def test_a_file_that_is_no_terminal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no serial line")
    assert stat.S_ISREG(path.stat().st_mode)
    with pytest.raises(LabError, match=r"notes\.txt"):
        SerialConsole(str(path)).open(5.0)


@pytest.mark.parametrize(
    "url", ["nonsense://x", "socket://", "rfc2217://127.0.0.1:notaport", "spy://loop://"]
)
def test_a_url_that_makes_no_sense_never_shows_a_traceback(url: str) -> None:
    with pytest.raises((UsageError, LabError)):
        SerialConsole(url).open(5.0)


def test_a_device_that_goes_away_is_lost(line: tuple[int, str]) -> None:
    board, device = line
    with opened(device) as console:
        os.close(board)
        with pytest.raises(ConsoleLostError, match="was lost"):
            collect(lambda: console.read(0.2), 1)


def test_an_adapter_that_is_plugged_in_again_is_found(tmp_path: Path) -> None:
    name = tmp_path / "ttyUSB0"
    board, ours = os.openpty()
    tty.setraw(ours)
    name.symlink_to(os.ttyname(ours))
    events: list[Event] = []
    console = ReconnectingConsole(SerialConsole(str(name)), events.append, name="the serial line")
    console.open(5.0)
    os.close(ours)
    name.unlink()
    os.close(board)
    deadline = time.monotonic() + 60
    while not events and time.monotonic() < deadline:
        assert console.read(0.1) == b""
    board, ours = os.openpty()
    tty.setraw(ours)
    name.symlink_to(os.ttyname(ours))
    while len(events) < 2 and time.monotonic() < deadline:
        console.read(0.1)
    os.write(board, b"back")
    assert collect(lambda: console.read(0.2), 4) == b"back"
    assert [event.kind for event in events] == ["console.lost", "console.gap"]
    console.close()
    for descriptor in (board, ours):
        os.close(descriptor)


def test_reading_a_closed_console_says_so(line: tuple[int, str]) -> None:
    console = SerialConsole(line[1])
    with pytest.raises(ConsoleLostError, match="is not open"):
        console.read(0.1)


class SocketPeer:
    """A terminal server with one raw TCP port."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"socket://127.0.0.1:{self.listener.getsockname()[1]}"
        self.connection: socket.socket | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            self.connection, _ = self.listener.accept()
            while data := self.connection.recv(4096):
                self.connection.sendall(data)

    def close(self) -> None:
        for sock in (self.connection, self.listener):
            if sock is not None:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
                sock.close()


def test_socket_url_echoes_and_its_end_is_a_loss() -> None:
    peer = SocketPeer()
    with opened(peer.url) as console:
        console.write(ALL_BYTES)
        assert collect(lambda: console.read(0.2), len(ALL_BYTES)) == ALL_BYTES
        with pytest.raises(LabError, match="cannot carry a break"):
            console.send_break()
        peer.close()
        with pytest.raises(ConsoleLostError):
            collect(lambda: console.read(0.2), 1)


def test_nobody_listening_at_a_socket_url_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(LabError, match=f"127.0.0.1:{port}"):
        SerialConsole(f"socket://127.0.0.1:{port}").open(5.0)


class _PtyPort(serial.Serial):
    """A pseudo-terminal has no modem lines and no break: pyserial's own would end in ENOTTY."""

    cts = dsr = True
    ri = cd = False
    breaks: list[bool] = []  # noqa: RUF012  # written by the server's thread, read by the test

    def _update_dtr_state(self) -> None:
        return

    def _update_rts_state(self) -> None:
        return

    def _update_break_state(self) -> None:
        self.breaks.append(self._break_state)


class Rfc2217Server:
    """A terminal server for one client, on pyserial's own PortManager."""

    def __init__(self, device: str) -> None:
        self.port = _PtyPort(device, timeout=0.05)
        self.port.breaks.clear()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"rfc2217://127.0.0.1:{self.listener.getsockname()[1]}"
        self._lock = threading.Lock()
        self.connection: socket.socket | None = None
        threading.Thread(target=self._serve, daemon=True).start()

    def write(self, data: bytes) -> None:
        assert self.connection is not None
        with self._lock:
            self.connection.sendall(data)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            self.connection, _ = self.listener.accept()
            manager = serial.rfc2217.PortManager(self.port, self)
            threading.Thread(target=self._from_line, args=(manager,), daemon=True).start()
            while data := self.connection.recv(1024):
                self.port.write(b"".join(manager.filter(data)))

    def _from_line(self, manager: serial.rfc2217.PortManager) -> None:
        with contextlib.suppress(OSError, serial.SerialException, TypeError):
            while True:
                data = self.port.read(1024)
                if data:
                    self.write(b"".join(manager.escape(data)))

    def close(self) -> None:
        for sock in (self.connection, self.listener):
            if sock is not None:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
                sock.close()
        self.port.close()


def test_rfc2217_carries_all_bytes_and_a_break(line: tuple[int, str]) -> None:
    board, device = line
    server = Rfc2217Server(device)
    try:
        with opened(server.url) as console:
            console.write(ALL_BYTES)
            assert collect(lambda: os.read(board, 4096), len(ALL_BYTES)) == ALL_BYTES
            os.write(board, ALL_BYTES)
            assert collect(lambda: console.read(0.2), len(ALL_BYTES)) == ALL_BYTES
            console.send_break()
            deadline = time.monotonic() + 60
            while len(server.port.breaks) < 2 and time.monotonic() < deadline:
                time.sleep(0.02)
            assert server.port.breaks[-2:] == [True, False]
            server.close()
            with pytest.raises(ConsoleLostError):
                collect(lambda: console.read(0.2), 1)
    finally:
        server.close()
