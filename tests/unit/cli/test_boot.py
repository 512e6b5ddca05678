"""`bringup boot`: what of the request is seen in the plan, and what is refused before anything is touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bringup.base.errors import ProfileError, UsageError
from bringup.cli import root
from bringup.twin.host import HOST

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
    assert "no VMs are known" in str(usual["why"])
    asked = twin_step("--engine", "qemu", "--memory", "1024")
    assert asked == {**usual, "why": "as asked", "memory_mib": 1024}


def test_what_bochs_leaves_unproven_is_in_the_plan() -> None:
    detail = twin_step("--engine", "bochs")
    assert (detail["why"], detail["memory_mib"]) == ("as asked", 2047)
    assert "passthrough and DMA stay unproven" in str(detail["unproven"])


@pytest.mark.parametrize("command", [["boot", "e300", "--dry-run"], ["twin", "up"]])
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--engine", "bochs", "--memory", "4096"], "Bochs gives a board at most 2048 MiB, not 4096"),
        *([] if HOST.nests_vtx() else [(["--engine", "kvm"], "this host's KVM gives its guests no VT-x")]),
    ],
)
def test_what_an_engine_cannot_do_is_refused_by_name(command: list[str], words: list[str], says: str) -> None:
    error = refusal(*command, *words)
    assert says in error.message
    assert "--engine qemu" in (error.hint or "")


def test_bochs_boots_by_bios_only_and_has_no_variants() -> None:
    wrong = invoke("boot", "e300", "--dry-run", "--engine", "bochs", "--firmware", "uefi").exception
    assert isinstance(wrong, ProfileError)
    assert wrong.message == "twin-bochs does not boot by uefi"
    error = refusal("twin", "up", "--engine", "bochs", "--variant", "8c")
    assert error.message == "Bochs has no PCI Express, so no variant 8c of the board"


@pytest.mark.parametrize("words", [["--engine", "qemu"], ["--memory", "1024"]])
def test_a_real_board_is_what_it_is(in_folder: Path, words: list[str]) -> None:
    (in_folder / "lab.toml").write_text(LAB)
    assert "e300-1 is a real board" in refusal("boot", "e300-1", "--dry-run", *words).message


def test_a_plan_is_not_something_to_leave_running() -> None:
    assert "--detach" in refusal("boot", "e300", "--dry-run", "--detach").message
