"""Boards as people reported them: a scripted BMC, firmware and console against the real command.

The cases lie beside the checkout (shared/cases/board, its README says how one is run); each is a row here:
what the command must say. They need root, for a network namespace of their own. Those of BMCs always run;
with BRINGUP_TEST_ALL_CASES=1 in the environment so do those of firmware, loaders, images and networks, whose
kinds the unit tests have, and ten boards at once.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from dataclasses import dataclass, field

import pytest

from tests.places import CHECKOUT, SHARED
from tests.twin.helpers import long

CASES = SHARED / "cases" / "board"
RUN = CASES / "rig" / "run.sh"
TIMEOUT_S = 280
ALL = "BRINGUP_TEST_ALL_CASES"
ENDED = "exit "  # run.sh's last line, and that of many_boards.sh

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not RUN.exists(), reason="no shared/cases beside the checkout"),
    pytest.mark.skipif(os.geteuid() != 0, reason="the cases make network namespaces as root"),
]

BOOTS = r"^ok  b1 reached user-space"


@dataclass(frozen=True)
class Case:
    """A scenario, what its outcome says, what it must not say, and how it is run where that is unusual.

    A `long` one takes its time or is another of a kind that always runs.
    """

    name: str
    says: str
    never: str | None = None
    arguments: tuple[str, ...] = ("boot", "b1", "IMG")
    environment: dict[str, str] = field(default_factory=dict)
    long: bool = False


SLOW = {"PROFILE": "slow.toml"}
POWER_CYCLE = "$PROJECT/.venv/bin/bringup power b1 cycle; sleep 4; $PROJECT/.venv/bin/bringup power b1 status"
BMC_CASES = [
    Case("b01_ff_while_bmc_boots", BOOTS),
    Case("b02_control_c0_once", BOOTS),
    *(Case(name, BOOTS, long=True) for name in ("b02b_control_c3", "b02c_control_d3_once")),
    Case("b02e_control_c1_twice", BOOTS),
    Case("b03_on_takes_15s", BOOTS, never="asking for power on again"),
    Case("b04_first_on_ignored", BOOTS, long=True),
    Case("b05a_flags_get_80", r"does not tell what it holds(?s:.*)--override unverified"),
    Case("b05a_flags_get_80", BOOTS, arguments=("boot", "b1", "IMG", "--override", "unverified")),
    Case("b05a_flags_get_80", BOOTS, arguments=("boot", "b1", "IMG", "--override", "none")),
    Case("b05b_flags_valid_bit_never", r"first DHCP packet will tell(?s:.*)" + BOOTS),
    Case("b05c_flags_locked", r"first DHCP packet will tell(?s:.*)" + BOOTS, long=True),
    Case("b06_flags_extra_bits", BOOTS),
    Case("b07_param3_cc", BOOTS),
    *(Case(name, BOOTS, long=True) for name in ("b07b_param3_ff", "b07c_param3_c0")),
    Case("b13_operator", BOOTS),
    Case("b13b_user_level", "does not grant user ADMIN the privilege", never="password"),
    Case("b14_sol_activate_c0", BOOTS),
    *(Case(name, BOOTS, long=True) for name in ("b14b_sol_activate_d5", "b14c_sol_activate_ff")),
    Case("b14d_sol_stuck_80", r"nobody has it(?s:.*)mc reset cold", never="another session"),
    Case("b14e_no_4b", BOOTS),
    Case("b16_priv_d4_once", BOOTS),
    Case("b16b_priv_c0_once", BOOTS, long=True),
    Case("b17_silent_to_17", BOOTS, environment={"PROXY": "drop17.py"}),
    Case("b24_status_ff_35s_in_boot", BOOTS, environment=SLOW, long=True),
    Case("c05_disk_grub_rescue", "was set and read back, and the board booted its disk"),
    Case("c06_disk_linux", "was set and read back, and the board booted its disk", long=True),
    Case("c06b_disk_windowsless_silent", "was set and read back, and the board booted its disk", long=True),
    Case(
        "c14b_bmc_restarts_60s",
        rf"it may be restarting(?s:.*)({BOOTS}|undecided)",
        environment=SLOW,
        long=True,
    ),
    Case("p_d3_status", "b1 is on", arguments=("power", "b1", "status")),
    Case("p_ff_once_mid", r"on → off → on, confirmed(?s:.*)b1 is on", environment={"CMD": POWER_CYCLE}),
    Case("p_off", "b1: already off", arguments=("power", "b1", "off")),
]


@pytest.mark.parametrize(
    "case",
    [long(case) if case.long else case for case in BMC_CASES],
    ids=lambda case: " ".join((case.name, *case.arguments[3:])),
)
def test_a_bmc_as_people_reported_it(case: Case) -> None:
    check(case)


VMS = ("boot", "b1", "IMG", "--vms", "1", "--until", "login")
EXHAUSTED = {"BG": "exec python3 $RIG/exhaust.py $PORT"}
UEFI = ("boot", "b1", "IMG", "--firmware", "uefi")
OTHER_NIC = {"EXTRA_MACS": ', "ac:1f:6b:0e:30:18"'}
STOPPED = (
    "timeout 150 $PROJECT/.venv/bin/bringup boot b1 $IMG & P=$!; sleep 6; C=$(pgrep -P $P); kill -STOP $C; "
    "sleep 5; kill -CONT $C; wait $P; L=$(ls $WORK/state/bringup/runs/*/console.log); "
    'echo "kept: $(grep -ac "line 0" $L) marks: $(grep -ac "SOL lost" $L)"'
)
CASES_OF_ALL_ELSE = [
    Case("c01_setup_screen", "the firmware shows its setup screen"),
    Case("c03_press_f1", "the firmware stopped and asks for F1"),
    Case("c04_secure_boot", "Secure Boot refused what was served", arguments=UEFI),
    Case("c04b_secure_boot_edk2", "Secure Boot refused what was served", arguments=UEFI),
    Case("c07_ipxe_stp", r"the loader ran and fetched no kernel(?s:.*)portfast"),
    Case("c08_ipxe_memory", r"iPXE cannot place the image in memory(?s:.*)fault: image"),
    Case("c08b_grub_oom", r"GRUB ran out of memory(?s:.*)fault: image"),
    Case("c09_other_nic_asks", "ac:1f:6b:0e:30:99 asked instead"),
    Case("c10_uefi_client_bios_plan", "as architecture 7, and this boot serves BIOS", never="no DHCP server"),
    Case("c14_bmc_restarts_25s", rf"({BOOTS}|undecided)", never="somebody else took it"),
    Case("c14c_bmc_restart_misses_user_space", rf"({BOOTS}|undecided, exit 3)", environment=SLOW),
    Case("c15_sol_dropped_often", BOOTS),
    Case("c17_not_elf", "the first module is not a root task"),
    Case("c18_garbage_after_kernel", "bytes that are not text"),
    Case("c19_kernel_silent", "everything was loaded, and the kernel printed nothing"),
    Case("c20_redrawn", r"no DHCP request(?s:.*)cable in another port", never="LAN option ROM off"),
    Case("c21_dhcp_twice_two_nics", BOOTS, environment=OTHER_NIC),
    Case("c23_no_carrier", "has no link", environment={"BG": "ip link set v0 down; ip link set br0 down"}),
    Case("c25_long", "no console text and no DHCP request"),
    Case("c26_root_abort", r"init_cnode_slot@main\.c:1840"),
    Case("c28_guest_dies_silently", "0 of 1 VMs reached a login", arguments=VMS),
    Case("n02_two_listed_nics", BOOTS, environment=OTHER_NIC),
    Case("n04_wrong_name", "asks this host for pxelinux.0", never="another DHCP server"),
    Case("n05_rogue_dhcp", "10.77.0.99 answers DHCP", environment={"BG": "exec bash $RIG/rogue.sh"}),
    Case("n06_uefi_proxy_no_4011", "ignores proxyDHCP", arguments=UEFI, environment={"MODE": "proxy"}),
    Case(
        "n07_bios_client_uefi_plan_proxy",
        "this boot serves UEFI",
        arguments=UEFI,
        environment={"MODE": "proxy"},
    ),
    Case("n08_no_option_93", r"no boot file(?s:.*)option 93"),
    Case("s_full", BOOTS),
    Case("s_plain", 'seen +console line 1: "hello"'),
    Case("b15b_exhausted_both", "has no free session left", never="somebody else has", environment=EXHAUSTED),
    Case("b20_udp_loss_5s", BOOTS, environment={**SLOW, "PROXY": "lossy.py", "LOSS_FOR": "4.5"}),
    Case(
        "b25_client_stopped_5s",
        rf"{BOOTS}(?s:.*)(kept: 150|marks: [1-9])",
        environment={**SLOW, "CMD": STOPPED},
    ),
]


@pytest.mark.skipif(not os.environ.get(ALL), reason=f"{ALL}=1 runs them")
@pytest.mark.parametrize("case", CASES_OF_ALL_ELSE, ids=lambda case: case.name)
def test_all_else_as_people_reported_it(case: Case) -> None:
    check(case)


def check(case: Case) -> None:
    chosen = {
        name: str(RUN.parent / value) if name in ("PROFILE", "PROXY") else value
        for name, value in case.environment.items()
    }
    told = said_by(["bash", str(RUN), str(CASES / f"{case.name}.json"), *case.arguments], chosen)
    assert re.search(case.says, told, re.MULTILINE), told
    assert case.never is None or not re.search(case.never, told), told


def said_by(command: list[str], environment: dict[str, str]) -> str:
    """Return what a command said on both streams; whatever it left running is ended."""
    process = subprocess.Popen(
        command,
        env={**os.environ, "PROJECT": str(CHECKOUT), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    watchdog = threading.Timer(TIMEOUT_S, os.killpg, (process.pid, signal.SIGKILL))
    watchdog.start()
    try:
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith(ENDED):  # what is left running may hold the stream open
                break
        return "".join(lines)
    finally:
        watchdog.cancel()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


@pytest.mark.skipif(not os.environ.get(ALL), reason=f"{ALL}=1 runs it")
def test_ten_boards_at_once_from_one_terminal() -> None:
    told = said_by(["bash", str(CHECKOUT / "tests/twin/many_boards.sh"), "10"], {"RIG": str(RUN.parent)})
    for number in range(1, 11):
        assert f"b{number}: exit 0 ok  b{number} reached user-space" in told, told
    assert "left serving: 0" in told, told
