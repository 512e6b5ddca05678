"""A person or a script at a console: keys go to the board, its text to the screen, nothing in between.

The escape key (Ctrl-] by default) followed by one more key is for this program and not for the board.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import termios
import threading
import time
import tty
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

from bringup.base.errors import BringupError, ConsoleLostError, InterruptedRunError, UsageError
from bringup.console.base import Console

_POLL_S = 0.1
_INPUT_MAX = 1024
_CTRL_C = 0x03

HELP = {
    ".": "leave the console",
    "b": "send a break",
    "s": "say how the console is",
    "m": "mark this moment on screen and in the log",
    "l": "times before the lines, on or off",
    "?": "this list",
}


class Screen(Protocol):
    """Where a console is shown. Called from two threads; what it gets first it shows first."""

    def show(self, data: bytes) -> None:
        """Show bytes from the board."""
        ...

    def notice(self, text: str) -> None:
        """Show one line that is not from the board."""
        ...

    def mark(self) -> None:
        """Leave a mark where the board's output is now."""
        ...

    def toggle_times(self) -> None:
        """Show times before the lines, or stop showing them."""
        ...


@dataclass(frozen=True, slots=True)
class Options:
    """How to sit at the console: `for_s` ends it after so many seconds, `listen` never sends anything.

    `quiet_s` is how long the answer to piped input may pause before the console is left.
    """

    escape: int = 0x1D
    listen: bool = False
    for_s: float | None = None
    quiet_s: float = 3.0


def parse_escape(text: str) -> int:
    """Return the byte of `^]`, `ctrl-]` or a single character; raises UsageError."""
    name = text.lower().removeprefix("ctrl-").removeprefix("^")
    if len(name) == 1 and name != text.lower() and "@" <= name.upper() <= "_":
        return ord(name.upper()) & 0x1F
    if len(text) == 1 and text.isascii():
        return ord(text)
    raise UsageError(f"{text!r} is no escape key", hint="such as ^], ctrl-a or ~")


def escape_name(key: int) -> str:
    """Return how people call an escape key."""
    return f"Ctrl-{chr(key | 0x40)}" if key < 0x20 else chr(key)


class EscapeKeys:
    """Splits typed bytes into those for the board and commands, however they are cut into pieces."""

    def __init__(self, escape: int) -> None:
        self._escape = escape
        self._pending = False

    def feed(self, typed: bytes) -> Iterator[bytes | str]:
        """Yield bytes for the board and one-character commands, in order; the escape key twice is itself."""
        plain = bytearray()
        for key in typed:
            if self._pending:
                self._pending = False
                if key == self._escape:
                    plain.append(key)
                else:
                    if plain:
                        yield bytes(plain)
                        plain.clear()
                    yield chr(key)
            elif key == self._escape:
                self._pending = True
            else:
                plain.append(key)
        if plain:
            yield bytes(plain)


@contextlib.contextmanager
def raw_terminal(descriptor: int) -> Iterator[None]:
    """Pass every key through untouched, and put the terminal back whatever ends the context."""
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor, termios.TCSANOW)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into InterruptedRunError, so that what has to be put back is put back."""

    def end(number: int, _frame: FrameType | None) -> None:
        raise InterruptedRunError(f"the console was left on {signal.Signals(number).name}; the board runs on")

    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class TerminalSession:
    """Someone at an attached console. `run` returns when they leave; it raises what ended it otherwise.

    `keys` is the descriptor of a terminal, which is made raw, or of anything else, whose bytes are sent
    unchanged; None when there is no input at all.
    """

    def __init__(self, console: Console, screen: Screen, options: Options, keys: int | None) -> None:
        self._console = console
        self._screen = screen
        self._options = options
        self._keys = keys
        self._escapes = EscapeKeys(options.escape)
        self._began_s = self._heard_s = time.monotonic()
        self._stop = threading.Event()
        self._failure: BringupError | None = None

    def run(self) -> None:
        """Read and show until the person leaves, time is up or the console is lost (ConsoleLostError)."""
        reader = threading.Thread(target=self._read, name="console-screen", daemon=True)
        keys = self._keys
        terminal = keys is not None and os.isatty(keys)
        if keys is not None and self._options.listen and not terminal:
            keys = None  # listening to a board, not to a pipe
        with raw_terminal(keys) if terminal and keys is not None else contextlib.nullcontext():
            reader.start()
            try:
                self._type(keys, terminal)
            finally:
                self._stop.set()
                reader.join(2.0)
        if self._failure is not None:
            raise self._failure

    def _read(self) -> None:
        try:
            while not self._stop.is_set():
                data = self._console.read(_POLL_S)
                if data:
                    self._heard_s = time.monotonic()
                    self._screen.show(data)
        except BringupError as error:
            self._failure = error
        except BrokenPipeError:
            pass  # nobody reads our output any more (`bringup console e300 | head`)
        finally:
            self._stop.set()

    def _type(self, keys: int | None, terminal: bool) -> None:
        while not self._stop.is_set() and not self._time_is_up(more_input=keys is not None):
            if keys is None:
                self._stop.wait(_POLL_S)
            elif select.select([keys], [], [], _POLL_S)[0]:
                typed = _read_input(keys)
                if typed:
                    self._handle(typed, terminal)
                elif terminal:
                    return  # the terminal is gone
                else:
                    keys = None
                    self._heard_s = time.monotonic()

    def _time_is_up(self, *, more_input: bool) -> bool:
        now = time.monotonic()
        if self._options.for_s is not None:
            return now - self._began_s >= self._options.for_s
        return not more_input and not self._options.listen and now - self._heard_s >= self._options.quiet_s

    def _handle(self, typed: bytes, terminal: bool) -> None:
        if not terminal:
            self._send(typed)
            return
        for part in self._escapes.feed(typed):
            if isinstance(part, str):
                self._command(part)
            elif not self._options.listen:
                self._send(part)
            elif _CTRL_C in part:
                self._stop.set()

    def _send(self, data: bytes) -> None:
        try:
            self._console.write(data)
        except ConsoleLostError as error:
            self._screen.notice(f"not sent: {error.message}")

    def _command(self, key: str) -> None:
        if key == ".":
            self._stop.set()
        elif key == "b":
            self._send_break()
        elif key == "s":
            now = time.monotonic()
            alive, since = now - self._console.alive_s, now - self._began_s
            self._screen.notice(f"{self._console.describe()}: {since:.0f} s here, alive {alive:.1f} s ago")
        elif key == "m":
            self._screen.mark()
        elif key == "l":
            self._screen.toggle_times()
        else:
            name = escape_name(self._options.escape)
            for letter, what in HELP.items():
                self._screen.notice(f"{name} {letter}  {what}")
            self._screen.notice(f"{name} {name}  send {name} itself")

    def _send_break(self) -> None:
        if self._options.listen:
            self._screen.notice("no break sent: listening only")
            return
        try:
            self._console.send_break()
        except BringupError as error:
            self._screen.notice(f"no break sent: {error.message}")
        else:
            self._screen.notice("break sent")


def _read_input(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _INPUT_MAX)
    except OSError:  # a terminal that was hung up
        return b""
