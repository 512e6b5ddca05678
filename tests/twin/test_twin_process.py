"""The twin as a process: up, found, entered, down; and nothing left of it, however it ends."""

from __future__ import annotations

import os
import select
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import IO

import pytest

from tests.twin.helpers import PATIENCE_S, Cli, assert_nothing_left, process_table, processes_of, wait_for

pytestmark = pytest.mark.slow


def ipmitool(status: dict, *words: str) -> subprocess.CompletedProcess[str]:
    bmc = status["bmc"]
    where = ["-H", bmc["address"], "-p", str(bmc["port"]), "-U", bmc["user"], "-f", bmc["password_file"]]
    return subprocess.run(
        ["ipmitool", "-I", "lanplus", *where, *words],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_up_status_down(cli: Cli) -> None:
    assert cli("twin", "status", "--json").json == {"twin": "e300", "up": False}
    assert cli("twin", "up").code == 0
    status = cli("twin", "status", "--json").json
    assert status["up"] is True
    again = cli("twin", "up")
    assert again.code == 10
    assert "is up already" in again.err
    assert cli("twin", "down", "--json").json["was_up"] is True
    assert_nothing_left(cli.home)
    assert cli("twin", "down", "--json").json["was_up"] is False


def test_the_power_state_is_the_machines(cli: Cli) -> None:
    assert cli("twin", "up").code == 0
    status = cli("twin", "status", "--json").json
    assert "is off" in ipmitool(status, "chassis", "power", "status").stdout
    assert ipmitool(status, "chassis", "power", "on").returncode == 0
    assert wait_for(lambda: "is on" in ipmitool(status, "chassis", "power", "status").stdout)
    machines = [line for line in processes_of(cli.home) if "qemu-system" in line.split(" ")[0]]
    assert len(machines) == 1
    subprocess.run(["pkill", "-KILL", "-f", str(cli.home / "run" / "twin-e300")], check=False)
    assert wait_for(lambda: "is off" in ipmitool(status, "chassis", "power", "status").stdout)


def test_a_killed_twin_leaves_no_process_behind(cli: Cli) -> None:
    assert cli("twin", "up").code == 0
    status = cli("twin", "status", "--json").json
    assert ipmitool(status, "chassis", "power", "on").returncode == 0
    assert wait_for(lambda: any("qemu-system" in line for line in processes_of(cli.home)))
    os.kill(status["pid"], signal.SIGKILL)
    assert wait_for(lambda: not processes_of(cli.home)), processes_of(cli.home)
    assert cli("twin", "status", "--json").json["up"] is False
    assert_nothing_left(cli.home)


def test_the_board_is_reached_only_inside_the_namespace(cli: Cli) -> None:
    assert cli("twin", "up").code == 0
    inside = cli("twin", "shell", "ip", "-brief", "address", "show", "br0")
    assert "10.55.0.1/24" in inside.out
    outside = subprocess.run(["ip", "link", "show", "br0"], capture_output=True, check=False)
    assert outside.returncode != 0


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="tcpdump is not installed")
@pytest.mark.skipif(os.geteuid() != 0, reason="tcpdump drops root, which only root may map")
def test_tcpdump_sees_the_boards_requests(cli: Cli) -> None:
    assert cli("twin", "up").code == 0
    status = cli("twin", "status", "--json").json
    capture = cli.popen("twin", "shell", "tcpdump", "-nei", "br0", "-c", "1", "port", "67")
    assert capture.stderr is not None
    assert any("listening on br0" in line for line in iter(capture.stderr.readline, ""))
    assert ipmitool(status, "chassis", "bootdev", "pxe").returncode == 0
    assert ipmitool(status, "chassis", "power", "on").returncode == 0
    out, _ = capture.communicate(timeout=PATIENCE_S)
    assert "52:54:00:0e:30:10 > ff:ff:ff:ff:ff:ff" in out


def test_a_host_without_namespaces_is_told_what_to_do(cli: Cli) -> None:
    # Inside a user namespace of our own the limit is ours to set; its root would make plain namespaces.
    refuse = 'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-sys_admin "$@"'
    outcome = cli("twin", "up", prefix=("unshare", "--user", "--map-root-user", "sh", "-c", refuse, "sh"))
    assert outcome.code == 10
    assert "denies the twin its private network" in outcome.err
    assert "sysctl" in outcome.err
    assert_nothing_left(cli.home)


