"""Power by command lines: a relay of the test's own, which is a shell script and a file."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.errors import (
    BmcTimeoutError,
    LabError,
    MissingProgramError,
    NotOfferedError,
    ProfileError,
    UnclearStateError,
)
from bringup.base.events import Event
from bringup.lab.inventory import Board
from bringup.power.actions import Pace, confirmed_state, cycle, ensure_off, ensure_on, reset
from bringup.power.base import Power, PowerState
from bringup.power.drivers.command import Commands, state_in
from bringup.power.open import open_drivers
from tests.unit.lab.test_inventory import BOARD, lab_of
from tests.unit.power.test_actions import Clock

pytestmark = pytest.mark.usefixtures("home")

ON, OFF, UNKNOWN = PowerState.ON, PowerState.OFF, PowerState.UNKNOWN
PACE = Pace(poll_s=0.01, off_pause_s=0.01, confirm_timeout_s=1.0, change_timeout_s=2.0)

# `relay on|off|status OUTLET`, with one file per outlet and one for all calls.
RELAY = """#!/bin/sh
here=$(dirname "$0")
echo "$*" >> "$here/calls"
case $1 in
  status) echo "outlet $2 is $(cat "$here/outlet-$2")" ;;
  on|off) echo "$1" > "$here/outlet-$2" ;;
  *) echo "relay: what is $1?" >&2; exit 3 ;;
