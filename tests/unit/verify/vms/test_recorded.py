"""Consoles of real VMs that were recorded: taken apart alike, and a VM that says no more is called dead."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from bringup.base.errors import VmDeadError
from bringup.transcript.streams import Writer
from bringup.verify.vms.talk import Vms
from bringup.verify.vms.texts import Texts
from tests.places import SHARED

THREE = SHARED / "data/serial/camkes-vm-3vms-login.log"
ONE = SHARED / "data/transcripts/camkes-vm-minimal-login.log"
PANIC = SHARED / "data/serial/camkes-vm-guest-panic.log"


def recorded(path: Path) -> bytes:
    if not path.is_file():
        pytest.skip(f"there is no {path.name} here")
    return path.read_bytes()


def guests_of(log: bytes, seed: int) -> dict[Writer, str]:
    texts, start = Texts(), Texts().place()
    chance = random.Random(seed)
    while log:
        size = chance.randint(1, 300)
        texts.receive(log[:size])
        log = log[size:]
    return {who: text for who, text in texts.heard_since(start).items() if who.part == "guest"}


@pytest.mark.parametrize("seed", range(3))
def test_three_guests_come_to_their_logins_each_in_a_colour_of_its_own(seed: int) -> None:
    guests = guests_of(recorded(THREE), seed)
    assert {who.colour for who in guests} == {"32", "34", "35"}
    for text in guests.values():
        assert text.count("buildroot login: ") == 1
        assert "Starting logging: OK" in text, "a NUL and another guest's line were in the middle of it"


def test_one_guest_is_one_colour() -> None:
    (text,) = guests_of(recorded(ONE), 1).values()
    assert "buildroot login: " in text


class Replayed:
    """A console that says what was recorded, and nothing more whatever is typed."""

    def __init__(self, log: bytes) -> None:
        self._log = log
        self._time_s = 0.0

    def now_s(self) -> float:
        return self._time_s

    def read(self, timeout_s: float) -> bytes:
        self._time_s += timeout_s
        said, self._log = self._log[:997], self._log[997:]
        return said

    def write(self, data: bytes) -> None:
        pass

    def rest(self, seconds: float) -> None:
        self._time_s += seconds


@pytest.mark.parametrize("path", [THREE, ONE, PANIC], ids=lambda path: path.stem)
def test_a_console_that_says_no_more_is_no_living_vm(path: Path) -> None:
    with pytest.raises(VmDeadError, match="nothing answers @0"):
        Vms(Replayed(recorded(path))).log_in(0)
