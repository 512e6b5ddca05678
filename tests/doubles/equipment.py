"""A board that is not there, for runs of the whole engine in a moment: its power, override, console and
network.

`Bench` is the equipment of a run. Its clock runs `SPEED` times as fast as the real one, so that a limit of a
minute passes in a few seconds; its board does what a script says, counted in seconds from power-on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bringup.base.clock import Clock
from bringup.base.errors import BmcTimeoutError, BringupError
from bringup.base.events import Emit, Event
from bringup.boot.signals import Signals
from bringup.lab.holder import Holder
from bringup.netboot.spec import MakeSpec, Segment, ServeSpec
from bringup.power.actions import Pace
from bringup.power.base import BootOverride, Drivers, Logged, Person, PowerState

SPEED = 20.0


_STOOD_STILL_S = 0.02


class FastClock(Clock):
    """Runs `SPEED` times as fast, and not while this process stands still.

    On a busy machine a process is often away for a tenth of a second, which would be seconds of this clock:
    between two looks at it no more passes than was to be waited for, and a moment.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looked_s = time.monotonic()
        self._now_s = self._looked_s

    def now_s(self) -> float:
        return self._look(_STOOD_STILL_S)

    def wait(self, waiter: Callable[[float], object], seconds: float) -> None:
        real_s = max(0.0, seconds) / SPEED
        self.now_s()
        waiter(real_s)
        self._look(real_s + _STOOD_STILL_S)

    def _look(self, most_s: float) -> float:
        with self._lock:
            now_s = time.monotonic()
            self._now_s += min(now_s - self._looked_s, most_s) * SPEED
            self._looked_s = now_s
            return self._now_s


@dataclass(frozen=True)
class Said:
    """What the console says `at_s` seconds after power-on."""

    at_s: float
    text: str


@dataclass(frozen=True)
class SaidElsewhere(Said):
    """What comes on the serial port that the console does not show."""


@dataclass(frozen=True)
class Seen:
    """What the servers see `at_s` seconds after power-on: the kind of an event and its data."""

    at_s: float
    kind: str
    data: dict[str, Any] = field(default_factory=dict)
    text: str = ""


Script = Sequence[Said | Seen]


class Bench:
    """Equipment whose board follows `script`; `fails` names a call that raises, and what it raises, which of
    `fails_once` only the first time.

    `answer` is what comes back when something is typed.
    `certain` is whether the override can be read back for certain. `silent` are the seconds after power-on
    in which its BMC restarts: it says nothing, and forgets the override. `before` is what the system says
    that runs before, `logged` what its BMC's log gets during the boot (None: it cannot be read).
    """

    def __init__(
        self,
        script: Script = (),
        *,
        on: bool = False,
        has_override: bool = True,
        fails: dict[str, BaseException] | None = None,
        fails_once: Collection[str] = (),
        tied: bool = True,
        answer: str = "",
        certain: bool = True,
        silent: tuple[float, float] = (0.0, 0.0),
        before: str = "",
        identity: str | BringupError | None = None,
        logged: tuple[Logged, ...] | None = None,
    ) -> None:
        self.logged = logged
        self.before = before
        self.answer = answer
        self.certain = certain
        self.person: Person | None = None
        self.identity = identity
        self.silent = silent
        self.script = script
        self.clock = FastClock()
        self.signals = Signals()
        self.pace = Pace(
            confirm_timeout_s=5.0,
            change_timeout_s=5.0,
            poll_s=0.2,
            off_pause_s=0.5,
            now=self.clock.now_s,
            sleep=self.clock.sleep,
        )
        self.calls: list[str] = []
        self.state = PowerState.ON if on else PowerState.OFF
        self.override = BootOverride("none")
        self.powered_s: float | None = None
        self.seen = 0
        self.passers_by: list[Holder] = []
        self.place = FakePlace(self, has_override=has_override)
        self.fails = dict(fails or {})
        self.fails_once = fails_once
        self.held_up_s: Callable[[], float] = lambda: 0.0
        self.on_serve: Callable[[ServeSpec], None] = lambda _spec: None
        self._tied = tied

    def call(self, name: str) -> None:
        """Note a call; raise where the test wants it to fail."""
        self.calls.append(name)
        if name in self.fails:
            raise self.fails.pop(name) if name in self.fails_once else self.fails[name]

    def event(self, source: Any, kind: str, text: str = "", **data: Any) -> Event:
        return Event(source, kind, text, data, self.clock.now_s())

    def due(self, kind: type[Said] | type[Seen], done: int) -> list[Any]:
        """Return what of one kind is due and was not taken yet."""
        if self.powered_s is None:
            return []
        age_s = self.clock.now_s() - self.powered_s
        if kind is Said:  # on a busy machine, too, nothing is said before what the servers saw earlier
            unseen = [item.at_s for item in self.script if isinstance(item, Seen)][self.seen :]
            age_s = min(age_s, *unseen) if unseen else age_s
        return [item for item in self.script if type(item) is kind and item.at_s <= age_s][done:]

    def reach(self, emit: Emit) -> FakePlace:
        self.call("reach")
        emit(self.event("twin", "twin.up", "started", tied=self._tied))
        return self.place

    def part(self) -> None:
        self.call("part")

    def notices(self) -> Iterator[Holder]:
        while self.passers_by:
            yield self.passers_by.pop()


