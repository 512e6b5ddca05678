"""A BMC that answers from a script, on a clock that passes only when somebody sleeps: no packet, no waiting.

    bmc = ScriptedBmc([Says(0x00, 0x01, 0xFF, until_s=12)], on=True)
    power = IpmiPower(ChassisCommands(bmc))

`bmc.sent` is every command with its time; the board behind it is `bmc.on`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bringup.base.clock import Clock
from bringup.base.errors import BmcTimeoutError
from bringup.ipmi.client import Answer, IpmiClient
from bringup.ipmi.login import BmcAddress
from bringup.lab.secret import Secret
from bringup.power.actions import Pace
from bringup.twin.bmc.sel import Sel

CHASSIS, APP, STORAGE = 0x00, 0x06, 0x0A
DEVICE_GUID, READ_FRU, GET_SEL_ENTRY = 0x08, 0x11, 0x43
STATUS, CONTROL, SET_BOOT, GET_BOOT, SYSTEM_GUID = 0x01, 0x02, 0x08, 0x09, 0x37
GUID = bytes(range(16))


class MadeUpClock(Clock):
    """Time that passes only when somebody waits."""

    def __init__(self) -> None:
        self.at_s = 100.0

    def now_s(self) -> float:
        return self.at_s

    def wait(self, waiter: Callable[[float], object], seconds: float) -> None:
        self.at_s += max(0.0, seconds)

    def pace(self, **changes: float) -> Pace:
        return Pace(now=self.now_s, sleep=self.sleep, **changes)


@dataclass
class Says:
    """A completion code for a command, the first `times` times, or between two times of the script.

    A `code` of None is no answer at all. `first` is the first byte of the command's data.
    """

    netfn: int
    command: int
    code: int | None
    times: int = 1_000_000
    first: int | None = None
    from_s: float = 0.0
    until_s: float = 1e9

    def answers(self, netfn: int, command: int, data: bytes, age_s: float) -> bool:
        if (netfn, command) != (self.netfn, self.command) or not self.from_s <= age_s < self.until_s:
            return False
        if self.first is not None and data[:1] != bytes([self.first]):
            return False
        self.times -= 1
        return self.times >= 0


@dataclass(frozen=True)
class Sent:
    """A command as it came."""

    at_s: float
    netfn: int
    command: int
    data: bytes


class ScriptedBmc(IpmiClient):
    """A BMC and its board. `answer_s` is how long each answer takes, `silent` when it says nothing at all.

    The first `ignored_ons` power-ons have no effect; others take `on_s`, a power-off `off_s`. `keeps` turns
    the boot flags that were set into those that are read, which may be marked `locked`. `guid` is None where
    it knows none, `fru` its FRU inventory, `sel` its event log, `faults` the bits that its chassis status has
    besides the power.
    """

    def __init__(
        self,
        says: Sequence[Says] = (),
        *,
        on: bool = False,
        spacing_s: float = 0.0,
        answer_s: float | Callable[[int], float] = 0.05,
        silent: tuple[float, float] = (0.0, 0.0),
        ignored_ons: int = 0,
        on_s: float = 0.3,
        off_s: float = 0.3,
        keeps: Callable[[bytes], bytes] = bytes,
        locked: bool = False,
        guid: bytes | None = GUID,
        fru: bytes = b"",
        faults: bytes = bytes(3),
    ) -> None:
        self.clock = MadeUpClock()
        super().__init__(
            BmcAddress("10.0.0.17", 623, "ADMIN", Secret("s3cret")), spacing_s=spacing_s, clock=self.clock
        )
        self.sent: list[Sent] = []
        self.logins = 0
        self.guid = guid
        self.sel = Sel()
        self._fru = fru
        self._faults = faults
        self.flags = bytes(5)
        self._says = list(says)
        self._answer_s = answer_s
        self._silent = silent
        self._ignored_ons = ignored_ons
        self._delays = {0: off_s, 1: on_s}
        self._keeps = keeps
        self._locked = locked
        self._on = on
        self._next: tuple[float, bool] | None = None
        self._logged_in = False

    @property
    def age_s(self) -> float:
        """Seconds since the script began."""
        return self.clock.now_s() - 100.0

    @property
    def on(self) -> bool:
        if self._next is not None and self.age_s >= self._next[0]:
            self._on, self._next = self._next[1], None
        return self._on

    def orders(self) -> list[str]:
        """The chassis control commands that came, by name."""
        names = {0: "off", 1: "on", 3: "reset", 5: "soft"}
        return [names[sent.data[0]] for sent in self.sent if (sent.netfn, sent.command) == (CHASSIS, CONTROL)]

    def count(self, command: int) -> int:
        """How often a chassis command came."""
        return sum((sent.netfn, sent.command) == (CHASSIS, command) for sent in self.sent)

    def login(self, timeout_s: float = 7.0) -> Any:
        if not self._logged_in:
            if self._is_silent():
                self.clock.sleep(timeout_s)
                raise BmcTimeoutError(f"no answer from {self.bmc}")
            self.logins += 1
            self._logged_in = True
        return None

    def close(self) -> None:
        self._logged_in = False

    def _is_silent(self) -> bool:
        return self._silent[0] <= self.age_s < self._silent[1]

    def _ask(self, session: Any, netfn: int, command: int, data: bytes, timeout_s: float) -> Answer | None:
        self.sent.append(Sent(self.age_s, netfn, command, data))
        said = next((s for s in self._says if s.answers(netfn, command, data, self.age_s)), None)
        if self._is_silent() or (said is not None and said.code is None):
            self.clock.sleep(timeout_s)
            return None
        answer_s = self._answer_s(len(self.sent)) if callable(self._answer_s) else self._answer_s
        self.clock.sleep(answer_s)
        if said is not None and said.code is not None:
            return Answer(said.code, b"")
        return self._obey(netfn, command, data)

    def _obey(self, netfn: int, command: int, data: bytes) -> Answer:
        if netfn == APP and command in (SYSTEM_GUID, DEVICE_GUID):
            return Answer(0xC1, b"") if self.guid is None else Answer(0, self.guid)
        if (netfn, command) == (STORAGE, READ_FRU):
            start, count = int.from_bytes(data[1:3], "little"), min(data[3], 16)
            piece = self._fru[start : start + count]
            return Answer(0, bytes([len(piece)]) + piece) if piece else Answer(0xC9, b"")
        if (netfn, command) == (STORAGE, GET_SEL_ENTRY):
            position = self.sel.find(int.from_bytes(data[2:4], "little"))
            if position is None:
                return Answer(0xCB, b"")
            return Answer(0, self.sel.id_after(position).to_bytes(2, "little") + self.sel.records[position])
        if netfn != CHASSIS:
            return Answer(0xC1, b"")
        if command == STATUS:
            return Answer(0, bytes([self.on | self._faults[0]]) + self._faults[1:])
        if command == CONTROL:
            self._switch(data[0])
        elif command == SET_BOOT and data[0] == 5:
            self.flags = self._keeps(data[1:6])
        elif command == GET_BOOT:
            return Answer(0, bytes([1, 0x85 if self._locked else 5]) + self.flags)
        return Answer(0, b"")

    def _switch(self, action: int) -> None:
        if action == 1 and self._ignored_ons:
            self._ignored_ons -= 1
        elif action in self._delays and self.on != bool(action):
            self._next = (self.age_s + self._delays[action], bool(action))
