"""Talks to several VMs over one console: turns the keyboard, logs in, asks until an answer is whole.

What went wrong is told apart: a VM that gives no sign of life, a command that does not end, a keyboard that
was turned to another VM, an answer that never came whole. None of them ever becomes a number.
"""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from bringup.base.errors import NotObservedError, VmDeadError
from bringup.transcript.streams import Writer
from bringup.verify.vms.protocol import (
    INTERRUPT,
    Answer,
    Refused,
    Reply,
    command_lines,
    is_switched,
    marker_line,
    print_line,
    read_answer,
    setup_lines,
    switch_keys,
    without_server,
)
from bringup.verify.vms.texts import Place, Texts

_LOGIN = re.compile(r"login: *\Z")
_PASSWORD = re.compile(r"[Pp]assword: *\Z")
_READ_S = 0.1
_SHOWN = 160
T = TypeVar("T")


class Wire(Protocol):
    """A console as bytes, and the clock that its waits go by."""

    def now_s(self) -> float:
        """Return the seconds of a clock that only goes forward."""
        ...

    def read(self, timeout_s: float) -> bytes:
        """Return what came; b"" when nothing did within `timeout_s`."""
        ...

    def write(self, data: bytes) -> None:
        """Send bytes."""
        ...

    def rest(self, seconds: float) -> None:
        """Let time pass before more is sent."""
        ...


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast is typed: `chunk` characters, then `pause_s`.

    The guest's emulated UART holds 16 characters and the SerialServer drops what finds no room (camkes-vm
    components/Init/src/serial.c): nothing holds a sender back.
    """

    chunk: int = 8
    pause_s: float = 0.02


PACES = (Pace(), Pace(1, 0.02), Pace(1, 0.1))
"""From the usual pace to that of a console which loses much."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds for an answer, a turn of the keyboard, a login, and a silence that ends a text.

    `tries` is how often a VM without a sign of life is called, `asks` how often what came broken is asked
    for. Text without a line end is flushed by a heartbeat of 500 ms, so a prompt may be a second late.
    """

    answer_s: float = 10.0
    switch_s: float = 3.0
    login_s: float = 20.0
    quiet_s: float = 1.2
    tries: int = 3
    asks: int = 6


class Vms:
    """The VMs behind one console; numbers are those of the SerialServer's input."""

    def __init__(self, wire: Wire, patience: Patience | None = None, session: str = "") -> None:
        self._wire = wire
        self._patience = patience or Patience()
        self._texts = Texts()
        self._begin = self._texts.place()
        self._active: int | None = None
        self._writers: dict[int, Writer] = {}
        self._dead: dict[int, str] = {}
        self._pace = 0
        self._elsewhere = ""
        # What an earlier session left on the console answers to other names.
        name = session or secrets.token_hex(1)
        self._idents = (f"{name}{number:x}" for number in itertools.count(1))

    def log_in(self, vm: int, user: str = "root") -> str:
        """Log in where nobody is, and learn the VM's colour; returns the line that asked for a login.

        Raises VmDeadError saying what came instead; asked again about a dead VM it says the same at once.
        """
        if vm in self._dead:
            raise VmDeadError(self._dead[vm])
        try:
            return self._logged_in(vm, user)
        except VmDeadError as error:
            self._dead[vm] = error.message
            raise

    def run(self, vm: int, command: str, timeout_s: float = 0.0) -> Answer:
        """Run a command, which may take `timeout_s` longer than an answer does, and return its whole answer.

        Raises VmDeadError where nobody answers any more, NotObservedError where no answer came whole. A
        command is run again only where it did not run.
        """
        if vm not in self._writers:
            self.log_in(vm)
        if vm in self._dead:
            raise VmDeadError(self._dead[vm])
        why = ""
        for _ in range(self._patience.asks):
            ident = next(self._idents)
            if not self._turn_to(vm):
                why = f"the keyboard could not be turned to vm{vm}"
                continue
            place = self._texts.place()
            self._type(command_lines(vm, ident, command))
            limit_s = self._patience.answer_s + timeout_s
            got = self._await_answer(vm, place, ident, limit_s)
            if got is None:
                got, why = self._roused(vm, place, ident)
            if isinstance(got, Refused) and not got.command:
                got = self._printed_again(vm, place, ident) or got
            if isinstance(got, Answer):
                return got
            if isinstance(got, Refused):
                why = "what was typed came broken" if got.command else "its answer never came whole"
                self._pace = min(self._pace + 1, len(PACES) - 1)
        place = self._texts.place()
        if not self._lives(vm) and not self._texts.since(place, self._writers[vm]):
            self._dead[vm] = f"vm{vm} gives no sign of life any more"
            raise VmDeadError(self._dead[vm])
        raise NotObservedError(f"not observed in vm{vm}: {why} (asked {self._patience.asks} times)")

    @property
    def told(self) -> str:
        """What all said since this console was opened, the last of it."""
        return self._texts.all_since(self._begin)

    # Turning the keyboard.

    def _turn_to(self, vm: int) -> bool:
        if self._active == vm:
            return True
        for attempt in range(self._patience.tries):
            place = self._texts.place()
            self._active = None
            self._wire.write(switch_keys(vm, again=attempt > 0))
            if self._wait(partial(self._is_turned, vm, place), self._patience.switch_s):
                self._active = vm
                return True
        return False

    def _is_turned(self, vm: int, place: Place) -> bool:
        return is_switched(self._texts.all_since(place), vm)

    # Logging in.

    def _logged_in(self, vm: int, user: str) -> str:
        # VMs that still boot say much; what follows is told from it by being asked for.
        self._settle(self._patience.login_s, silent_s=2 * self._patience.quiet_s)
        place = self._texts.place()
        if not self._turn_to(vm):
            if self._texts.all_since(place):
                raise NotObservedError(
                    f"the keyboard could not be turned to vm{vm}: what comes back is broken"
                )
            raise VmDeadError(f"the keyboard cannot be turned to vm{vm}: nothing answers @{vm}")
        asked = ""
        idents: list[str] = []
        for _ in range(self._patience.tries):
            asked = self._past_login(vm, user) or asked
            idents.append(next(self._idents))
            if self._learn(vm, idents[-1]) and self._set_up(vm):
                return asked
            self._interrupt(vm)
        heard = "\n".join(self._said(vm, place).values())
        echoed = vm in self._writers or any(ident in heard for ident in idents)
        if not echoed and not self._elsewhere:
            raise VmDeadError(f"vm{vm} gives no sign of life: nothing came after Enter, ^C and @{vm}")
        last = " ".join(heard.split())[-_SHOWN:]
        if vm not in self._writers and marker_line(idents[-1]) in heard:
            raise VmDeadError(f"vm{vm} echoes and runs nothing; its last words: {last}")
        raise NotObservedError(f"vm{vm} was not reached{self._elsewhere}; what came last: {last}")

    def _past_login(self, vm: int, user: str) -> str:
        """Press Enter and say who we are, where that is asked; returns the line that asked."""
        place = self._texts.place()
        self._wire.write(b"\r")
        self._settle(self._patience.answer_s / 2)
        tails = [text for text in self._said(vm, place).values() if _LOGIN.search(text)]
        if not tails:
            return ""
        place = self._texts.place()
        self._type([user])
        self._settle(self._patience.login_s)
        if any(_PASSWORD.search(text) for text in self._said(vm, place).values()):
            self._interrupt(vm)
            raise VmDeadError(f"vm{vm} asks {user} for a password: give its {user} an empty one")
        return tails[0].rstrip().rpartition("\n")[2].strip()

    def _said(self, vm: int, place: Place) -> dict[Writer, str]:
        """Return what this VM may have said: its own text, or that of those who are nobody's yet."""
        if vm in self._writers:
            return {self._writers[vm]: self._texts.since(place, self._writers[vm])}
        known = set(self._writers.values())
        heard = {who: without_server(text) for who, text in self._texts.heard_since(place).items()}
        return {who: text for who, text in heard.items() if text and who not in known}

    def _learn(self, vm: int, ident: str) -> bool:
        """Let the shell print a marker, and take the colour that it comes in for the VM's."""
        place = self._texts.place()
        wanted = f"~{ident} here"
        self._type(["stty -echo cols 200 2>/dev/null", marker_line(ident)])

        def found() -> Writer | None:
            heard = self._texts.heard_since(place)
            return next((who for who, text in heard.items() if wanted in text), None)

        writer = self._wait(found, self._patience.answer_s)
        if writer is None:
            return False
        other = next((n for n, known in self._writers.items() if n != vm and known == writer), None)
        if other is not None:
            # A colour that lost a character is another one: only what comes again is true.
            self._elsewhere = f"; its keyboard leads to vm{other}"
            return False
        self._elsewhere = ""
        self._writers[vm] = writer
        return True

    def _set_up(self, vm: int) -> bool:
        for _ in range(self._patience.asks):
            lines, ready, bad = setup_lines(vm, next(self._idents))
            place = self._texts.place()
            self._type(["dmesg -n 1 2>/dev/null;PS1=;set +o emacs 2>/dev/null", *lines])
            told = self._wait(partial(self._said_first, vm, place, ready, bad), self._patience.answer_s)
            if told == ready:
                return True
            self._pace = min(self._pace + 1, len(PACES) - 1)
            if told is None:
                self._interrupt(vm)
        return False

    def _said_first(self, vm: int, place: Place, *words: str) -> str | None:
        """Return the first of these words that a VM has said since then."""
        text = self._texts.since(place, self._writers[vm])
        return next((word for word in words if word in text), None)

    # Asking.

    def _await_answer(self, vm: int, place: Place, ident: str, timeout_s: float) -> Reply | None:
        return self._wait(partial(self._answered, vm, place, ident), timeout_s)

    def _answered(self, vm: int, place: Place, ident: str) -> Reply | None:
        return read_answer(self._texts.since(place, self._writers[vm]), ident)

    def _printed_again(self, vm: int, place: Place, ident: str) -> Answer | None:
        for _ in range(self._patience.asks):
            place = self._texts.place()
            self._type([print_line(ident)])
            got = self._await_answer(vm, place, ident, self._patience.answer_s)
            if isinstance(got, Answer):
                return got
            if got is None:
                self._interrupt(vm)
        return None

    def _roused(self, vm: int, place: Place, ident: str) -> tuple[Reply | None, str]:
        """Interrupt what runs; return the answer that is there all the same, and why there was none."""
        strayed = self._in_another_colour(vm, place, ident)
        self._interrupt(vm)
        if strayed is not None:
            self._active = None
            return None, f"what was typed went to vm{strayed}"
        if not self._lives(vm):
            return None, "nothing came back"
        place = self._texts.place()
        self._type([print_line(ident)])
        got = self._await_answer(vm, place, ident, self._patience.answer_s)
        if isinstance(got, Answer):
            return got, ""
        return None, "the command did not end in time, or did not arrive"

    def _in_another_colour(self, vm: int, place: Place, ident: str) -> int | None:
        others = ((n, who) for n, who in self._writers.items() if n != vm)
        return next((n for n, who in others if f"~{ident} " in self._texts.since(place, who)), None)

    def _lives(self, vm: int) -> bool:
        """Whether the VM's shell prints a marker, after the keyboard was turned to it once more."""
        for _ in range(self._patience.tries):
            self._active = None
            if not self._turn_to(vm):
                continue
            ident = next(self._idents)
            place = self._texts.place()
            self._type(["", marker_line(ident)])
            if self._wait(partial(self._said_first, vm, place, f"~{ident} here"), self._patience.answer_s):
                return True
            self._interrupt(vm)
        return False

    def _interrupt(self, vm: int) -> None:
        """^C to what runs in a VM, and an empty line; the keyboard is turned anew for what comes next."""
        if self._turn_to(vm):
            self._wire.write(INTERRUPT + b"\r")
            self._settle(self._patience.quiet_s)
        self._active = None

    # Time, reading, typing.

    def _type(self, lines: Sequence[str]) -> None:
        pace = PACES[self._pace]
        for line in lines:
            data = line.encode("ascii") + b"\r"
            for at in range(0, len(data), pace.chunk):
                self._wire.write(data[at : at + pace.chunk])
                self._wire.rest(pace.pause_s)

    def _settle(self, timeout_s: float, *, silent_s: float | None = None) -> None:
        """Read until something came and nothing more does, at most `timeout_s`.

        `silent_s` is how long to wait where nothing comes at all; None for all of it.
        """
        start_s = quiet_from_s = self._wire.now_s()
        heard = False
        while self._wire.now_s() - start_s < (timeout_s if heard or silent_s is None else silent_s):
            data = self._wire.read(_READ_S)
            self._texts.receive(data)
            if data:
                heard, quiet_from_s = True, self._wire.now_s()
            elif heard and self._wire.now_s() - quiet_from_s >= self._patience.quiet_s:
                return

    def _wait(self, found: Callable[[], T], timeout_s: float) -> T | None:
        """Read until something is found; None where it is not within `timeout_s`."""
        deadline_s = self._wire.now_s() + timeout_s
        while True:
            got = found()
            if got:
                return got
            if self._wire.now_s() >= deadline_s:
                return None
            self._texts.receive(self._wire.read(_READ_S))
