"""Many boots on one interface: one process serves them all, each its own board, and none can take it away."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bringup.base.errors import BmcBusyError, LabError, PortBusyError, ProfileError
from bringup.base.firmware import Firmware
from bringup.netboot.ahead import Ahead
from bringup.netboot.rendezvous import Rendezvous
from bringup.netboot.server import NetbootServer
from bringup.netboot.spec import Route, Segment, ServedFile, ServeSpec
from tests.places import CHECKOUT
from tests.twin.helpers import PATIENCE_S, wait_for
from tests.twin.netboot_lab import SERVER, SERVER_IP, STRANGER, DhcpClient, Heard, Lab, lab, need, served

pytestmark = pytest.mark.slow

SYSTEM_PYTHON = Path("/usr/bin/python3")
ROUTE = Route(Firmware.BIOS, "ipxe", "multiboot", "http")


@pytest.fixture(scope="module")
def made() -> Iterator[Lab]:
    need("curl")
    with lab() as network:
        yield network


@dataclass
class Board:
    """A board: what is served to it, and a machine with its MAC."""

    number: int
    spec: ServeSpec
    enter: tuple[str, ...]

    @property
    def content(self) -> bytes:
        return b"%d" % self.number * 1000

    def fetch(self, name: str, scheme: str = "http", port: str = "") -> bytes:
        url = f"{scheme}://{SERVER_IP}{port}/{name}"
        command = [*self.enter, "curl", "-sS", "--fail", "--max-time", "60", url]
        return subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=False).stdout

    def is_served(self) -> bool:
        return (self.fetch("kernel"), self.fetch("kernel", "tftp")) == (self.content, self.content)


def board(made: Lab, number: int, folder: Path, *, machine: bool = True) -> Board:
    mac, address = f"52:54:00:0e:40:{number:02x}", f"10.55.0.{100 + number}"
    file = folder / f"file{number}"
    file.write_bytes(b"%d" % number * 1000)
    roles = {"/undionly.kpxe": "loader", "/boot.ipxe": "loader-script", "/kernel": "kernel"}
    files = tuple(ServedFile(url, file, role, file.stat().st_size) for url, role in roles.items())  # type: ignore[arg-type]
    spec = ServeSpec(Segment("br0", "own-segment", SERVER, address, (mac,)), files, ROUTE)
    enter = made.neighbour(f"n{number}", f"{address}/24", mac) if machine else ()
    return Board(number, spec, enter)


@pytest.fixture(scope="module")
def boards(made: Lab, tmp_path_factory: pytest.TempPathFactory) -> list[Board]:
    folder = tmp_path_factory.mktemp("boards")
    return [board(made, number, folder) for number in range(3)]


@pytest.fixture(scope="module")
def client(made: Lab) -> DhcpClient:
    return DhcpClient(made)


def serving_processes(made: Lab, home: Path) -> int:
    """Return how many there are; what is left of one counts, too."""
    names = {path.name.split("-")[2][:16] for path in (home / "run").glob("bringup-serve-*")}
    return len(names)


def discover(one: Board) -> dict[str, object]:
    vendor = "PXEClient:Arch:00000:UNDI:003000"
    return {"mac": one.spec.segment.macs[0], "arch": 0, "vendor_class": vendor}


def test_a_process_started_ahead_is_the_one_that_serves(made: Lab, boards: list[Board], home: Path) -> None:
    one = boards[0]
    ahead = Ahead("br0", made.enter)
    try:
        ahead.wait()
        assert serving_processes(made, home) == 1
        with served(one.spec, Heard(), made.enter):
            assert serving_processes(made, home) == 1
            ahead.close()
            assert one.is_served()
    finally:
        ahead.close()
    assert serving_processes(made, home) == 0


def test_a_process_that_nobody_joined_ends(made: Lab, home: Path) -> None:
    ahead = Ahead("br0", made.enter)
    ahead.wait()
    assert serving_processes(made, home) == 1
    ahead.close()
    ahead.close()
    assert wait_for(lambda: serving_processes(made, home) == 0)


def test_files_that_cannot_be_made_end_the_boot_and_not_the_serving(
    made: Lab, boards: list[Board], home: Path
) -> None:
    one, other = boards[:2]
    asked: list[Segment] = []

    def make(segment: Segment) -> ServeSpec:
        asked.append(segment)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with served(other.spec, Heard(), made.enter):
        server = NetbootServer(one.spec.segment, make, Heard(), made.enter)
        with pytest.raises(OSError, match="No space left"):
            server.start()
        assert len(asked) == 1
        assert other.is_served()
    assert serving_processes(made, home) == 0


def test_two_boots_share_one_process(made: Lab, boards: list[Board], client: DhcpClient, home: Path) -> None:
    one, other = boards[:2]
    heard, heard_too = Heard(), Heard()
    with served(one.spec, heard, made.enter) as first:
        with served(other.spec, heard_too, made.enter) as second:
            assert first.pid == second.pid
            assert serving_processes(made, home) == 1
            assert one.is_served() and other.is_served()
            offers = client.ask(discover(one), discover(other), {"mac": STRANGER, "arch": 0, "silent": True})
            assert [offer and offer["yiaddr"] for offer in offers] == ["10.55.0.100", "10.55.0.101", None]
            for ears in (heard, heard_too):
                ears.wait("dhcp.ignored")
                ears.wait("tftp.done")
        # The one that is left is served on; a board that is booted no more is a stranger.
        assert one.is_served()
        assert other.fetch("kernel") == b""
        offers = client.ask(discover(one), {**discover(other), "silent": True})
        assert [offer and offer["yiaddr"] for offer in offers] == ["10.55.0.100", None]
    for ears, mine in ((heard, one), (heard_too, other)):
        macs = {event.data["mac"] for event in ears.events if "mac" in event.data}
        assert macs - {STRANGER} <= {mine.spec.segment.macs[0], other.spec.segment.macs[0]}
        done = [event for event in ears.events if event.kind.endswith(".done")]
        assert done and all(event.data["bytes"] == 1000 for event in done)
    assert not {e.data["mac"] for e in heard_too.of("dhcp.discover")} - {other.spec.segment.macs[0]}
    assert serving_processes(made, home) == 0


OWNER = """
import sys
from pathlib import Path
from bringup.netboot.spec import ServeSpec
from tests.places import CHECKOUT
from tests.twin.netboot_lab import served
spec = ServeSpec.from_json(Path(sys.argv[1]).read_text())
server = served(spec, lambda event: print(event.kind, flush=True), sys.argv[2:])
server.start()
sys.stdin.read()
server.close()
"""


@contextlib.contextmanager
def another_terminal(made: Lab, one: Board, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Serve a board from a process of its own."""
    (folder / "spec").write_text(one.spec.to_json())
    command = [sys.executable, "-c", OWNER, str(folder / "spec"), *made.enter]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen(command, text=True, **pipes)  # type: ignore[call-overload]
    try:
        while (line := process.stdout.readline().strip()) != "run.ready":
            assert line, "it ended"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_first_may_be_killed(made: Lab, boards: list[Board], tmp_path: Path, home: Path) -> None:
    one, other = boards[:2]
    heard = Heard()
    with another_terminal(made, one, tmp_path) as first, served(other.spec, heard, made.enter):
        assert one.is_served()
        first.send_signal(signal.SIGKILL)
        first.wait()
        assert other.is_served()
        assert wait_for(lambda: one.fetch("kernel") == b"")
        with served(one.spec, Heard(), made.enter):
            assert one.is_served() and other.is_served()
    assert "run.servers_lost" not in heard.kinds()
    assert serving_processes(made, home) == 0


