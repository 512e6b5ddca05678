"""One console for several of this host: who has it, who reads, who types, and how it changes hands."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.errors import ConsoleHeldError, ConsoleLostError, LabError
from bringup.base.events import Event
from bringup.console.reconnect import ReconnectingConsole
from bringup.console.shared import door
from bringup.console.shared.console import Role, SharedConsole, Way
from bringup.console.shared.frames import Decoder, Kind, encode
from bringup.console.shared.shown import LastShown
from bringup.lab.holder import Holder


@given(st.lists(st.tuples(st.sampled_from(Kind), st.binary(max_size=60)), max_size=8), st.integers(1, 40))
def test_frames_come_back_however_they_are_cut(frames: list[tuple[Kind, bytes]], size: int) -> None:
    data = b"".join(encode(kind, body) for kind, body in frames)
    decoder = Decoder()
    got = [frame for at in range(0, len(data), size) for frame in decoder.feed(data[at : at + size])]
    assert got == frames


@given(st.binary(max_size=200))
def test_what_is_no_frame_is_refused_or_waits(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        for kind, _ in Decoder().feed(data):
            assert kind in Kind


def test_the_last_screen_is_what_came_after_it_was_cleared() -> None:
    shown = LastShown()
    shown.add(b"POST\r\n" * 100 + b"\x1b[2JSetup\x1b[02;01HMain")
    assert shown.screen() == b"\x1b[2JSetup\x1b[02;01HMain"


def test_of_plain_text_the_last_lines_are_kept_whole() -> None:
    shown = LastShown()
    for number in range(5000):
        shown.add(b"line %05d\r\n" % number)
    lines = shown.screen().splitlines()
    assert len(lines) == 40 and lines[0] == b"line 04960" and lines[-1] == b"line 04999"
    shown.add(b"x" * 40_000)
    assert len(shown.screen()) <= 16 * 1024


class Board:
    """A board's console that one may have at a time, as a BMC sees to it."""

    def __init__(self) -> None:
        self.holder: Attached | None = None
        self.typed: list[bytes] = []

    def say(self, data: bytes) -> None:
        if self.holder is not None:
            self.holder.incoming.put(data)


class Attached:
    """One attachment to the board's console."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.incoming: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.alive_s = time.monotonic()

    def describe(self) -> str:
        return "the board"

    def open(self, timeout_s: float) -> bool:
        if self.board.holder not in (None, self):
            raise ConsoleHeldError("held by another session")
        self.board.holder = self
        return False

    def read(self, timeout_s: float) -> bytes:
        try:
            return self.incoming.get(timeout=timeout_s)
        except queue.Empty:
            return b""

    def write(self, data: bytes) -> None:
        if self.board.holder is not self:
            raise ConsoleLostError("not attached")
        self.board.typed.append(data)

    def send_break(self) -> None:
        self.board.typed.append(b"<break>")

    def close(self) -> None:
        if self.board.holder is self:
            self.board.holder = None


class Seat:
    """Somebody at the console, reading all the time."""

    def __init__(self, board: Board, name: str, role: Role, who: str, purpose: str = "console") -> None:
        self.events: list[Event] = []
        self.seen = b""
        self.error: LabError | None = None
        holder = Holder(who, 1, purpose, time.time())
        way = Way(Attached(board), name, role, holder, self.events.append)
        self.console = SharedConsole(way, ReconnectingConsole, self.events.append)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self.console.open(5.0)
        self._thread.start()

    def _read(self) -> None:
        try:
            while not self._stop.is_set():
                self.seen += self.console.read(0.05)
        except LabError as error:
            self.error = error

    def sees(self, text: bytes, timeout_s: float = 60.0) -> bool:
        return wait_for(lambda: text in self.seen, timeout_s)

    def told(self, kind: str) -> list[Event]:
        return [event for event in list(self.events) if event.kind == kind]

    def leave(self) -> None:
        self._stop.set()
        self._thread.join(5.0)
        self.console.close()


def wait_for(what: Callable[[], object], timeout_s: float = 60.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while not what() and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(what())


Sit = Callable[..., Seat]


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
def sit(board: Board, tmp_path: object) -> Iterator[Sit]:
    """Let somebody sit down at the board's console; they leave at the end."""
    seats: list[Seat] = []

    def sit_down(role: Role, who: str, purpose: str = "console") -> Seat:
        seats.append(Seat(board, f"{tmp_path}", role, who, purpose))
        return seats[-1]

    yield sit_down
    for seat in reversed(seats):
        seat.leave()


