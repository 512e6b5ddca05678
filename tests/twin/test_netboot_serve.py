"""The serving process: it starts completely or says why not, and nothing of it outlives its owner."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bringup.base.errors import BringupError, LabError, MissingProgramError, PortBusyError
from bringup.base.firmware import Firmware
from bringup.netboot.spec import Route, ServedFile, ServeSpec
from tests.twin.helpers import PATIENCE_S
from tests.twin.netboot_lab import SERVER_IP, Heard, Lab, lab, need, segment, served

pytestmark = pytest.mark.slow

CONTENT = b"kernel" * 1000
RSS_MAX_KIB = 45 * 1024


@pytest.fixture(scope="module")
def made() -> Iterator[Lab]:
    with lab() as network:
        yield network


@pytest.fixture
def spec(tmp_path: Path) -> ServeSpec:
    file = tmp_path / "file"
    file.write_bytes(CONTENT)
    roles = {"/undionly.kpxe": "loader", "/boot.ipxe": "loader-script", "/kernel": "kernel"}
    files = tuple(ServedFile(url, file, role, len(CONTENT)) for url, role in roles.items())  # type: ignore[arg-type]
    route = Route(Firmware.BIOS, "ipxe", "multiboot", "http")
    return ServeSpec(segment(), files, route)


def children_of(pid: int) -> list[int]:
    done = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, timeout=PATIENCE_S)
    return [int(word) for word in done.stdout.split()]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_gone(pids: list[int], timeout_s: float = PATIENCE_S) -> bool:
    deadline = time.monotonic() + timeout_s
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(alive(pid) for pid in pids)


def addresses(network: Lab) -> list[str]:
    """Return the addresses of the host's side; no server adds one."""
    done = subprocess.run(
        [*network.enter, "ip", "-brief", "address"], capture_output=True, text=True, timeout=PATIENCE_S
    )
    return done.stdout.split()


def fetch(network: Lab, url: str) -> bytes:
    need("curl")
    command = [*network.enter, "curl", "-sS", "--fail", "--max-time", "60", url]
    return subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=True).stdout


def test_serves_until_closed(made: Lab, spec: ServeSpec) -> None:
    heard, before = Heard(), addresses(made)
    began_s = time.monotonic()
    with served(spec, heard, made.enter) as server:
        assert heard.events[0].kind == "run.ready"
        assert began_s < heard.events[0].at_s <= time.monotonic()
        assert fetch(made, f"http://{SERVER_IP}/kernel") == CONTENT
        assert fetch(made, f"tftp://{SERVER_IP}/kernel") == CONTENT
        heard.wait("http.done")
        heard.wait("tftp.done")
        assert addresses(made) == before
        pid = server.pid
        dnsmasq = children_of(pid)
        assert len(dnsmasq) == 1
        status = Path(f"/proc/{pid}/status").read_text()
        peak_kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
        assert peak_kib < RSS_MAX_KIB
    assert wait_gone([pid, *dnsmasq])
    assert "run.servers_lost" not in heard.kinds()
    assert addresses(made) == before
    server.close()


def test_can_start_again_at_once(made: Lab, spec: ServeSpec) -> None:
    for _ in range(3):
        with served(spec, Heard(), made.enter):
            assert fetch(made, f"http://{SERVER_IP}/kernel") == CONTENT


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_server_that_is_killed_leaves_nothing_and_another_one_serves_on(
    made: Lab, spec: ServeSpec, number: int
) -> None:
    heard = Heard()
    with served(spec, heard, made.enter) as server:
        pid = server.pid
        everything = [pid, *children_of(pid)]
        assert len(everything) == 2
        os.kill(pid, number)
        assert wait_gone(everything)
        heard.wait("run.servers_again")
        assert server.pid != pid
        assert fetch(made, f"http://{SERVER_IP}/kernel") == CONTENT
        assert "run.servers_lost" not in heard.kinds()
        last = server.pid
    assert wait_gone([last])


def test_a_server_that_is_killed_again_and_again_is_lost(made: Lab, spec: ServeSpec) -> None:
    heard = Heard()
    with served(spec, heard, made.enter) as server:
        for count in range(4):
            while len(heard.of("run.servers_again")) < count:
                time.sleep(0.01)
            os.kill(server.pid, signal.SIGKILL)
        heard.wait("run.servers_lost")
    assert len(heard.of("run.servers_again")) == 3