def test_boots_that_come_and_go_at_once(made: Lab, boards: list[Board], home: Path) -> None:
    """The meeting point is taken over while its process ends."""
    failures: list[BaseException] = []

    def boot(one: Board) -> None:
        try:
            for _ in range(4):
                with served(one.spec, Heard(), made.enter):
                    assert one.fetch("kernel") == one.content
        except BaseException as error:  # noqa: BLE001  told by the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=boot, args=(one,)) for one in boards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert failures == []
    assert serving_processes(made, home) == 0


def test_ten_boards_and_a_flood_beside_them(
    made: Lab, boards: list[Board], tmp_path: Path, home: Path
) -> None:
    flood = made.start(
        [*boards[0].enter, sys.executable, "-c", FLOOD, SERVER_IP], stdout=subprocess.PIPE, text=True
    )
    assert flood.stdout is not None and flood.stdout.readline() == "flooding\n"
    try:
        more = [board(made, number, tmp_path, machine=False) for number in range(10, 18)]
        with contextlib.ExitStack() as stack:
            heard = [Heard() for _ in range(10)]
            servers = [
                stack.enter_context(served(one.spec, ears, made.enter))
                for one, ears in zip((*boards[1:], *more), heard, strict=True)
            ]
            assert len({server.pid for server in servers}) == 1
            assert boards[1].is_served() and boards[2].is_served()
            status = Path(f"/proc/{servers[0].pid}/status").read_text()
            peak_kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
            assert peak_kib < 60 * 1024
            assert all(len(ears.events) < 1000 for ears in heard)
        assert flood.poll() is None, "it was to go on all the time"
    finally:
        flood.kill()
        flood.wait()
    assert serving_processes(made, home) == 0


