"""The firmware probe's report as a run takes it: asked again until whole, and given up in bounded time."""

from __future__ import annotations

import binascii
import itertools
import random
import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bringup.base.errors import ConsoleLostError
from bringup.base.events import Event
from bringup.pci.sources.firmware.frames import BANNER, FrameReader
from bringup.probe.firmware_report import FirmwareReport
from tests.firmware.wire import Board

BODIES = [bytes([number]) * 120 for number in range(40)]
PROMPT = b'bringup firmware probe: frames sent; say "resend N,N-M" or "done" within 60 s\r\n'
Damage = Callable[[bytes], bytes]


def whole(data: bytes) -> bytes:
    return data


class Line:
    """A run's side of the console, and a probe at the other end of it, on a clock of its own."""

    def __init__(self, damage: Damage = whole, *, hears: bool = True, prompts: bool = True) -> None:
        self.now_s = 100.0
        self.board = Board(BODIES)
        self.events: list[Event] = []
        self.said: list[bytes] = []
        self._damage, self._hears, self._prompts = damage, hears, prompts
        self._coming = [BANNER + b"\r\n" + self.board.say_all()]
        self.report = FirmwareReport(self._say, self.events.append, now=lambda: self.now_s)

    def _say(self, data: bytes) -> None:
        self.said.append(data)
        if self._hears and data.startswith(b"\nresend"):
            self._coming.append(self.board.answer(data) + (PROMPT if self._prompts else b""))

    def run(self, seconds: float = 900.0, *, prompt_every_s: float = 2.0) -> str:
        """Read every 0.2 s until the end is told; return its kind, "" when it never is."""
        end_s, prompted_s = self.now_s + seconds, self.now_s
        while self.now_s < end_s:
            data = self._coming.pop(0) if self._coming else b""
            if not data and self._prompts and self.now_s - prompted_s >= prompt_every_s:
                prompted_s = self.now_s
                data = self.board.send([0]) + PROMPT
            self.report.feed(self._damage(data))
            if self.kinds and self.kinds[-1] in ("console.upload", "console.report_lost"):
                return self.kinds[-1]
            self.now_s += 0.2
        return ""

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


def lossy(share: float, seed: int = 3) -> Damage:
    source = random.Random(seed)
    return lambda data: bytes(byte for byte in data if source.random() >= share)


def test_a_good_line_needs_no_question() -> None:
    line = Line()
    assert line.run() == "console.upload"
    assert line.kinds[0] == "console.report"
    assert line.said == [b"\ndone *%04x\n" % binascii.crc_hqx(b"done", 0xFFFF)]
    total = len(line.board.frames)
    assert line.events[-1].text == f"the firmware's view, {total} frames over the console"
    assert line.now_s < 101


@pytest.mark.parametrize("prompts", [True, False])
def test_what_was_lost_is_asked_for_until_it_is_there(prompts: bool) -> None:
    line = Line(lossy(0.05), prompts=prompts)
    assert line.run() == "console.upload"
    assert line.said[-1].startswith(b"\ndone")
    assert len(line.said) > 3
    assert re.search(r"over the console, \d+ times asked for what was lost$", line.events[-1].text)
    # One line for people when it has to be asked for, however often.
    assert len([e for e in line.events if e.kind == "console.report"]) == 2
    progress = [e.data for e in line.events if e.kind == "console.upload_progress"]
    assert {(p["role"], p["unit"]) for p in progress} == {("report", "frames")}
    sent = [p["sent"] for p in progress]
    assert sent == sorted(sent)


def test_a_line_that_carries_nothing_back_is_given_up_with_numbers() -> None:
    once = lossy(0.02)
    line = Line(once, hears=False, prompts=False)
    assert line.run() == "console.report_lost"
    assert line.now_s - 100 < 60
    lost = line.events[-1]
    assert re.match(r"\d+ of 28\d frames came, frames \d", lost.text)
    assert lost.text.endswith("asked 41 times in vain")
    reader = FrameReader()
    reader.feed(lossy(0.02)(BANNER + b"\r\n" + line.board.say_all()))
    assert lost.data["frames"] == reader.received
    assert lost.data["missing"] == [str(a) if a == b else f"{a}-{b}" for a, b in reader.missing]


def test_a_probe_that_stopped_listening_is_not_asked_for_ever() -> None:
    line = Line(lossy(0.02), hears=False, prompts=False)
    line._coming.append(b"bringup firmware probe: nobody asks any more\r\n")
    assert line.run() == "console.report_lost"
    assert line.events[-1].text.endswith("the probe waits no longer")
    assert line.now_s - 100 < 2


def test_a_trickle_ends_too() -> None:
    """A new frame now and then keeps the hope up, and not for ever."""
    turns = itertools.count()

    def trickle(_data: bytes) -> bytes:
        turn = next(turns)  # five in a second: a frame every three
        return b"" if turn % 15 else line.board.send([turn // 15 + 2])

    line = Line(trickle, hears=False, prompts=False)
    assert line.run(2000) == "console.report_lost"
    assert line.events[-1].text.endswith("not within 10 minutes")


def test_silence_and_strangers_say_nothing() -> None:
    line = Line(lambda _data: b"Linux version 6.1\r\n")
    assert line.run(300) == ""
    assert line.events == []
    assert line.said == []


def test_a_console_that_is_away_is_asked_again_later() -> None:
    line = Line(lossy(0.01))
    say, times = line._say, []

    def away(data: bytes) -> None:
        times.append(data)
        if len(times) < 3:
            raise ConsoleLostError("SOL is away just now")
        say(data)

    line.report._say = away
    assert line.run() == "console.upload"
    assert len(times) >= 4


def test_after_the_end_nothing_more_is_said() -> None:
    line = Line()
    line.run()
    said, events = list(line.said), list(line.events)
    line.report.feed(PROMPT)
    line.now_s += 60
    line.report.feed(b"")
    assert (line.said, line.events) == (said, events)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.01, 0.1, 0.3, 0.9]), st.booleans(), st.booleans())
def test_every_line_comes_to_an_end(seed: int, loss: float, hears: bool, prompts: bool) -> None:
    line = Line(lossy(loss, seed), hears=hears, prompts=prompts)
    kind = line.run(1500)
    if any(event.kind == "console.report" for event in line.events):
        assert kind in ("console.upload", "console.report_lost")
    if kind == "console.upload":
        assert line.report._reader.complete
