"""Asking the person at a terminal: a real one (a pty), typed into from the other end."""

from __future__ import annotations

import io
import os
import pty
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from bringup.base.errors import LabError
from bringup.base.events import Event
from bringup.report.person import TerminalPerson

SPOKE = Event("console", "console.activity", data={"bytes": 12})


class Desk:
    """What a person at a terminal is shown, and their hands."""

    def __init__(self, keyboard: int) -> None:
        self.shown: list[str] = []
        self._keyboard = keyboard

    def type(self, text: str) -> None:
        os.write(self._keyboard, text.encode())

    def on_question(self, do: Callable[[], None]) -> None:
        """Act once the next line was shown, as a person does."""
        seen = len(self.shown)

        def watch() -> None:
            deadline = time.monotonic() + 5
            while len(self.shown) == seen and time.monotonic() < deadline:
                time.sleep(0.01)
            do()

        threading.Thread(target=watch, daemon=True).start()


@contextmanager
def desk(wait_s: float = 5.0) -> Iterator[tuple[Desk, TerminalPerson]]:
    master, slave = pty.openpty()
    with os.fdopen(slave) as stdin:
        at = Desk(master)
        try:
            yield at, TerminalPerson(at.shown.append, stdin=stdin, wait_s=wait_s)
        finally:
            os.close(master)


def test_enter_is_the_answer() -> None:
    with desk() as (at, person):
        at.on_question(lambda: at.type("\n"))
        person.ask("Switch e300 off")
        assert at.shown == ["Switch e300 off; then press Enter (at most 5 s)"]


def test_what_was_typed_before_is_no_answer() -> None:
    with desk(wait_s=0.5) as (at, person):
        at.type("\n\n")
        with pytest.raises(LabError, match=r"nobody answered within 0\.5 s: Switch e300 off"):
            person.ask("Switch e300 off")


def test_the_console_answers_where_it_may() -> None:
    with desk() as (at, person):
        at.on_question(lambda: person.hear(SPOKE))
        person.ask("Switch e300 on", or_console=True)
        assert at.shown == ["Switch e300 on; then press Enter, or wait for its console (at most 5 s)"]


def test_the_console_does_not_answer_where_it_may_not_nor_for_what_it_said_before() -> None:
    with desk(wait_s=0.5) as (at, person):
        at.on_question(lambda: person.hear(SPOKE))
        with pytest.raises(LabError, match="nobody answered"):
            person.ask("Switch e300 off")
        person.hear(SPOKE)
        with pytest.raises(LabError, match="nobody answered"):
            person.ask("Switch e300 on", or_console=True)


def test_a_choice_is_asked_again_until_it_is_one() -> None:
    with desk() as (at, person):
        at.on_question(lambda: at.type("maybe\nOFF \n"))
        assert person.choose("Is e300 on or off?", ("on", "off")) == "off"
        assert at.shown == [
            "Is e300 on or off? Type on or off (at most 5 s)",
            "type the whole word: on or off",
        ]


def test_a_terminal_that_goes_away_ends_the_waiting() -> None:
    with desk() as (at, person):
        at.on_question(lambda: at.type("\x04"))
        with pytest.raises(LabError, match="the terminal was closed before there was an answer"):
            person.ask("Switch e300 off")


def test_without_a_terminal_nobody_can_be_asked() -> None:
    person = TerminalPerson(lambda _line: None, stdin=io.StringIO("\n"), wait_s=5.0)
    with pytest.raises(LabError, match="nobody can be asked, because standard input is no terminal: Switch"):
        person.ask("Switch e300 off")
    with pytest.raises(LabError, match="standard input is no terminal"):
        person.choose("Is e300 on or off?", ("on", "off"))


def test_without_a_terminal_the_console_may_still_tell() -> None:
    shown: list[str] = []
    person = TerminalPerson(shown.append, stdin=io.StringIO(), wait_s=5.0)
    threading.Timer(0.3, person.hear, [SPOKE]).start()
    person.ask("Switch e300 on", or_console=True)
    assert shown == ["Switch e300 on; the board's console will tell (at most 5 s)"]
