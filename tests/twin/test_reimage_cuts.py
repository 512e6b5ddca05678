"""An update that is cut short at a random moment leaves a board that starts: the image before or the new one.

BRINGUP_REIMAGE_KILLS=20 (docs/twin.md) runs 20 moments of each kind, minutes each, in pieces of 7: the tool
is killed; the twin or its machine is; the cable is pulled for good; it is pulled for a while. Every moment is
one of those from the ramdisk's first question on, while the disk is written, read back, started and kept.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.twin.helpers import Cli, process_table, wait_for
from tests.twin.test_reimage import LIMIT_S, cable, reimage, started_slot, up

KILLS = int(os.environ.get("BRINGUP_REIMAGE_KILLS", "0"))
PIECE = 7
SPAN_S = 45.0
READY_S = 300.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(KILLS == 0, reason="minutes each: BRINGUP_REIMAGE_KILLS=20 runs them"),
]


@dataclass
class Update:
    """A re-image that runs; its events are read as they come."""

    cli: Cli
    module_mib: int
    kinds: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        words = ("reimage", "e300", "--yes", "--events", "--module-size", str(self.module_mib))
        self.process = self.cli.popen(*words)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.verdict = json.loads(line)
            self.kinds.append(str(self.verdict["kind"]))

    def wait_until(self, after_ready_s: float) -> str:
        """Return what was seen last so many seconds after the ramdisk's first question, or at the end."""
        assert wait_for(lambda: "disk.ready" in self.kinds or self.over, READY_S), self.kinds
        deadline_s = time.monotonic() + after_ready_s
        while time.monotonic() < deadline_s and not self.over:
            time.sleep(0.02)
        return self.kinds[-1]

    @property
    def over(self) -> bool:
        return self.process.poll() is not None

    def end(self, number: int) -> int:
        """Send a signal, wait, and return the exit code."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self, timeout_s: float = LIMIT_S) -> int:
        code = self.process.wait(timeout_s)
        self._thread.join(10)
        return code


def killed_tool(cli: Cli, update: Update, number: int) -> None:
    update.end(signal.SIGKILL)


def killed_twin(cli: Cli, update: Update, number: int) -> None:
    """Kill the machine alone, or the process that holds it."""
    word = ("qemu-system", "bringup.twin.daemon")[number % 2]
    for pid, line in process_table(cli.home).items():
        if word in line:
            os.kill(pid, signal.SIGKILL)
    time.sleep(2.0)
    if update.end(signal.SIGINT) not in (0, 10, 130):
        raise AssertionError(update.verdict)
    if number % 2:
        up(cli)


def pulled_cable(cli: Cli, update: Update, number: int) -> None:
    cable(cli, "off")
    time.sleep(3.0)
    assert update.end(signal.SIGINT) in (0, 130), update.verdict


def shaken_cable(cli: Cli, update: Update, number: int) -> None:
    """The update goes on by itself once the cable is back."""
    cable(cli, "off")
    time.sleep(random.Random(number).uniform(1.0, 20.0))
    cable(cli, "on")
    assert update.ended() == 0, update.verdict
    assert update.verdict["data"]["kept"]


CUTS = {"tool": killed_tool, "twin": killed_twin, "cable": pulled_cable, "shaken": shaken_cable}


def pieces() -> Iterator[tuple[str, int]]:
    for kind in CUTS:
        for first in range(0, KILLS, PIECE):
            yield kind, first


@pytest.mark.parametrize(("kind", "first"), list(pieces()))
def test_an_image_starts_whenever_an_update_is_cut(cli: Cli, kind: str, first: int) -> None:
    up(cli, "--disk", "ahci,size=3G,serial=S1")
    reimage(cli)
    for number in range(first, min(first + PIECE, KILLS)):
        after_s = random.Random(f"{kind} {number}").uniform(0.0, SPAN_S)
        update = Update(cli, 24 + number)
        seen = update.wait_until(after_s)
        CUTS[kind](cli, update, number)
        slot = started_slot(cli)
        told = f"{kind} {number}: {after_s:.1f} s after disk.ready, last seen {seen}; slot {slot} starts\n"
        sys.stdout.write(told)
        sys.stdout.flush()
    last = reimage(cli, "--module-size", "2")
    assert last["kept"]
    assert started_slot(cli) == last["slot"]
