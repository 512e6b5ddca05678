"""Faults of the twin in whole boots: the verdicts of docs/faults.md, made anew.

A few are played: one of each place on the scripted board, one on the whole twin. With
BRINGUP_TEST_ALL_FAULTS=1 in the environment every one is, on both (half an hour).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bringup.image.standin import standin_kernel
from bringup.twin.faults.catalog import FAULTS
from tests.doubles.fault_table import ENGINES, PAGE, boot_with, read_table
from tests.twin.helpers import Cli

pytestmark = pytest.mark.slow

ALL = "BRINGUP_TEST_ALL_FAULTS"
FEW = [
    ("scripted", "sol-drop"),
    ("scripted", "override-ignored"),
    ("scripted", "no-vtx"),
    ("scripted", "disk-full"),
    ("qemu", "http-reset"),
]
EVERY = [(engine, name) for engine in ENGINES for name in FAULTS]
ROWS = read_table(PAGE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("engine", "name"), EVERY if os.environ.get(ALL) else FEW)
def test_a_fault_ends_in_the_verdict_of_the_table(engine: str, name: str, tmp_path: Path) -> None:
    ran = boot_with(name, engine, tmp_path)
    assert ran.code == ROWS[name][engine][0], ran.body["cause"]


def test_a_twin_that_is_up_keeps_its_faults_and_is_taken_with_no_others(cli: Cli) -> None:
    up = cli("twin", "up", "--engine", "scripted", "--fault", "power-dead", "--seed", "3", "--json")
    assert (up.json["faults"], up.json["seed"], up.json["engine"]) == (["power-dead"], 3, "scripted")
    assert "plays    power-dead (seed 3)" in cli("twin", "status").out
    other = cli("boot", "e300", "--engine", "scripted", "--fault", "sol-drop")
    assert other.code == 10
    assert "is up without what is asked for" in other.err + other.out
    machine = cli("boot", "e300", "--engine", "qemu")
    assert machine.code == 10
    assert "is up on scripted, not on qemu" in machine.err + machine.out
    image = cli("boot", "e300", str(standin_kernel()))
    assert image.code == 2
    assert "a scripted board runs no image" in image.err + image.out
    state = cli("power", "e300", "status", "--json")
    assert state.json["state"] == "off"


def test_a_real_board_plays_no_faults_and_a_scripted_one_no_images(cli: Cli) -> None:
    (cli.folder / "lab.toml").write_text(
        '[boards.e300-1]\nprofile = "supermicro-e300-9d"\nmacs = ["ac:1f:6b:0e:30:17"]\n'
        'bmc = { address = "127.0.0.1", user = "ADMIN", password = { env = "NOBODY" } }\n'
    )
    refused = cli("boot", "e300-1", "kernel", "--fault", "sol-drop@kernel")
    assert refused.code == 2
    assert "e300-1 is a real board: sol-drop@kernel is played by a twin only" in refused.err + refused.out
    (cli.folder / "lab.toml").unlink()
    image = cli("boot", "e300", str(standin_kernel()), "--engine", "scripted")
    assert image.code == 2
    assert "a scripted board runs no image" in image.err + image.out
