"""Boards as people reported them: a scripted BMC, firmware and console against the real command.

The cases lie beside the checkout (shared/cases/board, its README says how one is run); each is a row here:
what the command must say. They need root, for a network namespace of their own.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, field

import pytest

from tests.places import CHECKOUT, SHARED

CASES = SHARED / "cases" / "board"
RUN = CASES / "rig" / "run.sh"
TIMEOUT_S = 280

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not RUN.exists(), reason="no shared/cases beside the checkout"),
    pytest.mark.skipif(os.geteuid() != 0, reason="the cases make network namespaces as root"),
]

BOOTS = r"^ok  b1 reached user-space"


@dataclass(frozen=True)
class Case:
    """A scenario, what its outcome says, what it must not say, and how it is run where that is unusual."""

    name: str
    says: str
    never: str | None = None
    arguments: tuple[str, ...] = ("boot", "b1", "IMG")
    environment: dict[str, str] = field(default_factory=dict)


SLOW = {"PROFILE": "slow.toml"}
POWER_CYCLE = "$PROJECT/.venv/bin/bringup power b1 cycle; sleep 4; $PROJECT/.venv/bin/bringup power b1 status"
BMC_CASES = [
    Case("b01_ff_while_bmc_boots", BOOTS),
    *(Case(name, BOOTS) for name in ("b02_control_c0_once", "b02b_control_c3", "b02c_control_d3_once")),
    Case("b02e_control_c1_twice", BOOTS),
    Case("b03_on_takes_15s", BOOTS, never="asking for power on again"),
    Case("b04_first_on_ignored", BOOTS),
    Case("b05a_flags_get_80", r"does not tell what it holds(?s:.*)--override unverified"),
    Case("b05a_flags_get_80", BOOTS, arguments=("boot", "b1", "IMG", "--override", "unverified")),
    Case("b05a_flags_get_80", BOOTS, arguments=("boot", "b1", "IMG", "--override", "none")),
    Case("b05b_flags_valid_bit_never", r"first DHCP packet will tell(?s:.*)" + BOOTS),
    Case("b05c_flags_locked", r"first DHCP packet will tell(?s:.*)" + BOOTS),
    Case("b06_flags_extra_bits", BOOTS),
    *(Case(name, BOOTS) for name in ("b07_param3_cc", "b07b_param3_ff", "b07c_param3_c0")),
    Case("b13_operator", BOOTS),
    Case("b13b_user_level", "does not grant user ADMIN the privilege", never="password"),
    *(Case(name, BOOTS) for name in ("b14_sol_activate_c0", "b14b_sol_activate_d5", "b14c_sol_activate_ff")),
    Case("b14d_sol_stuck_80", r"nobody has it(?s:.*)mc reset cold", never="another session"),
    Case("b14e_no_4b", BOOTS),
    *(Case(name, BOOTS) for name in ("b16_priv_d4_once", "b16b_priv_c0_once")),
    Case("b17_silent_to_17", BOOTS, environment={"PROXY": "drop17.py"}),
    Case("b24_status_ff_35s_in_boot", BOOTS, environment=SLOW),
    Case("c05_disk_grub_rescue", "was set and read back, and the board booted its disk"),
    Case("c06_disk_linux", "was set and read back, and the board booted its disk"),
    Case("c06b_disk_windowsless_silent", "was set and read back, and the board booted its disk"),
    Case("c14b_bmc_restarts_60s", rf"it may be restarting(?s:.*)({BOOTS}|undecided)", environment=SLOW),
    Case("p_d3_status", "b1 is on", arguments=("power", "b1", "status")),
    Case("p_ff_once_mid", r"on → off → on, confirmed(?s:.*)b1 is on", environment={"CMD": POWER_CYCLE}),
    Case("p_off", "b1: already off", arguments=("power", "b1", "off")),
]


@pytest.mark.parametrize("case", BMC_CASES, ids=lambda case: " ".join((case.name, *case.arguments[3:])))
def test_a_bmc_as_people_reported_it(case: Case) -> None:
    chosen = {
        name: str(RUN.parent / value) if name in ("PROFILE", "PROXY") else value
        for name, value in case.environment.items()
    }
    done = subprocess.run(
        ["bash", str(RUN), str(CASES / f"{case.name}.json"), *case.arguments],
        env={**os.environ, "PROJECT": str(CHECKOUT), **chosen},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    told = done.stdout
    assert re.search(case.says, told, re.MULTILINE), told
    assert case.never is None or not re.search(case.never, told), told