@pytest.mark.parametrize("port", [67, 4011])
def test_mutated_dhcp_packets(
    made: Lab, boards: list[Board], client: DhcpClient, home: Path, port: int
) -> None:
    one = boards[0]
    with served(one.spec, heard := Heard(), made.enter) as server:
        status = Path(f"/proc/{server.pid}/status")

        def kib() -> int:
            rows = status.read_text().splitlines()
            return next(int(row.split()[1]) for row in rows if row.startswith("VmRSS"))

        words = [*boards[2].enter, sys.executable, "-c", MUTATED_DHCP, SERVER_IP, "n2", str(port)]
        for number in ("500", "10000"):
            before_kib = kib()
            subprocess.run([*words, number], check=True, timeout=PATIENCE_S, cwd=CHECKOUT)
        assert kib() - before_kib < 8 * 1024
        assert len(heard.events) < 1000
        assert "run.servers_lost" not in heard.kinds()
        offer = client.ask(discover(one))[0]
        assert offer is not None and offer["yiaddr"] == "10.55.0.100"
        assert one.is_served()


# As a stranger, and in the board's name.
MUTATED_DHCP = """
import random, socket, sys
from tests.twin.dhcp_client import packet
from tests.unit.netboot.test_strangers import mutated
server, port, count = sys.argv[1], int(sys.argv[3]), int(sys.argv[4])
rng = random.Random(20_261_128)
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, sys.argv[2].encode())
vendor = "PXEClient:Arch:00000:UNDI:003000"
for number in range(count):
    mac = rng.choice(("52:54:00:0e:40:00", "52:54:00:0e:40:02", "52:54:00:00:00:99"))
    one = packet({"mac": mac, "type": rng.choice((1, 3)), "arch": 0, "vendor_class": vendor}, number)
    sock.sendto(mutated(rng, one), (server if port == 4011 else "255.255.255.255", port))
"""

