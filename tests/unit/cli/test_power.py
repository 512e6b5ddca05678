"""`bringup power` as a person types it, with a relay that is a script and with a person at a terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.lab.test_inventory import MACS
from tests.unit.lab.test_power_table import own_serial
from tests.unit.power.drivers.test_command import POWER, RELAY

pytestmark = pytest.mark.usefixtures("home")


def lab_with(folder: Path, power: str) -> list[str]:
    """Write the lab file and the relay; return the beginning of a command line."""
    (folder / "lab.toml").write_text(own_serial(folder) + power)
    (folder / "relay").write_text(RELAY)
    (folder / "relay").chmod(0o755)
    (folder / "outlet-3").write_text("off\n")
    return [sys.executable, "-m", "bringup", "--lab", str(folder / "lab.toml"), "power", "e300-1"]


def run(words: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_relay_is_switched_by_its_commands(tmp_path: Path) -> None:
    bringup = lab_with(tmp_path, POWER % "")
    assert run(bringup).stdout == "○ e300-1 is off  (the command ./relay)\n"
    done = run([*bringup, "on", "--json"])
    assert (done.returncode, done.stderr) == (0, "")
    body = json.loads(done.stdout)
    assert body.pop("seconds") >= 0
    assert body == {"board": "e300-1", "action": "on", "before": "off", "state": "on", "changed": True}
    assert (tmp_path / "outlet-3").read_text() == "on\n"


def test_what_it_cannot_do_is_the_lab_s_fault_and_says_what_to_do(tmp_path: Path) -> None:
    bringup = lab_with(tmp_path, POWER % "")
    (tmp_path / "outlet-3").write_text("on\n")
    done = run([*bringup, "reset"])
    assert done.returncode == 10
    assert "the command ./relay has no reset" in done.stderr
    assert "bringup power BOARD cycle" in done.stderr


def test_a_driver_nobody_knows_is_told_with_its_line(tmp_path: Path) -> None:
    done = run(lab_with(tmp_path, 'power = "comand"\n'))
    assert done.returncode == 12
    assert 'lab.toml:5: there is no power driver "comand"; did you mean command?' in done.stderr


def test_without_a_terminal_nobody_is_asked_and_nothing_hangs(tmp_path: Path) -> None:
    done = run([*lab_with(tmp_path, 'power = "manual"\n'), "on"])
    assert done.returncode == 10
    assert "nobody can be asked, because standard input is no terminal: Is e300-1 on or off?" in done.stderr


def test_a_person_is_asked_and_their_word_is_the_state(tmp_path: Path) -> None:
    keyboard, terminal = pty.openpty()
    process = subprocess.Popen(
        [*lab_with(tmp_path, 'power = "manual"\n'), "off", "--json"],
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(terminal)
    assert process.stderr is not None
    asked = []
    for question, answer in (("Is e300-1 on or off?", "on\n"), ("Switch e300-1 off", "\n")):
        asked.append(process.stderr.readline())
        assert question in asked[-1]
        os.write(keyboard, answer.encode())
    out, _ = process.communicate(timeout=60)
    os.close(keyboard)
    assert process.returncode == 0
    assert (json.loads(out)["before"], json.loads(out)["state"]) == ("on", "off")
    assert "(at most 10 min)" in asked[0]


def test_of_several_boards_as_many_are_asked_at_a_time_as_somebody_says(tmp_path: Path) -> None:
    bringup = lab_with(tmp_path, POWER % "")[:-1]
    (tmp_path / "relay").write_text(
        '#!/bin/sh\necho begin >> "$(dirname "$0")/calls"\nsleep 0.1\n'
        'echo end >> "$(dirname "$0")/calls"\necho outlet is on\n'
    )
    board = (
        own_serial(tmp_path).replace(MACS, 'macs = ["52:54:00:00:00:0N"]\n').replace("e300-1", "bN")
        + POWER % ""
    )
    (tmp_path / "lab.toml").write_text("".join(board.replace("N", str(number)) for number in range(3)))
    done = run([*bringup, "b*", "status", "--jobs", "1", "--json"])
    assert [each["state"] for each in json.loads(done.stdout)["boards"]] == ["on"] * 3, done.stderr
    calls = (tmp_path / "calls").read_text().split()
    assert calls == ["begin", "end"] * (len(calls) // 2)
    assert len(calls) >= 12
