"""`bringup verify`: what is refused before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from bringup.base.errors import UsageError
from bringup.cli import root

pytestmark = pytest.mark.usefixtures("home", "in_folder")


def refusal(*words: str) -> UsageError:
    result = CliRunner().invoke(root, ["verify", *words], standalone_mode=False)
    assert isinstance(result.exception, UsageError), (result.exception, result.output)
    return result.exception


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (
            "e300 --plan model-3 --rules mine",
            "--rules are for the virtual lab, not for model-3",
            "verify vlab",
        ),
        ("vlab --plan model-2 --firewall nftables", "not for model-2", "verify vlab"),
        ("e300 --plan hardware --kernel k --rootfs r", "not for hardware", "--plan model-2"),
        ("e300 --plan model-3 --profile other", "not for model-3", "--plan hardware"),
        ("e300 --plan hardware --append play=vms", "not for hardware", "--plan model-3"),
        ("vlab --restart", "--restart and --firmware are for a board", "model-4"),
    ],
)
def test_an_option_that_the_plan_would_pass_over_is_refused(words: str, said: str, hint: str) -> None:
    error = refusal(*words.split())
    assert said in error.message
    assert hint in (error.hint or "")


def test_a_report_that_cannot_be_written_is_told_before_the_run(home: Path, in_folder: Path) -> None:
    (in_folder / "file").touch()
    error = refusal("e300", "--plan", "model-3", "--report", "file/out")
    assert "cannot write file/out" in error.message
    assert not (home / "state").exists()


@pytest.mark.parametrize("plan", ["model-3", "model-4"])
@pytest.mark.parametrize(
    ("append", "said"),
    [
        ("play=vms:wrong-pni", "there is no case wrong-pni of played VMs"),
        ("play=vtx-locked", "play=vtx-locked plays no VMs"),
        ("quiet play=", "plays no VMs"),
    ],
)
def test_a_play_without_vms_is_refused_and_no_vm_is_called_dead(plan: str, append: str, said: str) -> None:
    error = refusal("e300", "--plan", plan, "--engine", "scripted", "--append", append)
    assert said in error.message
    assert "wrong-pin" in (error.hint or "")
