"""Two BMCs of another hand at once, by an ordinary user: power, console, two boots side by side, a probe."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.places import CHECKOUT
from tests.twin.foreign_lab import PYTHON
from tests.twin.helpers import PATIENCE_S

NOBODY = 65534

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a network and for another user"),
    pytest.mark.skipif(not Path(PYTHON).exists(), reason="needs a Python that everybody may run"),
    pytest.mark.skipif(shutil.which("ipmi_sim") is None, reason="ipmi_sim is not installed"),
    pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="QEMU is not installed"),
]


@pytest.fixture(scope="module")
def told() -> Iterator[dict[str, Any]]:
    # Not below pytest's own folders, which another test run closes to everybody else.
    with tempfile.TemporaryDirectory(prefix="foreign-") as folder:
        Path(folder).chmod(0o755)
        yield run_in(folder)


def run_in(folder: str) -> dict[str, Any]:
    command = ["unshare", "--net", sys.executable, "-m", "tests.twin.foreign_lab", folder, str(NOBODY)]
    done = subprocess.run(
        command,
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def test_power_is_read_and_switched(told: dict[str, Any]) -> None:
    assert "b1 is off" in told["off"]["out"], told["off"]
    assert told["on"]["code"] == told["cycle"]["code"] == 0, (told["on"], told["cycle"])
    assert "on → off → on" in told["cycle"]["out"], told["cycle"]
    switched = [call for call in told["calls"] if call.startswith("set power")]
    assert switched[:3] == ["set power 1", "set power 0", "set power 1"]


def test_the_console_shows_what_the_board_says(told: dict[str, Any]) -> None:
    lines = [int(number) for number in re.findall(r"line (\d+) of the board", told["console"]["out"])]
    assert len(lines) > 2 and lines == list(range(lines[0], lines[-1] + 1)), told["console"]


def test_two_boards_boot_at_once(told: dict[str, Any]) -> None:
    for number, boot in enumerate(told["boots"], 1):
        verdict = json.loads(boot["out"] or "{}")
        assert (verdict.get("verdict"), verdict.get("stage")) == ("ok", "user-space"), boot
        assert verdict["board"] == f"b{number}"
    assert "set boot pxe" in told["calls"]


def test_a_board_is_probed(told: dict[str, Any]) -> None:
    assert told["probe"]["code"] == 0, told["probe"]
    assert "8086" in told["probe"]["out"]
