"""Asks the person at the terminal to lend a hand, and waits for them: with a limit, which is told."""

from __future__ import annotations

import os
import select
import sys
import termios
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TextIO

from bringup.base.errors import LabError
from bringup.base.events import Event
from bringup.report.output import say_folded

WAIT_S = 600.0
_POLL_S = 0.2
_LINE_BYTES = 4096


class TerminalPerson:
    """Whoever sits at standard input; `tell` shows a line, `wait_s` is how long an answer is waited for.

    It listens to a run's events (`hear`), so that the board's console can answer for a person.
    """

    def __init__(
        self,
        tell: Callable[[str], None] = say_folded,
        *,
        stdin: TextIO | None = None,
        wait_s: float = WAIT_S,
    ) -> None:
        self._tell = tell
        self._stdin = sys.stdin if stdin is None else stdin
        self._wait_s = wait_s
        self._heard = threading.Event()

    def hear(self, event: Event) -> None:
        """Take note of an event; text on the console is the board's own answer."""
        if event.kind == "console.activity":
            self._heard.set()

    def ask(self, question: str, *, or_console: bool = False) -> None:
        """Show what to do, return at Enter or, `or_console`, when the console speaks; else LabError."""
        keyboard = self._keyboard()
        self._heard.clear()
        if keyboard is None and not or_console:
            raise _nobody(
                question, "run it in a terminal, or give the board a power driver that needs nobody"
            )
        if keyboard is None:
            how = "the board's console will tell"
        else:
            how = "then press Enter" + (", or wait for its console" if or_console else "")
        self._tell(f"{question}; {how} (at most {_minutes(self._wait_s)})")
        self._wait(question, keyboard, or_console=or_console)

    def choose(self, question: str, answers: Sequence[str]) -> str:
        """Show a question, return which of `answers` was typed; raises LabError when none is."""
        keyboard = self._keyboard()
        if keyboard is None:
            raise _nobody(question, "run it in a terminal, or with --yes where the command has it")
        self._tell(f"{question} Type {' or '.join(answers)} (at most {_minutes(self._wait_s)})")
        deadline_s = time.monotonic() + self._wait_s
        while True:
            answer = self._wait(question, keyboard, until_s=deadline_s).strip().lower()
            if answer in answers:
                return answer
            self._tell(f"type the whole word: {' or '.join(answers)}")

    def _keyboard(self) -> int | None:
        """Return the terminal's descriptor, emptied of what was typed before anybody was asked."""
        stdin = self._stdin
        if stdin is None or stdin.closed or not stdin.isatty():
            return None
        with suppress(termios.error):
            termios.tcflush(stdin.fileno(), termios.TCIFLUSH)
        return stdin.fileno()

    def _wait(
        self,
        question: str,
        keyboard: int | None,
        *,
        or_console: bool = False,
        until_s: float | None = None,
    ) -> str:
        """Return the line typed, empty where the console spoke; raises LabError when the time is over."""
        deadline_s = time.monotonic() + self._wait_s if until_s is None else until_s
        while time.monotonic() < deadline_s:
            if or_console and self._heard.is_set():
                return ""
            ready, _, _ = select.select([] if keyboard is None else [keyboard], [], [], _POLL_S)
            if ready:
                return _line(ready[0], question)
        raise LabError(
            f"nobody answered within {_minutes(self._wait_s)}: {question}",
            hint="nothing more was done; start again when somebody is at the board",
        )


def _line(keyboard: int, question: str) -> str:
    # A terminal gives a line at a time; nothing is the end of it (Ctrl-D, or a terminal that went away).
    with suppress(OSError):
        if data := os.read(keyboard, _LINE_BYTES):
            return data.decode(errors="replace")
    raise LabError(f"the terminal was closed before there was an answer: {question}")


def _nobody(question: str, hint: str) -> LabError:
    return LabError(
        f"nobody can be asked, because standard input is no terminal: {question}",
        hint=hint,
    )


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:g} s"
