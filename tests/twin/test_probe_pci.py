"""`bringup probe-pci --linux-probe` on the twin: it says what QEMU and lspci say, and leaves all so."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bringup.base.errors import BringupError, LabError
from bringup.base.events import Event
from bringup.boot.folders import RunFolder, list_runs
from bringup.boot.preflight import Prepared
from bringup.jobs.capture.job import CaptureRequest, plan_capture
from bringup.jobs.capture.probes import PROBES, Probe
from bringup.lab import captures
from bringup.lab.find import load_lab
from bringup.netboot.spec import Segment, ServeSpec
from bringup.pci.capture.open import open_capture
from bringup.pci.sources.lspci import text as lspci
from bringup.pci.tree.bundle import read_archive
from bringup.power.open import open_drivers
from bringup.probe import on_board
from bringup.probe.ramdisk import BUSYBOX, find_kernel, is_static_program
from bringup.twin.info import running
from bringup.twin.monitor import ask_monitor
from tests.doubles.pci_compare import differences
from tests.twin.helpers import Cli, assert_nothing_left, processes_of
from tests.unit.probe.test_collector import assert_sums_hold

pytestmark = pytest.mark.slow

PORTS = ["0000:17:00.0", "0000:17:00.1", "0000:17:00.2", "0000:17:00.3", "0000:b5:00.0", "0000:b5:00.1"]


@pytest.fixture(autouse=True, scope="module")
def _needs_kernel() -> None:
    try:
        find_kernel()
    except BringupError as error:
        pytest.skip(f"{error.message}: {error.hint}")
    for program in ("cpio", "qemu-system-x86_64"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: `make system-test`")
    if not is_static_program(BUSYBOX):
        pytest.skip("busybox-static is not installed: `make system-test`")


@dataclass(frozen=True)
class Probed:
    """One probe of a twin that was up and off, and what QEMU's monitor said while Linux ran."""

    home: Path
    body: dict[str, Any]
    pci: str
    blocks: str

    @property
    def run(self) -> RunFolder:
        return list_runs(self.home / "state" / "runs")[-1]

    @property
    def capture(self) -> Path:
        return next((self.home / "state" / "captures" / "e300").iterdir())


def watch(folder: Path, said: dict[str, str], stop: threading.Event) -> None:
    """Ask QEMU's monitor again and again, and keep the last answer of each command."""
    while not stop.wait(0.3):
        for command in said:
            with contextlib.suppress(LabError):  # off: before it is switched on, and after
                said[command] = ask_monitor(folder, command) or said[command]


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probed]:
    folder = tmp_path_factory.mktemp("probed")
    (folder / "here").mkdir()
    cli = Cli(folder / "home", folder / "here")
    said = {"info pci": "", "info blockstats": ""}
    stop = threading.Event()
    watcher = threading.Thread(target=watch, args=(cli.home / "run" / "twin-e300", said, stop))
    try:
        assert cli("twin", "up").code == 0
        watcher.start()
        outcome = cli("probe-pci", "e300", "--linux-probe", "--json")
        stop.set()
        watcher.join()
        assert outcome.code == 0, outcome.err
        yield Probed(cli.home, outcome.json, said["info pci"], said["info blockstats"])
    finally:
        stop.set()
        cli("twin", "down")
    assert not processes_of(cli.home)


