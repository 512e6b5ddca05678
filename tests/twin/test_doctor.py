"""`bringup doctor` on hosts and networks that are really wrong: the line, the command, and what it mends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.servers import PASSWORD, virtual_bmc
from tests.twin.helpers import PATIENCE_S, Cli
from tests.twin.netboot_lab import DIE_WITH_PARENT, Lab, lab, need

pytestmark = pytest.mark.slow

BOARD = """\
[boards.unit]
profile = "supermicro-e300-9d"
macs = ["52:54:00:0e:30:10"]
{reached}
[boards.unit.network]
interface = "br0"
mode = "own-segment"
address = "10.55.0.1/24"
board_address = "10.55.0.30"
"""

BMC = 'bmc = {{ address = "127.0.0.1", port = {port}, user = "admin", password = {{ file = "password" }} }}'
BY_HAND = 'power = { driver = "manual" }\nserial = "/dev/ttyS0"'


def lab_file(port: int) -> str:
    return BOARD.format(reached=BMC.format(port=port))


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[Cli]:
    """The command line beside a lab file with one real board."""
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "lab.toml").write_text(BOARD.format(reached=BY_HAND))
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o600)
    yield Cli(tmp_path / "home", folder)


@pytest.fixture
def segment() -> Iterator[Lab]:
    with lab() as made:
        yield made


def checks(unit: Cli, prefix: Sequence[str] = (), **extra: str) -> dict[str, Any]:
    """Return what the doctor says, by the names of its checks."""
    found = unit("doctor", "--json", prefix=tuple(prefix), **extra).json
    assert set(found) == {"checks"}
    for each in found["checks"]:
        assert set(each) == {"id", "status", "message", "fix"}
        assert each["status"] != "fail" or each["fix"], each
    return {each["id"]: each for each in found["checks"]}


def run(command: str, folder: Path, prefix: Sequence[str] = ()) -> None:
    """Type what the doctor said."""
    subprocess.run(
        [*prefix, "sh", "-ec", command], cwd=folder, check=True, timeout=PATIENCE_S, capture_output=True
    )


def test_without_qemu(unit: Cli, tmp_path: Path) -> None:
    some = tmp_path / "bin"
    some.mkdir()
    for folder in (*os.environ["PATH"].split(":"), "/usr/sbin", "/sbin"):
        for program in Path(folder).glob("*") if folder else ():
            if not program.name.startswith("qemu") and not (some / program.name).exists():
                (some / program.name).symlink_to(program)
    outcome = unit("doctor", PATH=str(some))
    assert outcome.code == 10
    (line,) = (line for line in outcome.out.splitlines() if "qemu-system-x86_64" in line)
    sudo = "" if os.geteuid() == 0 else "sudo "
    assert "is not installed: no twin" in line
    assert line.endswith(f"{sudo}apt install qemu-system-x86 seabios ipxe-qemu")


def test_without_namespaces_and_the_command_lets_them_be_made(unit: Cli) -> None:
    need("unshare", "sysctl")
    forbid = "echo 0 > /proc/sys/user/max_user_namespaces; echo 0 > /proc/sys/user/max_net_namespaces"
    keeper = subprocess.Popen(
        [
            "unshare",
            "--user",
            "--map-root-user",
            *DIE_WITH_PARENT,
            "sh",
            "-ec",
            f"{forbid}; echo up; exec cat",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert keeper.stdout is not None and keeper.stdout.readline() == b"up\n"
        inside = ("nsenter", "--target", str(keeper.pid), "--user", "--preserve-credentials", "--")
        found = checks(unit, inside)["host-namespaces"]
        assert found["status"] == "fail"
        assert found["fix"].startswith("sysctl -w user.max_user_namespaces=")
        run(found["fix"], unit.folder, inside)
        assert checks(unit, inside)["host-namespaces"]["status"] == "pass"
    finally:
        keeper.kill()
        keeper.communicate()


def test_a_taken_port_names_its_owner_and_the_command_frees_it(unit: Cli, segment: Lab) -> None:
    hold = (
        "import socket,time; s=socket.socket(2,2); s.bind(('0.0.0.0',69)); print(flush=True); time.sleep(99)"
    )
    owner = segment.start([*segment.enter, sys.executable, "-c", hold], stdout=subprocess.PIPE)
    assert owner.stdout.readline() == b"\n"
    found = checks(unit, segment.enter)
    tftp = found["ports-tftp"]
    assert tftp["status"] == "fail" and "UDP port 69" in tftp["message"] and "python" in tftp["message"]
    assert found["ports-dhcp"]["status"] == found["ports-http"]["status"] == "pass"
    run(tftp["fix"], unit.folder, segment.enter)
    owner.wait(timeout=PATIENCE_S)
    assert checks(unit, segment.enter)["ports-tftp"]["status"] == "pass"


def test_a_rival_dhcp_server_is_found_and_the_command_ends_it(unit: Cli, segment: Lab) -> None:
    other = segment.neighbour("rival0", "10.55.0.9/24")
    dnsmasq = ["dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", "--user=root"]
    dnsmasq += ["--dhcp-range=10.55.0.100,10.55.0.120", "--dhcp-authoritative", "--no-ping", "--pid-file="]
    leases = unit.folder / "leases"
    rival = segment.start([*other, *dnsmasq, f"--dhcp-leasefile={leases}"], stderr=subprocess.PIPE)
    while b"DHCP, IP range" not in (line := rival.stderr.readline()):
        assert line, "dnsmasq did not start"
    found = checks(unit, segment.enter)["network-rival-dhcp"]
    assert found["status"] == "fail" and "10.55.0.9" in found["message"]
    run(found["fix"], unit.folder)
    rival.wait(timeout=PATIENCE_S)
    assert checks(unit, segment.enter)["network-rival-dhcp"]["status"] == "pass"


def test_a_wrong_sol_baud_is_told_and_ipmitool_mends_it(unit: Cli) -> None:
    need("ipmitool")
    with virtual_bmc(sol_bit_rate=6) as bmc:
        (unit.folder / "lab.toml").write_text(lab_file(bmc.port))
        found = checks(unit)
        assert {found[f"bmc-{name}"]["status"] for name in ("reach", "login", "cipher", "sol", "clock")} == {
            "pass"
        }
        wrong = found["bmc-sol-baud"]
        assert wrong["status"] == "fail" and "9600" in wrong["message"] and "115200" in wrong["message"]
        run(wrong["fix"], unit.folder)
        assert checks(unit)["bmc-sol-baud"]["status"] == "pass"


def test_sol_that_is_off(unit: Cli) -> None:
    need("ipmitool")
    with virtual_bmc() as bmc:
        (unit.folder / "lab.toml").write_text(lab_file(bmc.port))
        off = f"ipmitool -I lanplus -H 127.0.0.1 -p {bmc.port} -U admin -f password sol set enabled false"
        run(off, unit.folder)
        wrong = checks(unit)["bmc-sol"]
        assert wrong["status"] == "fail" and wrong["fix"].endswith("sol set enabled true")
        run(wrong["fix"], unit.folder)
        assert checks(unit)["bmc-sol"]["status"] == "pass"
