"""A person at a console, played on pseudo-terminals: what goes where, and how the terminal is afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.errors import ConsoleLostError, InterruptedRunError, LabError, UsageError
from bringup.base.events import Event
from bringup.console.screen import ConsoleFile, JsonScreen, TextScreen
from bringup.console.terminal import (
    EscapeKeys,
    Options,
    TerminalSession,
    ended_by_signals,
    escape_name,
    parse_escape,
    raw_terminal,
)
from tests import places

ESCAPE = b"\x1d"


class Board:
    """A console whose other end the test plays."""

    def __init__(self, *, echo: bool = False) -> None:
        self.says: queue.Queue[bytes | Exception] = queue.Queue()
        self.heard = bytearray()
        self.breaks = 0
        self.alive_s = time.monotonic()
        self._echo = echo

    def describe(self) -> str:
        return "the console of a test"

    def open(self, timeout_s: float) -> None:
        return

    def read(self, timeout_s: float) -> bytes:
        try:
            item = self.says.get(timeout=timeout_s)
        except queue.Empty:
            return b""
        if isinstance(item, Exception):
            raise item
        return item

    def write(self, data: bytes) -> None:
        self.heard += data
        if self._echo:
            self.says.put(data)

    def send_break(self) -> None:
        self.breaks += 1

    def close(self) -> None:
        return


class Person:
    """A terminal, the session at it in a thread, and what is seen on it."""

    def __init__(self, board: Board, options: Options, log: ConsoleFile | None = None) -> None:
        self.keyboard, self.terminal = os.openpty()
        self.seen = b""
        self.error: BaseException | None = None
        self.screen = TextScreen(output=self.terminal, notices=self.terminal, log=log)
        self._session = TerminalSession(board, self.screen, options, self.terminal)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._session.run()
        except Exception as error:  # noqa: BLE001  # for the test to look at
            self.error = error

    def type(self, keys: bytes) -> None:
        os.write(self.keyboard, keys)

    def sees(self, text: bytes, timeout_s: float = 60.0) -> bool:
        deadline = time.monotonic() + timeout_s
        while text not in self.seen and time.monotonic() < deadline:
            if select.select([self.keyboard], [], [], 0.05)[0]:
                self.seen += os.read(self.keyboard, 4096)
        return text in self.seen

    def is_raw(self) -> bool:
        return not termios.tcgetattr(self.terminal)[3] & (termios.ECHO | termios.ICANON | termios.ISIG)

    def wait_end(self, timeout_s: float = 60.0) -> None:
        self._thread.join(timeout_s)
        assert not self._thread.is_alive()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.type(ESCAPE + b".")
        self._thread.join(3)
        os.close(self.keyboard)
        os.close(self.terminal)


@contextlib.contextmanager
def person_at(board: Board, log: ConsoleFile | None = None, **options: object) -> Iterator[Person]:
    person = Person(board, Options(**options), log)
    deadline = time.monotonic() + 60
    while not person.is_raw() and person.error is None and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        yield person
    finally:
        person.close()


def until(what: object, timeout_s: float = 60.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while not what() and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(what())


def test_keys_reach_the_board_untouched_and_text_comes_back() -> None:
    board = Board(echo=True)
    with person_at(board) as person:
        keys = b"ls\r\x03\x04\x1a\x11\x13\x7f\xff"
        person.type(keys)
        assert until(lambda: bytes(board.heard) == keys), bytes(board.heard)
        board.says.put(b"login: ")
        assert person.sees(b"login: ")


def test_the_terminal_is_raw_and_then_as_before() -> None:
    with person_at(Board()) as person:
        assert person.is_raw()
        person.type(ESCAPE + b".")
        person.wait_end()
        assert person.error is None
        assert not person.is_raw()


@pytest.mark.parametrize("failure", [ConsoleLostError("SOL did not come back"), LabError("disk full")])
def test_the_terminal_is_restored_when_the_console_fails(failure: LabError) -> None:
    board = Board()
    with person_at(board) as person:
        board.says.put(failure)
        person.wait_end()
        assert person.error is failure
        assert not person.is_raw()


def test_the_terminal_is_restored_after_any_exception() -> None:
    keyboard, terminal = os.openpty()
    before = termios.tcgetattr(terminal)
    with pytest.raises(ZeroDivisionError), raw_terminal(terminal):
        assert termios.tcgetattr(terminal) != before
        raise ZeroDivisionError
    assert termios.tcgetattr(terminal) == before
    os.close(keyboard)
    os.close(terminal)


_AT_A_CONSOLE = """
import sys, time
from bringup.console.screen import TextScreen
from bringup.console.terminal import Options, TerminalSession, ended_by_signals
from bringup.base.errors import InterruptedRunError

