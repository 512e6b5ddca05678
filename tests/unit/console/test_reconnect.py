"""A console that comes back: gaps told in order, nobody evicted, an end when there is no point."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from bringup.base.errors import (
    AuthenticationError,
    BmcBusyError,
    BmcTimeoutError,
    ConsoleHeldError,
    ConsoleLostError,
    LabError,
)
from bringup.base.events import Event
from bringup.console.base import ConsoleGapError
from bringup.console.reconnect import ReconnectingConsole


class Line:
    """A console that is lost on demand and opens as scripted."""

    def __init__(self, *opens: LabError | None) -> None:
        self.opens = list(opens)
        self.incoming: list[bytes | Exception] = []
        self.goes_on = False
        self.alive_s = time.monotonic()
        self.opened = 0
        self.closed = 0
        self.written: list[bytes] = []

    def describe(self) -> str:
        return "the line of a test"

    def open(self, timeout_s: float) -> bool:
        self.opened += 1
        error = self.opens.pop(0) if self.opens else None
        if error is not None:
            raise error
        return self.goes_on

    def read(self, timeout_s: float) -> bytes:
        if not self.incoming:
            time.sleep(min(timeout_s, 0.01))
            return b""
        item = self.incoming.pop(0)
        if isinstance(item, Exception):
            raise item
        return item

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def send_break(self) -> None:
        self.written.append(b"<break>")

    def close(self) -> None:
        self.closed += 1


def read_until(console: ReconnectingConsole, done: Callable[[], bool], timeout_s: float = 10.0) -> bytes:
    data, deadline = b"", time.monotonic() + timeout_s
    while not done() and time.monotonic() < deadline:
        data += console.read(0.05)
    assert done()
    return data


def lost_line(*opens: LabError | None) -> tuple[Line, ReconnectingConsole, list[Event]]:
    line, events = Line(None, *opens), []
    console = ReconnectingConsole(line, events.append)
    console.open(1.0)
    line.incoming = [b"before ", ConsoleLostError("cable cut")]
    return line, console, events


def test_a_gap_is_told_between_what_came_before_and_after() -> None:
    line, console, events = lost_line()
    began_s = time.monotonic()
    line.alive_s = began_s - 5.0
    data = read_until(console, lambda: len(events) == 2)
    line.incoming.append(b"after")
    data += read_until(console, lambda: not line.incoming)
    assert data == b"before after"
    assert [event.kind for event in events] == ["console.lost", "console.gap"]
    assert events[0].data == {"reason": "cable cut"}
    # Counted from the last sign of life, not from when the loss was noticed.
    assert 5.0 <= events[1].data["seconds"] <= 5.1 + time.monotonic() - began_s
    console.close()


def test_a_hole_in_a_console_that_stays_is_told_in_its_place() -> None:
    line, events = Line(), []
    console = ReconnectingConsole(line, events.append)
    line.incoming = [b"before ", ConsoleGapError(4.81, "the BMC dropped text", certain=True), b"after"]
    assert console.read(0.1) == b"before "
    assert console.read(0.1) == b"" and [event.kind for event in events] == ["console.gap"]
    assert console.read(0.1) == b"after"
    assert events[0].data == {"seconds": 4.9, "certain": True, "reason": "the BMC dropped text"}
    assert (
        events[0].text == "SOL lost 4.9 s (the BMC dropped text); what the board wrote meanwhile is missing"
    )
    console.close()


def test_a_console_that_goes_on_where_it_was_tells_its_hole_itself() -> None:
    line, console, events = lost_line()
    line.goes_on = True
    read_until(console, lambda: not line.incoming and line.opened == 2)
    line.incoming = [b"kept", ConsoleGapError(12.0, "silence", certain=False)]
    assert read_until(console, lambda: len(events) == 2) == b"kept"
    assert events[1].data["certain"] is False and "may be missing" in events[1].text
    console.close()


def test_a_bmc_that_is_silent_or_busy_is_tried_again() -> None:
    line, console, events = lost_line(
        BmcTimeoutError("silent"), BmcBusyError("starting"), BmcTimeoutError("silent")
    )
    read_until(console, lambda: len(events) == 2)
    assert line.opened == 5
    console.close()


@pytest.mark.parametrize(
    "error", [ConsoleHeldError("held by another session", hint="--steal"), AuthenticationError("no")]
)
def test_a_console_somebody_else_took_is_left_to_them(error: LabError) -> None:
    line, console, events = lost_line(error, None)
    with pytest.raises(ConsoleLostError, match=error.message) as caught:
        read_until(console, lambda: False)
    assert caught.value.hint == error.hint
    assert line.opened == 2
    assert [event.kind for event in events] == ["console.lost"]
    with pytest.raises(ConsoleLostError):
        console.read(0.0)
    console.close()


def test_it_gives_up_after_its_time() -> None:
    line, events = Line(None, *[BmcTimeoutError("no answer")] * 1000), []
    console = ReconnectingConsole(line, events.append, give_up_after_s=0.5)
    console.open(1.0)
    line.incoming = [ConsoleLostError("gone")]
    began = time.monotonic()
    with pytest.raises(ConsoleLostError, match="SOL did not come back: no answer"):
        read_until(console, lambda: False)
    assert time.monotonic() - began < 30.0
    console.close()


def test_nothing_is_written_into_the_gap() -> None:
    line, console, _ = lost_line(*[BmcTimeoutError("silent")] * 1000)
    console.write(b"yes")
    read_until(console, lambda: not line.incoming)
    with pytest.raises(ConsoleLostError, match="away"):
        console.write(b"no")
    with pytest.raises(ConsoleLostError, match="away"):
        console.send_break()
    assert line.written == [b"yes"]
    console.close()


def test_closing_ends_the_tries() -> None:
    line, console, _ = lost_line(*[BmcTimeoutError("silent")] * 1000)
    read_until(console, lambda: not line.incoming)
    console.close()
    assert line.closed == 1
    assert not [thread for thread in threading.enumerate() if thread.name == "console-reattach"]


def test_the_first_opening_is_not_tried_again() -> None:
    line = Line(BmcTimeoutError("no answer"))
    with pytest.raises(BmcTimeoutError):
        ReconnectingConsole(line, lambda _event: None).open(1.0)
    assert line.opened == 1


class Flapping(Line):
    """A console that is lost as soon as it is attached, the first `times` times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def open(self, timeout_s: float) -> bool:
        if self.opened < self.times:
            self.incoming.append(ConsoleLostError("the BMC ended the console"))
        return super().open(timeout_s)


def test_a_console_that_ends_each_time_it_is_attached_is_given_up_with_the_reason() -> None:
    line, events = Flapping(1_000), []
    console = ReconnectingConsole(line, events.append, pause_s=0.001)
    console.open(1.0)
    with pytest.raises(ConsoleLostError, match=r"did not come back: it ended .* 9 times in a row") as caught:
        read_until(console, lambda: False)
    assert line.opened == 9
    assert "another tool" in str(caught.value.hint)
    console.close()


@pytest.mark.parametrize("times", [1, 2, 8])
def test_a_console_that_ends_at_once_for_a_while_comes_back(times: int) -> None:
    line, events = Flapping(times), []
    console = ReconnectingConsole(line, events.append, pause_s=0.001)
    console.open(1.0)
    read_until(console, lambda: len(events) == 2 * times)
    line.incoming.append(b"after")
    assert read_until(console, lambda: not line.incoming) == b"after"
    console.close()
