"""The twin on Bochs: the same BMC, console, network boot and verdicts, and VT-x that is used."""

from __future__ import annotations

import json

import pytest

from tests.twin.helpers import Cli, assert_nothing_left, processes_of, wait_for
from tests.twin.netboot_lab import need

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _bochs() -> None:
    need("bochs-bin")


def test_an_image_that_uses_vt_x_runs_where_there_is_one(cli: Cli) -> None:
    outcome = cli("boot", "e300", "--engine", "bochs", "--json", "--append", "play=vmx", timeout_s=180)
    verdict = json.loads(outcome.out)
    assert (outcome.code, verdict["verdict"], verdict["stage"]) == (0, "ok", "user-space"), outcome.err
    console = cli("runs", "show", "--console").out
    assert "stand-in: VMX entered, a guest ran to its CPUID and its VMCALL, VMX left" in console
    assert_nothing_left(cli.home)


@pytest.mark.long
def test_power_and_reset_over_ipmi_and_what_bochs_lacks(cli: Cli) -> None:
    assert cli("twin", "up", "--engine", "bochs").code == 0
    assert "machine  bochs, 2047 MiB" in cli("twin", "status").out
    for action in ("on", "reset", "cycle"):
        outcome = cli("power", "e300", action)
        assert outcome.code == 0, outcome.err
    soft = cli("power", "e300", "soft")
    assert (soft.code, "0xcc" in soft.err) == (10, True)
    refused = cli("boot", "e300", "--engine", "qemu")
    assert "the twin e300 is up on bochs, not on qemu" in refused.out + refused.err
    running = [process for process in processes_of(cli.home) if "bochs-bin -q" in process]
    assert len(running) == 1
    assert cli("power", "e300", "off").code == 0
    assert wait_for(lambda: not [p for p in processes_of(cli.home) if "bochs-bin -q" in p], 10)