# A machine that is none of the boards under boot asks for everything, as fast as it can.
FLOOD = """
import itertools, os, socket, sys
server = sys.argv[1]
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
udp.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"n0")
held = []
print("flooding", flush=True)
for number in itertools.count():
    udp.sendto(b"\\0\\1kernel\\0octet\\0", (server, 69))
    head = b"\\1\\1\\6\\0" + os.urandom(4) + bytes(20) + b"\\2" + os.urandom(5) + bytes(202)
    udp.sendto(head + b"\\x63\\x82\\x53\\x63\\x35\\1\\1\\xff", ("255.255.255.255", 67))
    if number % 10 == 0:
        tcp = socket.socket()
        tcp.setblocking(False)
        tcp.connect_ex((server, 80))
        held = [*held[-300:], tcp]
"""


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"macs": None}, BmcBusyError, "MAC address 52:54:00:0e:40:00 is being booted by"),
        ({"board_address": None}, ProfileError, r"10\.55\.0\.100 is that of a board that"),
        ({"mode": "proxy"}, LabError, "is served as own-segment to a boot of"),
    ],
)
def test_what_does_not_go_together(
    made: Lab, boards: list[Board], home: Path, change: dict[str, str | None], kind: type[LabError], said: str
) -> None:
    one, other = boards[0].spec, boards[1].spec
    taken = {name: getattr(one.segment, name) for name, value in change.items() if value is None}
    changed = {**{name: value for name, value in change.items() if value is not None}, **taken}
    if "mode" in changed:
        changed["board_address"] = None
    bad = replace(other, segment=replace(other.segment, **changed))
    with served(one, Heard(), made.enter), pytest.raises(kind, match=said):
        served(bad, Heard(), made.enter).start()


def test_another_web_server_is_worked_round(made: Lab, boards: list[Board], home: Path) -> None:
    again = "s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)"
    listens = f"s = socket.socket(); {again}; s.bind(('10.55.0.1', 80)); s.listen()"
    script = f"import socket, time; {listens}; print(); time.sleep(60)"
    holder = made.start([*made.enter, sys.executable, "-uc", script], stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdout.readline()
    ports: list[int | None] = []
    one = boards[0]

    def make(segment: Segment) -> ServeSpec:
        ports.append(segment.http_port)
        return replace(one.spec, segment=segment)

    try:
        with NetbootServer(one.spec.segment, make, Heard(), made.enter):
            assert ports[0] not in (None, 80)
            assert one.fetch("kernel", port=f":{ports[0]}") == one.content
        with pytest.raises(PortBusyError, match="TCP port 80"):
            NetbootServer(replace(one.spec.segment, http_port=80), make, Heard(), made.enter).start()
    finally:
        holder.kill()
        holder.wait()


def test_ports_are_what_the_lab_file_says(made: Lab, boards: list[Board], home: Path) -> None:
    one = boards[0]
    spec = replace(one.spec, segment=replace(one.spec.segment, http_port=8080, tftp_port=6969))
    with served(spec, Heard(), made.enter):
        assert one.fetch("kernel", port=":8080") == one.content
        assert one.fetch("kernel", "tftp", ":6969") == one.content


PERSON = """
import json, os, sys
from pathlib import Path
from bringup.base.privilege import become_person
assert become_person()
from bringup.netboot.spec import ServeSpec
from bringup.netboot.server import NetbootServer
spec = ServeSpec.from_json(Path(sys.argv[1]).read_text())
with NetbootServer(spec.segment, lambda _: spec, lambda _: None, (), Path(sys.argv[2])) as server:
    status = Path(f"/proc/{server.pid}/status").read_text()
    fetched = os.popen("curl -sS --max-time 60 http://10.55.0.1/kernel").read()
    print(json.dumps([os.geteuid(), status, fetched]))
"""


@pytest.mark.skipif(os.geteuid() != 0 or not SYSTEM_PYTHON.exists(), reason="needs root and another user")
def test_under_sudo_a_person_serves_with_three_rights(made: Lab, tmp_path: Path) -> None:
    one = board(made, 50, tmp_path, machine=False)
    for path in (tmp_path, *tmp_path.parents):
        if path.name.startswith(("pytest-", "popen-", "test_")):
            path.chmod(0o755)
    spec, meeting = tmp_path / "spec", tmp_path / "meeting"
    spec.write_text(one.spec.to_json())
    meeting.mkdir()
    os.chown(meeting, 65534, 65534)
    modules = ":".join([str(CHECKOUT), *(entry for entry in sys.path if entry.endswith("site-packages"))])
    environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "SUDO_UID": "65534", "PYTHONPATH": modules}
    network = "ip link add br0 type bridge; ip link set br0 up; ip address add 10.55.0.1/24 dev br0"
    words = [str(SYSTEM_PYTHON), "-P", "-c", PERSON, str(spec), str(meeting)]
    command = ["unshare", "--net", "sh", "-ec", f'ip link set lo up; {network}; exec "$@"', "sh", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, env=environment)
    assert done.returncode == 0, done.stderr
    uid, status, fetched = json.loads(done.stdout.splitlines()[-1])
    rights = {row.split(":")[0]: row.split(":")[1].split() for row in status.splitlines() if ":" in row}
    assert (uid, rights["Uid"]) == (65534, ["65534"] * 4)
    assert int(rights["CapPrm"][0], 16) == int(rights["CapAmb"][0], 16) == 1 << 10 | 1 << 12 | 1 << 13
    assert fetched.encode() == one.content


