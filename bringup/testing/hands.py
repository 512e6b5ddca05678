"""What a test is given of a board: its power, and its console as text that is waited for."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bringup.base.errors import LabError, UsageError
from bringup.base.events import Event
from bringup.boot.session import Session
from bringup.console.base import Console, ConsoleGapError
from bringup.jobs.console import at_console
from bringup.jobs.power import PowerAction, switch_within
from bringup.jobs.power_status import power_state
from bringup.verify.vms.talk import Vms
from bringup.verify.vms.wire import ConsoleWire

_READ_S = 0.2
# What a failed wait quotes of what came instead.
_QUOTED = 2000
_KEPT = 1 << 20


class PowerHand:
    """Switches the board of a session; every change is confirmed."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def state(self) -> str:
        """`on`, `off` or `unknown`, as two reads in succession agree; raises LabError."""
        return str(power_state(self._session.board)[0])

    def __call__(self, action: PowerAction) -> None:
        """Do `on`, `off`, `soft`, `cycle` or `reset`; raises LabError when the power did not follow."""
        switch_within(self._session, action)


class ConsoleHand:
    """A console in a test: what came is kept, and read on from where the last match ended."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._text = ""
        self._at = 0

    @property
    def text(self) -> str:
        """Everything that came so far."""
        return self._text

    def send(self, line: str) -> None:
        """Type a line and Enter."""
        self._console.write(line.encode() + b"\r")

    def expect(self, pattern: str, timeout_s: float = 30.0) -> re.Match[str]:
        """Return the first match after the last one; raises AssertionError quoting what came instead."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            found = re.compile(pattern).search(self._text, self._at)
            if found is not None:
                self._at = found.end()
                return found
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                came = self._text[self._at :][-_QUOTED:]
                raise AssertionError(
                    f"no {pattern!r} on the console within {timeout_s:g} s; it said: {came!r}"
                )
            self._read(min(_READ_S, left_s))

    def _read(self, timeout_s: float) -> None:
        try:
            data = self._console.read(timeout_s)
        except ConsoleGapError as gap:
            data = f"\n[{gap.seconds:.1f} s are missing: {gap.reason}]\n".encode()
        self._text += data.decode(errors="replace").replace("\0", "")
        if len(self._text) > _KEPT:
            cut = len(self._text) - _KEPT
            self._text, self._at = self._text[cut:], max(0, self._at - cut)


@contextmanager
def console_hand(session: Session) -> Iterator[ConsoleHand]:
    """Give the console of a session's board, to read and to type on; raises LabError."""
    with at_console(session.board, _ignore) as console:
        yield ConsoleHand(console)


class VmHand:
    """A VM in a test, asked over the console that all of them share."""

    def __init__(self, vms: Vms, number: int) -> None:
        self._vms = vms
        self._number = number

    def run(self, script: str, timeout_s: float = 10.0) -> str:
        """Return what a command printed, whole by its checksum.

        Raises VmDeadError, NotObservedError, and LabError where the command failed.
        """
        answer = self._vms.run(self._number, script, timeout_s)
        if answer.code:
            raise LabError(f"{script!r} in vm{self._number} ended with {answer.code}: {answer.text}")
        return answer.text


@contextmanager
def vm_hands(session: Session) -> Iterator[Callable[[str], VmHand]]:
    """Give the VMs of the image that runs on a board, by names such as `vm0`; raises LabError."""
    with at_console(session.board, _ignore) as console:
        vms = Vms(ConsoleWire(console, session.clock))

        def hand(name: str) -> VmHand:
            found = re.fullmatch(r"vm(\d{1,2})", name)
            if found is None:
                raise UsageError(f"a board has no {name}", hint="vm0, vm1, … are its VMs")
            return VmHand(vms, int(found[1]))

        yield hand


def _ignore(_event: Event) -> None:
    return
