"""The other side of the firmware probe's console: takes its report, and asks again for what was lost.

The protocol is that of `bringup.pci.sources.firmware.frames`; the bytes themselves are the run's console log,
which is kept as the capture.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from bringup.base.errors import ConsoleLostError
from bringup.base.events import Emit, Event
from bringup.pci.sources.firmware.frames import FrameReader

WORDS = "wait=60 after=halt"
"""What the probe is told on its command line: to be patient, and then to stop until it is switched off."""
NAME = "firmware-probe.log"
"""What its report is called among a board's captures."""

EXPECTED_S = 8.0
"""How long the report takes after the probe's first line, on a board with 130 functions at 115200 baud."""
TIMEOUT_S = 120.0
"""How long nothing of it may come: the probe looks for functions for a minute at most, then measures pins."""

# The probe prompts every 2 s while it waits, so a longer silence means that the prompt was lost. Once it has
# been asked, it either sends or listens, and what it sends has no pauses.
_FIRST_SILENCE_S, _SILENCE_S = 3.0, 1.0
# With every 20th character lost, a frame comes through one time in five: of 10,000 single frames one is not
# there after as many tries.
_FRUITLESS_MAX = 40
_LONGEST_S = 600.0
_TOLD_EVERY_S = 1.0
_RANGES_SHOWN = 6


class FirmwareReport:
    """Follows one report; `say` types on the board's console. Both are of one thread.

    Emits `console.report` when the report begins and when something has to be asked for again,
    `console.upload_progress` meanwhile, and in the end `console.upload` when it is whole or
    `console.report_lost` when it will not be.
    """

    def __init__(
        self, say: Callable[[bytes], None], emit: Emit, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._say = say
        self._emit = emit
        self._now = now
        self._reader = FrameReader()
        self._over = False
        self._began_s: float | None = None
        self._heard_s = 0.0
        self._told_s = 0.0
        self._total: int | None = None
        self._prompts_answered = 0
        self._asked = 0
        self._received_when_asked = -1
        self._fruitless = 0

    def feed(self, data: bytes) -> None:
        """Take what the console said, b"" when it was silent for a moment."""
        if self._over:
            return
        now_s = self._now()
        if data:
            self._heard_s = now_s
            self._reader.feed(data)
            self._tell(now_s)
        if self._began_s is None:
            return
        if self._may_be_whole() and self._reader.complete:
            self._finish()
        elif self._reader.ended:
            self._give_up("the probe waits no longer")
        elif now_s - self._began_s > _LONGEST_S:
            self._give_up(f"not within {_LONGEST_S / 60:.0f} minutes")
        elif self._is_asked_for(now_s):
            self._ask(now_s)

    def _may_be_whole(self) -> bool:
        """Whether it is worth a look: putting the report together takes time, and frames come by hundreds."""
        return self._total is not None and self._reader.received >= self._total

    def _tell(self, now_s: float) -> None:
        reader = self._reader
        if self._began_s is None and (reader.received or reader.prompts):
            self._began_s = now_s
            self._emit(Event("console", "console.report", "its report begins"))
        if self._began_s is not None and now_s - self._told_s >= _TOLD_EVERY_S:
            self._told_s = now_s
            self._total = reader.total
            data = {"role": "report", "sent": reader.received, "size": self._total, "unit": "frames"}
            self._emit(Event("console", "console.upload_progress", "the report", data))

    def _is_asked_for(self, now_s: float) -> bool:
        patience_s = _SILENCE_S if self._asked else _FIRST_SILENCE_S
        return self._reader.prompts > self._prompts_answered or now_s - self._heard_s > patience_s

    def _ask(self, now_s: float) -> None:
        reader = self._reader
        if reader.complete:
            self._finish()
            return
        self._fruitless = self._fruitless + 1 if reader.received == self._received_when_asked else 0
        if self._fruitless > _FRUITLESS_MAX:
            self._give_up(f"asked {self._fruitless} times in vain")
            return
        if not self._asked:
            self._emit(Event("console", "console.report", f"{self._count()}; asking again for the rest"))
        self._asked += 1
        self._received_when_asked = reader.received
        self._prompts_answered = reader.prompts
        self._total = reader.total
        self._heard_s = now_s
        self._type(reader.request())

    def _type(self, line: bytes) -> None:
        try:
            self._say(line)
        except ConsoleLostError:
            return  # it is being attached again, and what was not heard is asked for once more

    def _finish(self) -> None:
        self._over = True
        self._type(self._reader.request())
        again = f", {self._asked} times asked for what was lost" if self._asked else ""
        text = f"the firmware's view, {self._reader.total} frames over the console{again}"
        self._emit(Event("console", "console.upload", text, {"frames": self._reader.total}))

    def _give_up(self, why: str) -> None:
        self._over = True
        ranges = [str(a) if a == b else f"{a}-{b}" for a, b in self._reader.missing]
        shown = ", ".join(ranges[:_RANGES_SHOWN])
        more = f" and {len(ranges) - _RANGES_SHOWN} more ranges" if len(ranges) > _RANGES_SHOWN else ""
        missing = f", frames {shown}{more} are missing" if ranges else ""
        text = f"{self._count()}{missing}; {why}"
        data = {"frames": self._reader.received, "total": self._reader.total, "missing": ranges}
        self._emit(Event("console", "console.report_lost", text, data))

    def _count(self) -> str:
        total = self._reader.total
        return f"{self._reader.received} of {'an unknown number of' if total is None else total} frames came"