def test_another_dhcp_server_is_seen_before_any_board_asks(
    made: Lab, boards: list[Board], client: DhcpClient, home: Path
) -> None:
    with served(boards[0].spec, Heard(), made.enter), served(boards[1].spec, heard := Heard(), made.enter):
        assert heard.wait("dhcp.searched").data["servers"] == []
        assert heard.wait("link.carrier").data == {"interface": "br0", "carrier": True}
        # Our own search is no stranger's question.
        assert heard.of("dhcp.ignored") == heard.of("dhcp.rival") == []
    rival = made.dhcp_server("dhcp1", "10.55.0.2/24")
    try:
        with served(boards[0].spec, heard := Heard(), made.enter):
            assert heard.wait("dhcp.rival").data["server"] == "10.55.0.2"
            assert heard.wait("dhcp.searched").data["servers"] == ["10.55.0.2"]
            # What the rival offers this board is told, too, though the board took ours.
            client.ask(discover(boards[0]))
            mine = boards[0].spec.segment.macs[0]
            assert wait_for(lambda: mine in [event.data["mac"] for event in heard.of("dhcp.rival")])
    finally:
        rival.kill()
        rival.wait()


@pytest.mark.parametrize("said", [b"", b"nonsense\n", b"[]\n", b'{"serve": 1}\n', b'{"join": {"macs": 1}}\n'])
def test_nonsense_at_the_meeting_point(made: Lab, boards: list[Board], home: Path, said: bytes) -> None:
    point = Rendezvous.of("br0", made.enter)
    with served(boards[0].spec, Heard(), made.enter):
        sock = point.connect()
        assert sock is not None
        with sock:
            sock.sendall(said)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(4096):
                pass
        assert boards[0].is_served()


def test_it_has_the_rights_of_serving_only(made: Lab, boards: list[Board], home: Path) -> None:
    os.environ["CANARY_PASSWORD"] = "canary-in-the-mine"
    try:
        with served(boards[0].spec, Heard(), made.enter) as server:
            children = subprocess.run(["pgrep", "-P", str(server.pid)], capture_output=True, text=True)
            for pid in (str(server.pid), *children.stdout.split()):
                status = Path(f"/proc/{pid}/status").read_text()
                for name in ("CapPrm", "CapEff", "CapBnd"):
                    mask = next(
                        int(row.split()[1], 16) for row in status.splitlines() if row.startswith(name)
                    )
                    assert mask == 1 << 10 | 1 << 12 | 1 << 13
                assert "NoNewPrivs:\t1" in status
                assert b"canary" not in Path(f"/proc/{pid}/environ").read_bytes()
                assert Path(f"/proc/{pid}/cwd").readlink() == Path("/")
    finally:
        del os.environ["CANARY_PASSWORD"]


def test_a_link_that_goes_is_told(made: Lab, boards: list[Board], home: Path) -> None:
    # The last one: the bridge learns anew afterwards.
    spec = boards[0].spec
    with served(spec, heard := Heard(), made.enter):
        heard.wait("link.carrier")
        subprocess.run([*made.enter, "ip", "link", "set", "br0", "down"], check=True, timeout=PATIENCE_S)
        try:
            assert wait_for(lambda: not heard.of("link.carrier")[-1].data["carrier"])
        finally:
            subprocess.run([*made.enter, "ip", "link", "set", "br0", "up"], check=True, timeout=PATIENCE_S)
