"""`bringup boot`: what of the request is seen in the plan, and what is refused before anything is touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bringup.base.errors import UsageError
from bringup.cli import root

pytestmark = pytest.mark.usefixtures("home", "in_folder")

LAB = """\
[boards.e300-1]
profile = "supermicro-e300-9d"
macs = ["ac:1f:6b:0e:30:17"]
bmc = { address = "10.0.0.17", user = "ADMIN", password = { env = "E300_PASSWORD" } }
network = { interface = "enp3s0", mode = "proxy", address = "10.0.0.1/24" }
"""


def invoke(*words: str) -> Result:
    # As `main` runs it: what the command returns is the exit code, what it raises is told.
    return CliRunner().invoke(root, words, standalone_mode=False)


def refusal(*words: str) -> UsageError:
    result = invoke(*words)
    assert isinstance(result.exception, UsageError), (result.exception, result.output)
    return result.exception


def twin_step(*words: str) -> dict[str, object]:
    plan = json.loads(invoke("boot", "e300", "--dry-run", "--json", *words).stdout)
    detail = next(step for step in plan["steps"] if step["name"] == "twin")["detail"]
    assert isinstance(detail, dict)
    return detail


def test_the_plan_says_what_the_twin_runs_on_and_why() -> None:
    usual = twin_step()
    assert usual["memory_mib"] == 4096
    assert "QEMU" in str(usual["engine"])
    assert "VT-x" in str(usual["why"])
    asked = twin_step("--engine", "qemu", "--memory", "1024")
    assert asked == {**usual, "why": "as asked", "memory_mib": 1024}


@pytest.mark.parametrize("engine", ["bochs", "kvm"])
@pytest.mark.parametrize("command", [["boot", "e300", "--dry-run"], ["twin", "up"]])
def test_an_engine_that_is_not_there_yet_is_refused(command: list[str], engine: str) -> None:
    error = refusal(*command, "--engine", engine)
    assert f"does not run on {engine} yet" in error.message
    assert "--engine qemu" in (error.hint or "")


@pytest.mark.parametrize("words", [["--engine", "qemu"], ["--memory", "1024"]])
def test_a_real_board_is_what_it_is(in_folder: Path, words: list[str]) -> None:
    (in_folder / "lab.toml").write_text(LAB)
    assert "e300-1 is a real board" in refusal("boot", "e300-1", "--dry-run", *words).message


def test_a_plan_is_not_something_to_leave_running() -> None:
    assert "--detach" in refusal("boot", "e300", "--dry-run", "--detach").message