class Silent:
    alive_s = 0.0
    def describe(self): return "silent"
    def read(self, timeout_s): time.sleep(timeout_s); return b""

print("here", flush=True)
try:
    with ended_by_signals():
        TerminalSession(Silent(), TextScreen(output=1, notices=2), Options(), 0).run()
except InterruptedRunError as error:
    print(error.message, flush=True)
    sys.exit(error.exit_code)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_the_terminal_is_restored_when_a_signal_ends_the_process(number: int) -> None:
    keyboard, terminal = os.openpty()
    before = termios.tcgetattr(terminal)
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", sys.executable, "-c", _AT_A_CONSOLE],
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(places.CHECKOUT)},
    )
    try:
        assert until(lambda: termios.tcgetattr(terminal) != before, 20)
        process.send_signal(number)
        out, _ = process.communicate(timeout=120)
    finally:
        process.kill()
    assert termios.tcgetattr(terminal) == before
    if number != signal.SIGINT:
        assert process.returncode == 130
        assert signal.Signals(number).name.encode() in out
    os.close(keyboard)
    os.close(terminal)


def test_handlers_of_signals_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(InterruptedRunError, match="SIGTERM"), ended_by_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_break_and_the_escape_key_itself() -> None:
    board = Board()
    with person_at(board) as person:
        person.type(ESCAPE + b"b")
        assert person.sees(b"-- break sent --\r\n")
        assert board.breaks == 1
        person.type(b"x" + ESCAPE + ESCAPE + b"y")
        assert until(lambda: bytes(board.heard) == b"x" + ESCAPE + b"y")


def test_help_and_status() -> None:
    with person_at(Board()) as person:
        person.type(ESCAPE + b"?")
        assert person.sees(b"Ctrl-] .  leave the console")
        assert person.sees(b"Ctrl-] b  send a break")
        person.type(ESCAPE + b"s")
        assert person.sees(b"the console of a test: ")


def test_another_escape_key() -> None:
    board = Board()
    with person_at(board, escape=parse_escape("ctrl-a")) as person:
        person.type(b"\x1d\x01.")
        person.wait_end()
        assert bytes(board.heard) == b"\x1d"


def test_listening_sends_nothing_and_ctrl_c_leaves() -> None:
    board = Board()
    with person_at(board, listen=True) as person:
        person.type(b"rm -rf /\r" + ESCAPE + b"b")
        assert person.sees(b"listening only")
        person.type(b"\x03")
        person.wait_end()
    assert board.heard == b"" and board.breaks == 0


def test_what_could_reprogram_the_terminal_is_taken_out() -> None:
    board = Board()
    with person_at(board) as person:
        board.says.put(b"a\x1b]0;evil\x07b\x1b[31mred\x1b[0m\x1b[6n\x1bcend")
        assert person.sees(b"end")
        assert b"\x1b]" not in person.seen and b"\x1b[6n" not in person.seen and b"\x1bc" not in person.seen
        assert b"\x1b[31mred" in person.seen


def test_times_before_the_lines() -> None:
    board = Board()
    with person_at(board) as person:
        person.type(ESCAPE + b"l")
        assert person.sees(b"times on (UTC)")
        board.says.put(b"kernel starts\r\n")
        assert person.sees(b"Z  kernel starts")
        person.type(ESCAPE + b"l")
        assert person.sees(b"times off")
        person.seen = b""
        board.says.put(b"plain\r\n")
        assert person.sees(b"plain")
        assert b"Z" not in person.seen


def test_marks_and_gaps_are_on_screen_and_in_the_log(tmp_path: Path) -> None:
    board, path = Board(), tmp_path / "console.log"
    with person_at(board, log=ConsoleFile(path)) as person:
        board.says.put(b"half a line")
        assert person.sees(b"half a line")
        person.type(ESCAPE + b"m")
        assert person.sees(b"-- mark ")
        person.screen.tell(Event("console", "console.gap", "SOL lost 12.4 s", {"seconds": 12.41}))
        assert person.sees(b"-- SOL lost 12.4 s --\r\n")
    first, second, third = (line.partition("Z  ")[2] for line in path.read_text().splitlines())
    assert first == "half a line"
    assert second.startswith("-- mark ")
    assert third == "-- SOL lost 12.4 s --"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_log_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write the log"):
        ConsoleFile(tmp_path / "no" / "such" / "folder.log")