esac
"""
POWER = 'power = { on = "./relay on 3", off = ["./relay", "off", "3"], status = "./relay status 3"%s }\n'


@pytest.fixture
def relay(tmp_path: Path) -> Path:
    program = tmp_path / "relay"
    program.write_text(RELAY)
    program.chmod(0o755)
    (tmp_path / "outlet-3").write_text("off\n")
    return tmp_path


def board_of(folder: Path, more: str = "", power: str = POWER) -> Board:
    return lab_of(folder, BOARD + (power % more if "%s" in power else power)).board("e300-1")


def power_of(folder: Path, more: str = "") -> Power:
    return open_drivers(board_of(folder, more)).power


def ignore(_event: Event) -> None:
    return


def test_it_switches_and_confirms_from_any_folder(relay: Path, in_folder: Path) -> None:
    power = power_of(relay)
    assert power.describe() == "the command ./relay"
    assert confirmed_state(power, PACE) is OFF
    assert ensure_on(power, ignore, PACE).after is ON
    assert str(ensure_on(power, ignore, PACE)) == "already on"
    assert cycle(power, ignore, PACE).changed
    assert ensure_off(power, ignore, PACE).after is OFF
    switched = [call for call in (relay / "calls").read_text().splitlines() if "status" not in call]
    assert switched == ["on 3", "off 3", "on 3", "off 3"]


def test_there_is_no_boot_override(relay: Path) -> None:
    assert open_drivers(board_of(relay)).override is None


def test_a_command_that_fails_says_what_it_said(relay: Path) -> None:
    power = power_of(relay, ', reset = "./relay restart 3"')
    with pytest.raises(LabError) as caught:
        power.reset()
    assert caught.value.message == (
        "the command ./relay (power reset) ended with status 3: 'relay: what is restart?'"
    )


def test_a_status_that_fails_is_no_state(relay: Path) -> None:
    (relay / "relay").write_text('#!/bin/sh\necho "is it on or off?"; exit 1\n')
    with pytest.raises(LabError, match="ended with status 1"):
        confirmed_state(power_of(relay), PACE)


def test_a_status_that_stays_unclear_is_quoted_and_soon_given_up(relay: Path) -> None:
    (relay / "outlet-3").write_text("switching\n")
    clock = Clock()
    began_s = clock.now_s
    with pytest.raises(LabError, match=r"neither on nor off, or both: 'outlet 3 is switching'") as caught:
        ensure_on(power_of(relay), ignore, clock.pace())
    assert clock.now_s - began_s < 5
    assert "on_if" in str(caught.value.hint)
    assert "on 3" not in (relay / "calls").read_text().splitlines()


def test_a_status_that_changes_or_was_understood_before_is_waited_for(relay: Path) -> None:
    power = power_of(relay)
    for number in range(20):
        (relay / "outlet-3").write_text(f"switching {number}\n")
        with pytest.raises(UnclearStateError):
            power.state()
    (relay / "outlet-3").write_text("off\n")
    assert power.state() is OFF
    (relay / "outlet-3").write_text("switching\n")
    for _ in range(20):
        with pytest.raises(UnclearStateError):
            power.state()


def test_a_status_that_is_unclear_for_a_moment_is_waited_for(relay: Path) -> None:
    (relay / "relay").write_text(
        RELAY.replace("status)", 'status) if [ ! -e "$here/asked" ]; then touch "$here/asked"; exit 0; fi;')
    )
    assert confirmed_state(power_of(relay), PACE) is OFF


def test_a_command_that_hangs_ends_with_all_its_children(relay: Path) -> None:
    (relay / "relay").write_text('#!/bin/sh\nsleep 4711.5 & sleep 4711.5; touch "$(dirname "$0")/late"\n')
    began = time.monotonic()
    with pytest.raises(BmcTimeoutError, match=r"\(power on\) did not end within 0.3 s"):
        power_of(relay, ", timeout_s = 0.3").on()
    assert time.monotonic() - began < 60
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "sleep 4711.5" not in listed.splitlines()


def test_without_reset_a_reset_is_refused_and_nothing_is_switched(relay: Path) -> None:
    (relay / "outlet-3").write_text("on\n")
    with pytest.raises(NotOfferedError, match=r"the command \./relay has no reset") as caught:
        reset(power_of(relay), ignore, PACE)
    assert "cycle" in str(caught.value.hint)
    assert (relay / "outlet-3").read_text() == "on\n"


def test_no_shell_looks_at_the_words(relay: Path) -> None:
    power = POWER.replace("on 3", "on 3 $(touch x) ; touch y") % ""
    open_drivers(board_of(relay, power=power)).power.on()
    assert (relay / "calls").read_text() == "on 3 $(touch x) ; touch y\n"
    assert not {"x", "y"} & {path.name for path in relay.iterdir()}


def test_a_program_that_is_not_here_is_told_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(MissingProgramError, match=r"lab\.toml:5: the program ./relay, which switches e300-1"):
        power_of(tmp_path)


@pytest.mark.parametrize(
    ("power", "sentence"),
    [
        ('power = { on = "a", off = "b" }\n', ":5: [boards.e300-1.power] has no `status`"),
        ('power = "command"\n', ":5: [boards.e300-1.power] has no `on`"),
        (POWER % ', on_if = "1"', "`on_if` and `off_if` go together"),
        (POWER % ', on_if = "(", off_if = "0"', "expected a regular expression: "),
        (POWER % ", timeout_s = 0.0", "timeout_s` is 0.0: expected more than 0"),
        (
            POWER.replace('"./relay on 3"', '"relay \'on"') % "",
            "this is no command line: no closing quotation",
        ),
        (POWER.replace('"./relay on 3"', '""') % "", "expected a command line, such as"),
        (POWER.replace('"./relay on 3"', "[1]") % "", "expected a command line, such as"),
        (POWER % ', boot = "x"', "unknown key `boot` in [boards.e300-1.power]"),
    ],
)
def test_mistakes_are_told_with_their_place(relay: Path, power: str, sentence: str) -> None:
    with pytest.raises(ProfileError) as caught:
        open_drivers(board_of(relay, power=power))
    assert sentence in f"{caught.value.message} {caught.value.hint}"
    assert "lab.toml:5" in caught.value.message


def commands(**more: str) -> Commands:
    return Commands.model_validate({"on": "a", "off": "b", "status": "c", **more})


@pytest.mark.parametrize(
    ("output", "state"),
    [
        ("Chassis Power is on", ON),
        ("power: OFF\n", OFF),
        ("", UNKNOWN),
        ("online", UNKNOWN),
        ("turned off, not on", UNKNOWN),
        ("iso.3.6.1 = INTEGER: 1", UNKNOWN),
    ],
)
def test_words_of_a_status(output: str, state: PowerState) -> None:
    assert state_in(output, commands()) is state


@pytest.mark.parametrize(("number", "state"), [(1, ON), (2, OFF), (12, UNKNOWN), (3, UNKNOWN)])
def test_words_of_its_own(number: int, state: PowerState) -> None:
    own = commands(on_if=r"INTEGER: 1\b", off_if=r"INTEGER: 2\b")
    assert state_in(f"PowerNet-MIB::sPDUOutletCtl.3 = INTEGER: {number}\n", own) is state


@given(st.text())
def test_a_state_is_never_read_from_a_text_that_names_neither(text: str) -> None:
    state = state_in(text, commands())
    assert state is UNKNOWN or str(state) in text.lower()
