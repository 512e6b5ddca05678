"""A guest's clock against this host's, whatever `date` says."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, cast

import pytest

from bringup.verify.guests.scene import GuestScene
from bringup.verify.plan import Check
from bringup.verify.probes.guest import guest_clock
from bringup.verify.result import Result

CHECK = Check(id="clock", purpose="p", how="h", probe="guest-clock", params={"limit_s": 60})


@dataclass
class Dated:
    """A guest whose clock is `ahead_s`, or which says `text`."""

    name: str
    ahead_s: float = 0
    text: str = ""

    def run(self, command: str) -> tuple[int, str]:
        assert command == "date +%s"
        return 0, self.text or f"{int(time.time() + self.ahead_s)}\n"


@dataclass
class Guests:
    guests: tuple[Any, ...]


def judge(*guests: Dated) -> Result:
    return guest_clock(cast("GuestScene", Guests(guests)), CHECK)


def test_clocks_of_this_host_pass() -> None:
    told = judge(Dated("guest-0"), Dated("guest-1", ahead_s=-20))
    assert told.ok
    assert -22 < told.values["apart_s"]["guest-1"] < -18


@pytest.mark.parametrize("ahead_s", [-6 * 365 * 86400.0, 3600.0])
def test_a_clock_in_the_past_or_ahead_fails_and_names_its_guest(ahead_s: float) -> None:
    told = judge(Dated("guest-0"), Dated("guest-1", ahead_s=ahead_s))
    assert told.status == "fail"
    assert abs(told.values["apart_s"]["guest-1"] - ahead_s) < 3
    assert "set the clock before the tunnel starts" in told.evidence


def test_no_number_is_no_clock() -> None:
    told = judge(Dated("guest-0", text="sh: date: not found\n"))
    assert told.status == "fail" and "no number in guest-0" in told.evidence