def test_a_dying_dnsmasq_ends_the_server_with_a_reason(made: Lab, spec: ServeSpec) -> None:
    heard = Heard()
    with served(spec, heard, made.enter) as server:
        (dnsmasq,) = children_of(server.pid)
        os.kill(dnsmasq, signal.SIGKILL)
        assert "dnsmasq ended" in heard.wait("run.servers_lost").data["reason"]


def test_everything_ends_with_the_process_that_started_it(made: Lab, spec: ServeSpec, tmp_path: Path) -> None:
    (tmp_path / "spec").write_text(spec.to_json())
    script = (
        "import sys, time; from pathlib import Path\n"
        "from bringup.netboot.spec import ServeSpec; from tests.twin.netboot_lab import served\n"
        f"spec = ServeSpec.from_json(Path({str(tmp_path / 'spec')!r}).read_text())\n"
        "server = served(spec, lambda _: None, sys.argv[1:]); server.start()\n"
        "sys.stdout.write(f'{server.pid}\\n'); sys.stdout.flush(); time.sleep(60)\n"
    )
    owner = made.start([sys.executable, "-c", script, *made.enter], stdout=subprocess.PIPE, text=True)
    pid = int(owner.stdout.readline())
    everything = [pid, *children_of(pid)]
    owner.kill()
    assert wait_gone(everything)


@pytest.mark.parametrize(
    ("listener", "said"),
    [
        ("s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('10.55.0.1', 69))", "UDP port 69 of 10.55.0.1"),
        ("s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('', 67))", "UDP port 67"),
    ],
)
def test_a_taken_port_is_named(made: Lab, spec: ServeSpec, listener: str, said: str) -> None:
    script = f"import socket, time; {listener}; print('taken', flush=True); time.sleep(60)"
    holder = made.start([*made.enter, sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "taken\n"
    try:
        with pytest.raises(PortBusyError) as caught:
            served(spec, Heard(), made.enter).start()
        assert said in caught.value.message
        assert caught.value.hint and "ss -lnp" in caught.value.hint
        assert caught.value.exit_code == 10
    finally:
        holder.kill()
        holder.wait()
    with served(spec, Heard(), made.enter):
        pass


def test_an_interface_that_is_not_there(made: Lab, spec: ServeSpec) -> None:
    body = spec.to_json().replace('"br0"', '"br9"')
    with pytest.raises(LabError, match="unknown interface br9"):
        served(ServeSpec.from_json(body), Heard(), made.enter).start()


def test_an_address_that_is_not_there(made: Lab, spec: ServeSpec) -> None:
    body = spec.to_json().replace("10.55.0.1/24", "10.55.0.9/24")
    with pytest.raises(LabError, match=r"no address 10\.55\.0\.9"):
        served(ServeSpec.from_json(body), Heard(), made.enter).start()


def test_a_missing_dnsmasq_names_its_package(made: Lab, spec: ServeSpec, tmp_path: Path) -> None:
    # A PATH with what is needed to get there, and nothing else; /usr/sbin is searched in any case.
    tools = tmp_path / "bin"
    tools.mkdir()
    for program in ("nsenter", "setpriv", "ip"):
        (tools / program).symlink_to(shutil.which(program) or "/nothing")
    # A mount of its own over /usr/sbin hides dnsmasq from the server.
    inner = f'mount --bind {tools} /usr/sbin; PATH={tools} exec "$@"'
    enter = [*made.enter, "unshare", "--mount", "--", "sh", "-ec", inner, "sh"]
    with pytest.raises(MissingProgramError) as caught:
        served(spec, Heard(), enter).start()
    assert caught.value.hint == "apt install dnsmasq-base"


def test_a_spec_that_is_none(made: Lab) -> None:
    command = [*made.enter, sys.executable, "-m", "bringup.netboot.serve"]
    done = subprocess.run(command, input=b"{}\n", capture_output=True, timeout=PATIENCE_S)
    assert done.returncode == 12
    assert done.stdout.count(b"\n") == 1
    assert b'"message": "not a description of a network boot' in done.stdout
    assert b"Traceback" not in done.stderr


def test_a_crash_before_ready_is_reported_with_its_last_words(spec: ServeSpec) -> None:
    with pytest.raises(BringupError, match="ended before it was ready: it broke"):
        served(spec, Heard(), ["sh", "-c", "echo 'it broke' >&2; exit 3"]).start()
