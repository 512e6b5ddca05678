"""The virtual lab with real namespaces, real WireGuard and real firewalls."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from bringup.probe.ramdisk import find_kernel
from bringup.verify.guests.lab_rootfs import guest_python, lab_guests, lab_rootfs
from bringup.vlab import agent
from bringup.vlab.lab import LabRequest, VirtualLab
from bringup.vlab.scripts import BACKENDS, Backend
from tests.twin.helpers import PATIENCE_S, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("home")]

CANARY = b"sixteen bytes!!!"


@pytest.mark.parametrize("backend", BACKENDS)
def test_pcs_meet_through_the_tunnel_and_nothing_of_it_is_seen_outside(
    backend: Backend, tmp_path: Path
) -> None:
    with VirtualLab.start(LabRequest.of(backend=backend), tmp_path) as lab:
        assert lab.recorder is not None
        start = lab.recorder.mark()
        told = lab.agent("pc-a").act("ping", to="10.0.2.10", payload=CANARY.hex(), count=3, wait_s=60)
        end = lab.recorder.mark()
        assert told["answered"] == 3
        assert lab.tunnel("a").engine in ("kernel", "wireguard-go")
        seen = {
            segment: sum(CANARY in frame.data for frame in lab.recorder.frames(segment, start, end))
            for segment in lab.description.segments
        }
    assert seen["outer"] == 0
    assert seen["lan-a"] == seen["lan-b"] == 6
    # From another hand: what tcpdump reads in the same files.
    outside = tcpdump(tmp_path / "outer.pcap", "udp port 51820")
    assert outside.count("192.168.1.10.51820 > 192.168.1.20.51820") >= 3
    assert tcpdump(tmp_path / "lan-b.pcap", "icmp").count("echo request") == 3


def tcpdump(path: Path, expression: str) -> str:
    command = ["tcpdump", "-n", "-r", str(path), expression]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def gone(pids: Sequence[str | int]) -> None:
    """Fail when a process stays."""
    assert wait_for(lambda: not [pid for pid in pids if Path(f"/proc/{pid}").exists()]), pids


def bringup(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "bringup", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def test_a_lab_that_is_left_up_is_entered_and_ended() -> None:
    up = bringup("vlab", "up", "--json")
    assert up.returncode == 0, up.stderr
    told = json.loads(up.stdout)
    try:
        again = bringup("vlab", "up")
        assert again.returncode == 2 and "up already" in again.stderr
        assert "peer:" in bringup("vlab", "shell", "vm1-a", "wg", "show").stdout
        assert bringup("vlab", "shell", "pc-a", "ping", "-c1", "-W60", "10.0.2.10").returncode == 0
        assert json.loads(bringup("vlab", "status", "--json").stdout)["nodes"] == told["nodes"]
        recorded = Path(told["captures"]) / "lan-a.pcap"
        assert wait_for(lambda: "10.0.1.10 > 10.0.2.10" in tcpdump(recorded, "icmp"))
    finally:
        down = bringup("vlab", "down", "--json")
    assert json.loads(down.stdout) == {"up": False, "was_up": True}
    gone([told["pid"], *(node["pid"] for node in told["nodes"].values())])
    assert bringup("vlab", "shell", "pc-a").returncode == 2


def test_a_script_of_a_person_that_fails_is_named(tmp_path: Path) -> None:
    (tmp_path / "vm0-a.sh").write_text("iptables -A NOWHERE -j DROP\n", encoding="utf-8")
    done = bringup("vlab", "up", "--rules", str(tmp_path))
    assert done.returncode == 10
    assert "vm0-a" in done.stderr and "vm0-a.sh that failed" in done.stderr
    assert json.loads(bringup("vlab", "status", "--json").stdout) == {"up": False}


HOLDER = """
import sys, time
from pathlib import Path
from bringup.vlab.lab import LabRequest, VirtualLab
lab = VirtualLab.start(LabRequest.of(), Path(sys.argv[1]))
print(lab.namespaces.init_pid, *lab.namespaces.holders.values(), flush=True)
time.sleep(60)
"""


def test_nothing_is_left_of_a_lab_whose_process_was_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-P", "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        pids = child.stdout.readline().split()
        child.kill()
    assert len(pids) == 11
    gone(pids)


def test_what_guests_boot_has_all_that_their_agent_and_scripts_need(tmp_path: Path) -> None:
    unpack = ["busybox", "cpio", "-idm"]
    subprocess.run(unpack, cwd=tmp_path, input=lab_rootfs(find_kernel()), capture_output=True, check=True)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "null").touch()
    asked = [
        {
            "act": "run",
            "script": "ip -V && nft -v && iptables --version && ip6tables --version && wg --version",
        },
        {"act": "tcp", "to": "127.0.0.1", "wait_s": 0.1},
    ]
    done = subprocess.run(
        ["unshare", "-Urn", "chroot", str(tmp_path), str(guest_python()), "-I", "-S", agent.__file__],
        input="".join(json.dumps(each) + "\n" for each in asked),
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    told = [json.loads(line)["ok"] for line in done.stdout.splitlines()]
    assert told[0]["code"] == 0, told[0]
    assert all(
        word in told[0]["out"] for word in ("iproute2", "nftables", "iptables", "ip6tables", "wireguard")
    )
    assert told[1]["echoed"] == 0


@pytest.mark.long
@pytest.mark.timeout(880)
def test_pcs_meet_through_guests_with_a_kernel_of_their_own(tmp_path: Path) -> None:
    with VirtualLab.start(LabRequest.of(guests=lab_guests()), tmp_path) as lab:
        assert lab.recorder is not None
        start = lab.recorder.mark()
        told = lab.agent("pc-a").act("ping", to="10.0.2.10", payload=CANARY.hex(), count=3, wait_s=30)
        time.sleep(2)
        end = lab.recorder.mark()
        assert told["answered"] == 3
        assert lab.tunnel("a").engine == "kernel"
        seen = {
            segment: sum(CANARY in frame.data for frame in lab.recorder.frames(segment, start, end))
            for segment in lab.description.segments
        }
        assert (seen["outer"], seen["lan-a"], seen["lan-b"]) == (0, 6, 6)