def test_a_host_without_qemu_is_told_what_to_install(cli: Cli, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("unshare", "nsenter", "setpriv", "ip", "sh", "sleep"):
        source = shutil.which(name)
        assert source is not None
        (tools / name).symlink_to(source)
    outcome = cli("boot", "e300", PATH=str(tools))
    assert outcome.code == 10
    assert "qemu-system-x86_64 is not installed" in outcome.out
    assert "apt install" in outcome.out
    assert_nothing_left(cli.home)


@pytest.mark.parametrize("name", ["../x", "", "a b", "x" * 40])
def test_a_name_is_a_boards_name(cli: Cli, name: str) -> None:
    outcome = cli("twin", "up", name)
    assert outcome.code == 2
    assert "not the name of a board" in outcome.err


def test_a_real_board_is_no_twin(cli: Cli) -> None:
    (cli.folder / "lab.toml").write_text("[boards.one]\nprofile = 'supermicro-e300-9d'\n")
    outcome = cli("twin", "up", "one")
    assert outcome.code in (2, 12)
    assert not processes_of(cli.home)


@pytest.mark.skipif(shutil.which("ipmipower") is None, reason="FreeIPMI is not installed: `make system-test`")
def test_other_tools_drive_the_twin(cli: Cli) -> None:
    assert cli("twin", "up").code == 0
    status = cli("twin", "status", "--json").json
    bmc = status["bmc"]
    password = Path(bmc["password_file"]).read_text().strip()

    def ipmipower(*words: str) -> str:
        where = ["-h", f"{bmc['address']}:{bmc['port']}", "-D", "LAN_2_0", "-u", bmc["user"], "-p", password]
        done = subprocess.run(
            ["ipmipower", *where, *words], capture_output=True, text=True, timeout=PATIENCE_S, check=True
        )
        return done.stdout

    assert ": off" in ipmipower("--stat")
    assert ipmitool(status, "chassis", "bootdev", "pxe", "options=efiboot").returncode == 0
    flags = ipmitool(status, "chassis", "bootparam", "get", "5").stdout
    assert "BIOS EFI boot" in flags
    assert "Force PXE" in flags
    assert ": ok" in ipmipower("--on")
    assert wait_for(lambda: ": on" in ipmipower("--stat"))
    where = ["-H", bmc["address"], "-p", str(bmc["port"]), "-U", bmc["user"], "-f", bmc["password_file"]]
    sol = subprocess.Popen(
        ["script", "-qec", shlex.join(["ipmitool", "-I", "lanplus", *where, "sol", "activate"]), "/dev/null"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    try:
        assert sol.stdout is not None
        assert ">>Start PXE over IPv4" in read_until(sol.stdout, ">>Start PXE over IPv4")
    finally:
        sol.kill()
        sol.communicate()


def read_until(stream: IO[str], text: str) -> str:
    """Return what came until `text` did, or until time was up."""
    got, deadline = "", time.monotonic() + PATIENCE_S
    while text not in got and time.monotonic() < deadline:
        if select.select([stream], [], [], 0.5)[0]:
            got += os.read(stream.fileno(), 4096).decode(errors="replace")
    return got


def test_the_board_has_the_memory_that_was_asked_for_and_a_boot_does_not_pass_over_it(cli: Cli) -> None:
    assert cli("twin", "up", "--memory", "1024").code == 0
    status = cli("twin", "status", "--json").json
    assert (status["memory_mib"], status["engine"]) == (1024, "qemu")
    refused = cli("boot", "e300", "--memory", "2048")
    assert refused.code == 10
    assert "is up with 1024 MiB, not with 2048" in refused.out
    assert ipmitool(status, "chassis", "power", "on").returncode == 0
    assert wait_for(lambda: "is on" in ipmitool(status, "chassis", "power", "status").stdout)
    size = cli("twin", "monitor", "info", "memory_size_summary").out
    assert f"base memory: {1024 << 20}" in size


def test_four_gib_cost_the_host_what_the_board_touches(cli: Cli) -> None:
    assert cli("boot", "e300", "--keep").code == 0
    size = cli("twin", "monitor", "info", "memory_size_summary").out
    assert f"base memory: {4096 << 20}" in size
    (machine,) = [pid for pid, line in process_table(cli.home).items() if line.startswith("qemu-system")]
    status = Path(f"/proc/{machine}/status").read_text()
    resident_kib = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
    assert resident_kib < 1 << 20