def functions(body: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {function["bdf"]: function for function in body["functions"]}


def test_it_finds_the_ports_where_the_board_has_them(probed: Probed) -> None:
    found = functions(probed.body)
    assert [bdf for bdf, f in found.items() if f["class"] == "020000"] == PORTS
    for bdf in PORTS:
        assert (found[bdf]["vendor"], found[bdf]["device"]) == ("8086", "10d3"), bdf
        assert found[bdf]["intx_pin"] == "A"
        assert found[bdf]["driver"] == "e1000e"
    assert found["0000:b5:00.0"]["path"] == ["0000:b2:00.0", "0000:b3:00.0", "0000:b4:03.0"]


def monitor_bars(text: str) -> dict[str, dict[int, tuple[str, int, int]]]:
    """What QEMU's `info pci` says of every function: BAR index to kind, address and size."""
    bars: dict[str, dict[int, tuple[str, int, int]]] = {}
    bdf = ""
    for line in text.splitlines():
        if place := re.match(r"\s+Bus\s+(\d+), device\s+(\d+), function\s+(\d+):", line):
            bus, device, function = map(int, place.groups())
            bdf = f"0000:{bus:02x}:{device:02x}.{function:x}"
            bars[bdf] = {}
        elif bar := re.match(r"\s+BAR(\d): (.*?) at (0x[0-9a-f]+) \[(0x[0-9a-f]+)\]", line):
            first, last = int(bar[3], 16), int(bar[4], 16)
            if first < 1 << 63:  # all ones: no address
                kind = "io" if bar[2].startswith("I/O") else "mem"
                bars[bdf][int(bar[1])] = (kind, first, last - first + 1)
    return bars


def test_every_bar_is_where_qemu_has_it(probed: Probed) -> None:
    told = monitor_bars(probed.pci)
    found = functions(probed.body)
    assert set(told) == set(found)
    assert sum(map(len, told.values())) > 20
    for bdf, function in found.items():
        ours = {b["index"]: (b["kind"], int(b["base"], 16), b["size"]) for b in function["bars"]}
        theirs = {index: bar for index, bar in told[bdf].items() if index < 6}
        assert ours == theirs, bdf


def test_lspci_reads_the_same_from_the_same_bundle(probed: Probed, tmp_path: Path) -> None:
    with tarfile.open(probed.capture) as tar:
        tar.extractall(tmp_path, filter="fully_trusted")  # noqa: S202  # links with .. are what lspci follows
    command = ["lspci", "-A", "linux-sysfs", "-O", f"sysfs.path={tmp_path}/sys/bus/pci", "-D", "-vvv", "-nn"]
    done = subprocess.run(command, capture_output=True, check=True)
    ours, theirs = open_capture([probed.capture]), lspci.parse(done.stdout, "lspci")
    assert differences(ours, theirs) == []
    for one, other in zip(ours.functions, theirs.functions, strict=True):
        both = set(one.provenance) & set(other.provenance)
        assert {"vendor", "device", "class_code", "bars", "capabilities", "command", "rom"} <= both, one.bdf


def test_interrupts_were_read_while_drivers_used_their_pins(probed: Probed) -> None:
    found = functions(probed.body)
    for bdf in PORTS:
        assert found[bdf]["pins"], bdf
    text = read_archive(probed.capture.read_bytes(), "capture").files["proc/interrupts"].decode()
    assert len(re.findall(r"IO-APIC +\d+-fasteoi +.*\beth\d", text)) >= 2
    assert not re.search(r"PCI-MSI.*\beth\d", text)


def test_the_bundle_is_whole_and_is_the_latest(probed: Probed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRINGUP_HOME", str(probed.home))
    assert captures.latest_capture("e300") == probed.capture
    assert probed.capture.read_bytes() == (probed.run.path / on_board.CAPTURE_NAME).read_bytes()
    tree = read_archive(probed.capture.read_bytes(), "capture")
    assert_sums_hold(tree)
    assert b"Linux version" in tree.files["cmd/dmesg"]
    assert tree.files["sys/firmware/acpi/tables/APIC"].startswith(b"APIC")
    assert len(tree.files["sys/bus/pci/devices/0000:17:00.0/config"]) == 4096


def test_the_board_is_left_as_it_was_found(probed: Probed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRINGUP_HOME", str(probed.home))
    with contextlib.closing(open_drivers(load_lab(probed.home).board("e300"))) as drivers:
        assert str(drivers.power.state()) == "off"
        assert drivers.override is not None
        assert drivers.override.read().device == "none"
    written = re.findall(r"wr_operations=(\d+)", probed.blocks)
    assert written
    assert set(written) == {"0"}


def test_the_run_tells_everything_but_the_secret_path(probed: Probed) -> None:
    run = probed.run
    verdict = run.read_json("verdict.json")
    assert verdict is not None
    assert (verdict["verdict"], verdict["stage"], verdict["until"]) == ("ok", "capture", "capture")
    kinds = [event.kind for event in run.events()]
    assert kinds.count("http.upload") == 1
    assert "power.found" in kinds
    assert [event.data["state"] for event in run.events() if event.kind == "power.state"][-1] == "off"
    script = (run.path / "served" / "boot.ipxe").read_text()
    secret = re.search(r"/upload/([0-9a-f]{32})", script)
    assert secret is not None
    for name in ("plan.json", "image.json", "events.ndjson", "verdict.json"):
        assert secret[1] not in (run.path / name).read_text(), name


@pytest.mark.long
def test_uefi_works_too(cli: Cli) -> None:
    outcome = cli("probe-pci", "e300", "--linux-probe", "--firmware", "uefi", "--json")
    assert outcome.code == 0, outcome.err
    found = functions(outcome.json)
    assert [bdf for bdf, f in found.items() if f["class"] == "020000"] == PORTS
    assert (found["0000:17:00.0"]["vendor"], found["0000:17:00.0"]["driver"]) == ("1af4", "virtio-pci")
    assert_nothing_left(cli.home)


class DeadUpload(Probe):
    """The Linux probe, told to send to a port where nothing listens, as behind a firewall."""

    def spec(self, prepared: Prepared, folder: Path, segment: Segment) -> ServeSpec:
        path = on_board.new_upload_path()
        words = on_board.probe_words(segment, path, twin=True)
        words = re.sub(r"http://[^/]+", r"\g<0>:9", words)
        return prepared.spec(folder, segment, words=words, upload=on_board.upload_to(folder.parent, path))


def test_a_dead_network_still_brings_the_capture(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes over the console."""
    monkeypatch.setenv("BRINGUP_HOME", str(cli.home))
    fields = {field.name: getattr(PROBES["linux"], field.name) for field in dataclasses.fields(Probe)}
    request = CaptureRequest(probes=["linux"])
    planned = plan_capture(load_lab(cli.folder), "e300", request, probes={"linux": DeadUpload(**fields)})
    path = planned.run().path
    run = list_runs(cli.home / "state" / "runs")[-1]
    events: list[Event] = list(run.events())
    assert [e.kind for e in events if e.kind in ("console.upload", "http.upload")] == ["console.upload"]
    assert [e.data["code"] for e in events if e.kind == "console.failure"] == ["probe-sending"] * 3
    assert_sums_hold(read_archive(path.read_bytes(), "capture"))
    assert len(open_capture([path]).functions) >= 16


@pytest.mark.long  # test_camkes_loop.py has the sibling, test_firmware_on_board.py a board that was on
def test_the_8_core_sibling_that_was_on_is_on_again(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli("twin", "up", "--variant", "8c").code == 0
    assert cli("twin", "status", "--json").json["variant"] == "8c"
    assert cli("power", "e300", "on").code == 0
    outcome = cli("probe-pci", "e300", "--linux-probe", "--json")
    assert outcome.code == 0, outcome.err
    ethernet = [bdf for bdf, f in functions(outcome.json).items() if f["class"] == "020000"]
    assert ethernet == [*PORTS[:4], "0000:b7:00.0", "0000:b7:00.1"]
    assert {"0000:b5:00.0", "0000:b6:00.0"} <= set(functions(outcome.json))
    # Reset into its own boot order: it is on, and boots from no network.
    assert cli("power", "e300", "status", "--json").json["state"] == "on"
    run = list_runs(cli.home / "state" / "runs")[-1]
    actions = [event.data["action"] for event in run.events() if event.kind == "power.action"]
    assert actions == ["off", "on", "reset"]
    monkeypatch.setenv("BRINGUP_HOME", str(cli.home))
    assert running("e300") is not None, "a twin that was up stays up"


REAL = """
[boards.rack1]
profile = "supermicro-e300-9d"
macs = ["52:54:00:00:00:01"]
bmc = {{ address = "127.0.0.1", port = {port}, user = "{user}", password = {{ file = "{password}" }} }}

[boards.rack1.network]
interface = "br77"
mode = "own-segment"
address = "192.168.77.1/24"
board_address = "192.168.77.30"

[boards.e300]
profile = "twin-e300-9d"
twin = true
"""


def test_a_real_board_that_is_on_is_not_restarted_unasked(cli: Cli) -> None:
    bmc = cli("twin", "up", "--json").json["bmc"]
    text = REAL.format(port=bmc["port"], user=bmc["user"], password=bmc["password_file"])
    (cli.folder / "lab.toml").write_text(text)
    assert cli("power", "e300", "on").code == 0
    outcome = cli("probe-pci", "rack1", "--json")
    assert outcome.code == 10, outcome.out
    assert "rack1 is on, and for a capture it has to be restarted" in outcome.out
    assert "--restart" in outcome.out
    assert cli("power", "e300", "status", "--json").json["state"] == "on"
    run = list_runs(cli.home / "state" / "runs")[-1]
    assert not [e for e in run.events() if e.kind.startswith(("power.action", "override."))]