def test_a_listener_beside_a_boot_reads_its_stream_from_the_last_screen_on(board: Board, sit: Sit) -> None:
    boot = sit(Role.WORK, "alice", "boot")
    board.say(b"kernel starts\r\n")
    assert boot.sees(b"kernel starts")
    readers = [sit(Role.LISTEN, name) for name in ("bob", "carol")]
    board.say(b"user space\r\n")
    for reader in readers:
        assert reader.sees(b"kernel starts\r\nuser space\r\n")
        assert "shared with alice (process 1, boot" in reader.told("console.shared")[0].text
        with pytest.raises(ConsoleLostError, match="listening only"):
            reader.console.write(b"x")
    assert board.typed == []


def test_what_happens_to_the_console_is_told_to_all(board: Board, sit: Sit) -> None:
    boot = sit(Role.WORK, "alice", "boot")
    reader = sit(Role.LISTEN, "bob")
    boot.console._tell(Event("console", "console.gap", "SOL lost 2.0 s", {"seconds": 2.0}))
    assert wait_for(lambda: reader.told("console.gap"))
    assert reader.told("console.gap")[0].data["seconds"] == 2.0


def test_a_listener_hands_the_console_to_a_boot_and_goes_on_listening(board: Board, sit: Sit) -> None:
    began_s = time.monotonic()
    listener = sit(Role.LISTEN, "bob")
    board.say(b"before\r\n")
    assert listener.sees(b"before")
    boot = sit(Role.WORK, "alice", "boot")
    assert wait_for(lambda: listener.told("console.shared"))
    assert "handed over to alice" in listener.told("console.lost")[0].text
    board.say(b"after\r\n")
    assert boot.sees(b"after") and listener.sees(b"after")
    boot.leave()
    assert wait_for(lambda: board.holder is not None)  # it has the console itself again
    board.say(b"at last\r\n")
    assert listener.sees(b"at last")
    gaps_s = [event.data["seconds"] for event in listener.told("console.gap")]
    assert sum(gaps_s) <= 0.1 * len(gaps_s) + time.monotonic() - began_s


def test_one_may_type_beside_a_boot_and_is_named(board: Board, sit: Sit) -> None:
    boot = sit(Role.WORK, "alice", "boot")
    writer = sit(Role.BESIDE, "bob")
    writer.console.write(b"ls\r")
    writer.console.send_break()
    assert board.typed == [b"ls\r", b"<break>"]
    assert "bob (process 1, console" in boot.told("console.writer")[0].text
    with pytest.raises(ConsoleHeldError, match=r"held by bob .*console"):
        sit(Role.BESIDE, "carol")
    writer.leave()
    hub = boot.console._way.hub
    assert hub is not None and wait_for(lambda: not hub._guests)
    sit(Role.BESIDE, "carol").console.write(b"mine")
    assert board.typed[-1] == b"mine"


def test_who_works_does_not_hand_over(sit: Sit) -> None:
    sit(Role.WORK, "alice", "boot")
    with pytest.raises(ConsoleHeldError, match=r"held by alice .*boot") as caught:
        sit(Role.WORK, "bob", "probe")
    assert "--listen" in (caught.value.hint or "")


def test_a_reader_that_reads_nothing_stops_nobody(board: Board, sit: Sit, tmp_path: object) -> None:
    boot = sit(Role.WORK, "alice", "boot")
    idle = door.connect(f"{tmp_path}", 1.0)
    idle.sendall(encode(Kind.WISH, b'{"wish": "read", "who": "x", "pid": 1, "purpose": "y", "since": 0}'))
    for _ in range(400):
        board.say(b"z" * 4096)
    board.say(b"the end")
    assert boot.sees(b"the end")
    idle.close()


@pytest.mark.parametrize(
    "hello", [b"", b"garbage" * 9, encode(Kind.WISH, b"[1]"), encode(Kind.TYPED, b"rm\r")]
)
def test_strangers_at_the_door_get_nothing(board: Board, sit: Sit, tmp_path: object, hello: bytes) -> None:
    boot = sit(Role.WORK, "alice", "boot")
    stranger = door.connect(f"{tmp_path}", 1.0)
    stranger.sendall(hello)
    stranger.shutdown(socket.SHUT_WR)
    assert stranger.recv(100) == b""
    stranger.close()
    board.say(b"on")
    assert boot.sees(b"on") and board.typed == []


def test_a_holder_that_dies_leaves_the_console_to_the_listener(board: Board, sit: Sit) -> None:
    boot = sit(Role.WORK, "alice", "boot")
    listener = sit(Role.LISTEN, "bob")
    board.holder = None  # its session ends with it
    hub = boot.console._way.hub
    assert hub is not None
    hub._door.shutdown(socket.SHUT_RDWR)
    hub._door.close()
    for guest in hub._guests:
        guest.connection.shutdown(socket.SHUT_RDWR)
    assert wait_for(lambda: board.holder is not None and board.holder is not boot)
    board.say(b"mine now")
    assert listener.sees(b"mine now")