class Pipes:
    """Input and output of a command in a pipe line."""

    def __init__(self, board: Board, options: Options, *, json_lines: bool = False) -> None:
        self.input, self._far_input = os.pipe()[::-1]
        self._output, self._far_output = os.pipe()
        screen = (
            JsonScreen(output=self._far_output)
            if json_lines
            else TextScreen(output=self._far_output, notices=2)
        )
        self.session = TerminalSession(board, screen, options, self._far_input)

    def output(self) -> bytes:
        os.close(self._far_output)
        with open(self._output, "rb") as stream:  # noqa: PTH123  # a descriptor
            return stream.read()


def test_piped_input_is_sent_as_it_is_and_the_answer_is_waited_for() -> None:
    board = Board(echo=True)
    pipes = Pipes(board, Options(quiet_s=0.4))
    os.write(pipes.input, b"dmesg\r" + ESCAPE + b".\xff")
    os.close(pipes.input)
    began = time.monotonic()
    pipes.session.run()
    assert 0.3 < time.monotonic() - began < 30
    assert board.heard == b"dmesg\r" + ESCAPE + b".\xff"
    assert pipes.output() == b"dmesg\r" + ESCAPE + b".\xff"  # to a pipe the bytes go as they came


def test_for_so_many_seconds() -> None:
    pipes = Pipes(Board(), Options(for_s=0.5, listen=True))
    began = time.monotonic()
    pipes.session.run()
    assert 0.4 < time.monotonic() - began < 20


def test_a_console_that_is_lost_ends_a_pipe_line_too() -> None:
    board = Board()
    board.says.put(b"last words")
    board.says.put(ConsoleLostError("gone"))
    pipes = Pipes(board, Options(listen=True))
    with pytest.raises(ConsoleLostError, match="gone"):
        pipes.session.run()
    assert pipes.output() == b"last words"


def test_without_any_input_it_listens_for_its_time() -> None:
    session = TerminalSession(Board(), TextScreen(output=1, notices=2), Options(for_s=0.3), None)
    began = time.monotonic()
    session.run()
    assert 0.2 < time.monotonic() - began < 20


def test_json_lines() -> None:
    board = Board()
    board.says.put("Grüße".encode()[:3])
    board.says.put("Grüße".encode()[3:])
    board.says.put(ConsoleLostError("gone"))
    pipes = Pipes(board, Options(listen=True), json_lines=True)
    with pytest.raises(ConsoleLostError):
        pipes.session.run()
    lines = [json.loads(line) for line in pipes.output().splitlines()]
    assert "".join(line["text"] for line in lines) == "Grüße"
    assert {line["kind"] for line in lines} == {"console.data"}


def test_a_reader_that_went_away_ends_the_session_quietly() -> None:
    board = Board()
    pipes = Pipes(board, Options(listen=True))
    os.close(pipes._output)
    board.says.put(b"nobody reads this")
    pipes.session.run()


@pytest.mark.parametrize(
    ("text", "key"),
    [("^]", 0x1D), ("ctrl-a", 1), ("^A", 1), ("Ctrl-T", 20), ("~", 0x7E), ("^", 0x5E), ("^^", 0x1E)],
)
def test_names_of_escape_keys(text: str, key: int) -> None:
    assert parse_escape(text) == key


@pytest.mark.parametrize("text", ["", "F1", "ctrl-", "ctrl-ab", "é", "^é"])
def test_names_that_are_no_escape_key(text: str) -> None:
    with pytest.raises(UsageError, match="is no escape key"):
        parse_escape(text)


def test_what_an_escape_key_is_called() -> None:
    assert [escape_name(key) for key in (0x1D, 0x01, 0x7E)] == ["Ctrl-]", "Ctrl-A", "~"]


@given(st.lists(st.binary(max_size=6)))
def test_escapes_do_not_depend_on_how_the_keys_come(pieces: list[bytes]) -> None:
    def split(chunks: list[bytes]) -> list[bytes | str]:
        keys, parts = EscapeKeys(0x1D), []
        for part in (part for chunk in chunks for part in keys.feed(chunk)):
            if parts and isinstance(part, bytes) and isinstance(parts[-1], bytes):
                parts[-1] += part
            else:
                parts.append(part)
        return parts

    assert split(pieces) == split([b"".join(pieces)])
