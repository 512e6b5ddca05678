"""The twin on Bochs: the same BMC, console, network boot and verdicts, and VT-x that is used."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from bringup.image.archive import make_cpio
from bringup.probe.ramdisk import BUSYBOX, find_kernel
from bringup.verify.guests.ramdisk import modules_with_needs
from tests.twin.helpers import Cli, assert_nothing_left, processes_of, wait_for
from tests.twin.netboot_lab import need

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _bochs() -> None:
    need("bochs-bin")


def test_an_image_that_uses_vt_x_runs_where_there_is_one(cli: Cli) -> None:
    outcome = cli("boot", "e300", "--engine", "bochs", "--json", "--append", "play=vmx")
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
    assert wait_for(lambda: not [p for p in processes_of(cli.home) if "bochs-bin -q" in p])


INIT = b"""\
#!/bin/busybox sh
/bin/busybox mkdir -p /proc /dev
/bin/busybox mount -t proc none /proc
/bin/busybox mount -t devtmpfs none /dev
/bin/busybox grep -q -w vmx /proc/cpuinfo && echo "this processor has vmx"
for module in $(/bin/busybox cat /modules); do /bin/busybox insmod $module || echo "not loaded: $module"; done
/bin/busybox grep -o '^kvm_intel' /proc/modules
/bin/tiny-guest 2>&1
echo "tiny guest ended with $?"
while true; do /bin/busybox sleep 60; done
"""


@pytest.mark.long
@pytest.mark.timeout(880)
def test_kvm_of_this_hosts_kernel_runs_a_guest_in_bochs(cli: Cli, tmp_path: Path) -> None:
    need("gcc")
    program, kernel = tmp_path / "tiny-guest", find_kernel()
    source = Path(__file__).with_name("tiny_guest.c")
    subprocess.run(["gcc", "-static", "-Os", "-Wall", "-o", str(program), str(source)], check=True)
    modules = dict(modules_with_needs(kernel, ("kvm_intel",)))
    files = {
        "init": INIT,
        "bin/busybox": BUSYBOX.read_bytes(),
        "bin/tiny-guest": program.read_bytes(),
        **modules,
    }
    files["modules"] = "".join(f"/{name}\n" for name in modules).encode()
    ramdisk = tmp_path / "ramdisk.cpio"
    ramdisk.write_bytes(make_cpio(files))
    words = ("--until-text", "tiny guest ended with", "--json")
    outcome = cli("boot", "e300", str(kernel.path), str(ramdisk), "--engine", "bochs", *words, timeout_s=860)
    console = cli("runs", "show", "--console").out
    assert outcome.code == 0, outcome.out + console[-2000:]
    assert "this processor has vmx" in console and "kvm_intel" in console
    assert "tiny guest wrote 4 and halted" in console
    assert "tiny guest ended with 0" in console
