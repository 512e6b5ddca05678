"""Talking to three VMs over one console that is played: real shells, colours, flushes, losses, `@N`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bringup.base.errors import NotObservedError, VmDeadError
from bringup.verify.vms.talk import Vms
from tests.doubles.vm_wire import PlayedWire

Make = Callable[..., PlayedWire]


@pytest.fixture
def wire() -> Iterator[Make]:
    made: list[PlayedWire] = []

    def make(case: str = "right", seed: int = 1) -> PlayedWire:
        made.append(PlayedWire(case, seed))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_three_vms_are_logged_in_to_and_asked_by_turns(wire: Make) -> None:
    line = wire()
    vms = Vms(line)
    assert [vms.log_in(number) for number in range(3)] == ["buildroot login:"] * 3
    irqs = [vms.run(number, "cd /proc;grep -c eth1 interrupts").lines for number in (0, 1, 2, 1, 0)]
    assert irqs == [("1",), ("0",), ("1",), ("0",), ("1",)]
    assert vms.run(0, "exit 3").code == 3
    assert vms.run(2, 'echo "it\'s"').text == "it's"
    assert b"@0" in line.typed and b"@2" in line.typed


def test_pasting_would_overrun_the_port(wire: Make) -> None:
    line = wire()
    for key in (b"\r", b"root\r", b"echo a long line is longer than the port\r"):
        line.write(key)
        line.rest(1.5)
    assert b"echo a long line is longer" not in line.log
    assert b"echo a long line" in line.log


def test_a_dead_vm_is_named_and_the_others_are_asked(wire: Make) -> None:
    line = wire("dead")
    vms = Vms(line)
    with pytest.raises(VmDeadError, match=r"^vm1 gives no sign of life"):
        vms.log_in(1)
    assert vms.run(2, "echo here").text == "here"
    before_s = line.now_s()
    with pytest.raises(VmDeadError, match=r"^vm1 gives no sign of life"):
        vms.run(1, "echo here")
    assert line.now_s() == before_s, "a dead VM is waited for once"


def test_a_vm_that_echoes_and_runs_nothing_is_told_from_a_dead_one(wire: Make) -> None:
    with pytest.raises(VmDeadError, match=r"^vm1 echoes and runs nothing; its last words: .*login:"):
        Vms(wire("hangs")).log_in(1)


@pytest.mark.parametrize("seed", [1, 4, 5, 6])
def test_on_a_line_that_loses_characters_numbers_are_right_or_none(wire: Make, seed: int) -> None:
    vms = Vms(wire("lossy", seed), session="5a")
    right = 0
    for number in (0, 2, 1):
        try:
            told = vms.run(number, "cd /proc;grep timer interrupts").text
        except NotObservedError:
            continue
        assert told == "  0:      48211    XT-PIC      timer"
        right += 1
    assert right >= 2


def test_a_line_that_loses_much_makes_nobody_dead(wire: Make) -> None:
    vms = Vms(wire("unreadable"), session="5a")
    for number in range(3):
        with pytest.raises(NotObservedError, match="broken"):
            vms.run(number, "id")


def test_a_command_that_does_not_end_is_said_and_the_vm_is_asked_on(wire: Make) -> None:
    class Deaf(PlayedWire):
        """Loses every line that would run a command."""

        line = b""

        def write(self, data: bytes) -> None:
            for key in data:
                self.line += bytes([key])
                if key == ord("\r") or self.line.endswith((b"@0", b"\x03")):
                    line, self.line = self.line, b""
                    for at in range(0, 0 if line.startswith(b"_q") else len(line), 8):
                        super().write(line[at : at + 8])
                        self.rest(0.02)

    line = Deaf("right")
    try:
        vms = Vms(line)
        vms.log_in(0)
        with pytest.raises(NotObservedError, match="not observed in vm0: the command did not end in time"):
            vms.run(0, "true")
    finally:
        line.close()


def test_a_silent_line_is_no_server(wire: Make) -> None:
    class Cut(PlayedWire):
        def write(self, data: bytes) -> None:
            self.typed += data

    line = Cut("right")
    try:
        line.read(1.0)
        vms = Vms(line)
        line.read(0.1)
        with pytest.raises(VmDeadError, match="nothing answers @2"):
            vms.log_in(2)
    finally:
        line.close()


def test_a_keyboard_that_leads_elsewhere_is_noticed(wire: Make) -> None:
    class Crossed(PlayedWire):
        """A server that says 1 and means 0."""

        turned = b"input to 0"

        def write(self, data: bytes) -> None:
            if b"@" in data:
                self.turned = b"input to " + data[-1:]
            super().write(data.replace(b"@1", b"@0"))

        def read(self, timeout_s: float) -> bytes:
            return super().read(timeout_s).replace(b"input to 0", self.turned)

    line = Crossed("right")
    try:
        vms = Vms(line)
        vms.log_in(0)
        with pytest.raises(NotObservedError, match="vm1 was not reached; its keyboard leads to vm0"):
            vms.run(1, "halt")
    finally:
        line.close()