class FakePlace:
    def __init__(self, bench: Bench, *, has_override: bool) -> None:
        self._bench = bench
        self._has_override = has_override

    def exists(self) -> bool:
        return True

    def held_up_s(self) -> float:
        return self._bench.held_up_s()

    def drivers(self, emit: Emit) -> Drivers:
        override = FakeOverride(self._bench, emit) if self._has_override else None
        log = FakeLog(self._bench)
        return Drivers(FakePower(self._bench), override, FakeIdentified(self._bench), log=log)

    def console(self, emit: Emit, *, steal: bool) -> FakeConsole:
        return FakeConsole(self._bench, emit)

    def second_console(self, emit: Emit) -> FakeConsole:
        return FakeConsole(self._bench, emit, SaidElsewhere)

    def serve_ahead(self, segment: Segment) -> FakeAhead:
        self._bench.call("serve ahead")
        return FakeAhead(self._bench)

    @contextmanager
    def serve(self, segment: Segment, make_spec: MakeSpec, emit: Emit) -> Iterator[None]:
        bench = self._bench
        bench.on_serve(make_spec(segment))
        bench.call("serve")
        stop = threading.Event()

        def tell() -> None:
            while not stop.wait(0.002):
                for item in bench.due(Seen, bench.seen):
                    emit(bench.event(item.kind.split(".")[0], item.kind, item.text, **item.data))
                    bench.seen += 1

        thread = threading.Thread(target=tell)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            bench.call("stop serving")


class FakeAhead:
    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._open = True

    def wait(self) -> None:
        return

    def close(self) -> None:
        if self._open:
            self._bench.call("let go of serving")
        self._open = False


class FakePower:
    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def describe(self) -> str:
        return "the fake"

    def state(self) -> PowerState:
        bench = self._bench
        age_s = None if bench.powered_s is None else bench.clock.now_s() - bench.powered_s
        if age_s is not None and bench.silent[0] < age_s < bench.silent[1]:
            bench.override = BootOverride("none")
            raise BmcTimeoutError("the fake says nothing")
        return bench.state

    def on(self) -> None:
        self._bench.call("on")
        self._bench.state = PowerState.ON
        self._bench.powered_s = self._bench.clock.now_s()

    def off(self) -> None:
        self._bench.call("off")
        self._bench.state = PowerState.OFF
        self._bench.powered_s = None

    def reset(self) -> None:
        self._bench.call("reset")

    def soft(self) -> None:
        self._bench.call("soft")

    def trouble(self) -> str | None:
        return None

    def close(self) -> None:
        self._bench.call("close power")


class FakeIdentified:
    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def identity(self) -> str | None:
        if isinstance(self._bench.identity, BringupError):
            raise self._bench.identity
        return self._bench.identity


class FakeLog:
    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def mark(self) -> None:
        self._bench.call("mark log")

    def since_mark(self) -> tuple[Logged, ...] | None:
        self._bench.call("read log")
        return self._bench.logged


class FakeOverride:
    def __init__(self, bench: Bench, emit: Emit) -> None:
        self._bench = bench
        self._emit = emit

    def describe(self) -> str:
        return "the fake"

    def set(self, override: BootOverride) -> bool:
        self._bench.override = override
        self._bench.call(f"override {override.device}")
        self._emit(self._bench.event("power", "override.read", str(override), device=override.device))
        return self._bench.certain

    def clear(self) -> None:
        self.set(BootOverride("none"))

    def read(self) -> BootOverride:
        self._bench.call("read override")
        return self._bench.override


class FakeConsole:
    """Says what the script says; what is typed is kept in the bench's calls."""

    def __init__(self, bench: Bench, emit: Emit, kind: type[Said] = Said) -> None:
        self._bench = bench
        self._emit = emit
        self._kind = kind
        self._said = 0
        self._answer = b""
        self.name = "console" if kind is Said else "second port"
        self.alive_s = 0.0

    def describe(self) -> str:
        return "a fake console"

    def open(self, timeout_s: float) -> None:
        self._bench.call(f"open {self.name}")

    def read(self, timeout_s: float) -> bytes:
        if self._answer:
            answer, self._answer = self._answer, b""
            return answer
        if self._bench.before and self._kind is Said:
            before, self._bench.before = self._bench.before, ""
            return before.encode()
        for item in self._bench.due(self._kind, self._said):
            self._said += 1
            if item.text == "GAP":
                self._emit(self._bench.event("console", "console.gap", "2.0 s lost", seconds=2.0))
            elif item.text == "LOST":
                from bringup.base.errors import ConsoleLostError

                raise ConsoleLostError("the fake console is lost")
            elif item.text == "CRASH":
                raise RuntimeError("a bug")
            elif item.text == "FAULT":
                raise BringupError("a fault of the tool")
            else:
                return str(item.text).encode()
        self._bench.clock.sleep(timeout_s)
        return b""

    def write(self, data: bytes) -> None:
        self._bench.call(f"typed {data!r}")
        self._answer = self._bench.answer.encode()

    def send_break(self) -> None:
        self._bench.call("break")

    def close(self) -> None:
        self._bench.call(f"close {self.name}")
