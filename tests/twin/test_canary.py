"""A BMC password on its way through a whole boot of a real board: in no file, argument, child or output."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from bringup.image.standin import standin_kernel, standin_module
from tests.places import CHECKOUT
from tests.twin.helpers import PATIENCE_S, Cli, process_table

pytestmark = pytest.mark.slow

CANARY = "yellow-bird-7f3a"
SERVES = "bringup.netboot.serve"
LAB = """\
[boards.b1]
profile = "supermicro-e300-9d"
macs = ["ac:1f:6b:0e:30:17"]
bmc = {{ address = "127.0.0.1", port = 6230, user = "admin", password = {{ {password} }} }}

[boards.b1.network]
interface = "br0"
mode = "own-segment"
address = "10.77.0.1/24"
board_address = "10.77.0.30"
"""
# The board's BMC and its segment, in a network of their own; the command follows as arguments.
PLACE = """
ip link set lo up; ip link add br0 type bridge; ip addr add 10.77.0.1/24 dev br0
ip link add port0 type veth peer name board0; ip link set port0 master br0 up; ip link set board0 up
ip link set br0 up
mkfifo "$FIFO"
(cd "$CHECKOUT" && exec env -u BRINGUP_HOME FAKE_BMC_PASSWORD="$BMC_SAYS" setpriv --pdeathsig KILL \
    "$1" -m tests.doubles.fake_bmc --port 6230 <> "$FIFO" > /dev/null 2>&1) &
exec "$@"
"""


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def environment_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize("reference", ["env", "file"])
def test_a_password_is_seen_nowhere(cli: Cli, tmp_path: Path, reference: str) -> None:
    secret = cli.folder / "secret"
    secret.write_text(CANARY)
    secret.chmod(0o600)
    where = {"env": 'env = "BMC_SAYS"', "file": 'file = "secret"'}
    (cli.folder / "lab.toml").write_text(LAB.format(password=where[reference]))
    (cli.folder / "lab.toml").chmod(0o600)
    place = ("unshare", "--user", "--map-root-user", "--net", "sh", "-c", PLACE, "sh")
    image = (str(standin_kernel()), str(standin_module(1 << 20)))
    given = {"BMC_SAYS": CANARY, "CHECKOUT": str(CHECKOUT), "FIFO": str(tmp_path / "bmc")}
    boot = cli.popen("boot", "b1", *image, "--events", prefix=place, **given)
    lines: list[str] = []
    try:
        assert boot.stdout is not None
        for line in boot.stdout:
            lines.append(line)
            if json.loads(line)["kind"] == "power.action":
                break
        else:
            raise AssertionError(f"no power-on: {lines}\n{boot.communicate()[1]}")
        ours = process_table(cli.home)
        assert boot.pid in ours and any(SERVES in command_of(pid) for pid in ours), ours
        for pid in ours:
            assert CANARY not in command_of(pid)
            assert pid == boot.pid or CANARY.encode() not in environment_of(pid), command_of(pid)
    finally:
        boot.send_signal(signal.SIGINT)
        out, err = boot.communicate(timeout=PATIENCE_S)
    assert CANARY not in "".join(lines) + out + err
    kept = [path for folder in (cli.home, cli.folder) for path in folder.rglob("*") if path.is_file()]
    assert {"events.ndjson", "plan.json", "verdict.json"} <= {path.name for path in kept}
    assert [path for path in kept if path != secret and CANARY.encode() in path.read_bytes()] == []
