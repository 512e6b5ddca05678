"""Power by other hands than a BMC client's: ipmitool as command lines, and a person, both on the twin."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.twin.helpers import PATIENCE_S, Cli

pytestmark = pytest.mark.slow

TWIN = "[boards.e300]\ntwin = true\n"


def lab_with(folder: Path, power: str) -> list[str]:
    """Write a lab file apart from where commands run; return the words that name it."""
    folder.mkdir()
    (folder / "lab.toml").write_text(TWIN + power)
    return ["--lab", str(folder / "lab.toml")]


def test_command_lines_switch_and_are_believed_only_when_status_says_so(cli: Cli, tmp_path: Path) -> None:
    bmc = cli("twin", "up", "--json").json["bmc"]
    where = f"-H {bmc['address']} -p {bmc['port']} -U {bmc['user']} -f {bmc['password_file']}"
    words = f"ipmitool -I lanplus {where}"
    lab = lab_with(
        tmp_path / "commands",
        f'power = {{ on = "{words} chassis power on", off = "{words} chassis power off", '
        f'status = "{words} chassis power status", reset = "{words} chassis power reset" }}\n',
    )
    assert cli(*lab, "power", "e300").out == "○ e300 is off  (the command ipmitool)\n"
    for action, before, after in (("on", "off", "on"), ("reset", "on", "on"), ("off", "on", "off")):
        told = cli(*lab, "power", "e300", action, "--json").json
        assert (told["before"], told["state"], told["changed"]) == (before, after, True)
        assert cli("power", "e300", "--json").json["state"] == after
    cli(*lab, "power", "e300", "on")
    assert "cannot ask the operating system" in cli(*lab, "power", "e300", "soft").err


def test_a_board_switched_by_hand_boots_and_its_console_answers_for_the_person(
    cli: Cli, tmp_path: Path
) -> None:
    lab = lab_with(tmp_path / "by-hand", 'power = "manual"\n')
    keyboard, terminal = pty.openpty()
    boot = subprocess.Popen(
        [sys.executable, "-m", "bringup", *lab, "boot", "e300", "--json"],
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cli.folder,
        env=cli.environment,
    )
    os.close(terminal)
    assert boot.stderr is not None
    try:
        assert any("Is e300 on or off?" in line for line in iter(boot.stderr.readline, ""))
        os.write(keyboard, b"off\n")
        assert any(
            "Switch e300 on; then press Enter, or wait" in line for line in iter(boot.stderr.readline, "")
        )
        # The hands of the person; nobody presses Enter.
        assert cli("power", "e300", "on", "--force").code == 0
        out, err = boot.communicate(timeout=PATIENCE_S)
    finally:
        boot.kill()
        os.close(keyboard)
    told = json.loads(out)
    # Nothing can tell the board to boot from the network, and its own order has only an empty disk.
    assert told["stage"] == "firmware", out + err
    assert told["code"] == "no-dhcp", out + err
    assert any("no boot override was set" in each["cause"] for each in told["causes"])
    assert next(s["evidence"] for s in told["stages"] if s["name"] == "power").startswith(
        "off → on, confirmed"
    )
