"""`bringup probe-pci` with the firmware probe on the twin: against Linux and QEMU, and over a bad console."""

from __future__ import annotations

import contextlib
import random
import re
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bringup.base.errors import LabError
from bringup.base.events import Emit
from bringup.boot.folders import RunFolder, list_runs
from bringup.boot.place import BoardPlace
from bringup.boot.session import Session
from bringup.console.base import Console
from bringup.image.firmware_probe import firmware_probe
from bringup.jobs.capture.job import CaptureRequest, OnBoard, plan_capture
from bringup.jobs.capture.probes import PROBES
from bringup.lab import captures
from bringup.lab.find import load_lab
from bringup.lab.inventory import twin_board
from bringup.pci.capture.open import open_capture
from bringup.pci.model import Bdf
from bringup.pci.sources.firmware.frames import FrameReader
from bringup.pci.sources.firmware.records import FUNCTION, PIN, PinResult, decode_function, decode_pin
from bringup.pci.tree.bundle import Tree, read_archive
from bringup.probe import firmware_report
from bringup.twin.monitor import ask_monitor
from tests.twin.helpers import PATIENCE_S, Cli, long, processes_of
from tests.twin.test_probe_pci import PORTS, functions, monitor_bars
from tests.twin.test_probe_pci import _needs_kernel as _needs_kernel  # a fixture

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Both:
    """Both probes of one twin that was up, and `info pci` while the first of them ran.

    Its board was on before under BIOS, and off under UEFI.
    """

    firmware: str
    home: Path
    body: dict[str, Any]
    shown: str
    pci: str

    @property
    def capture(self) -> Path:
        (path,) = (self.home / "state" / "captures" / "e300").iterdir()
        return path

    @property
    def runs(self) -> list[RunFolder]:
        return list_runs(self.home / "state" / "runs")

    @property
    def reader(self) -> FrameReader:
        reader = FrameReader()
        reader.feed((self.capture / firmware_report.NAME).read_bytes())
        assert reader.complete
        return reader

    @property
    def spaces(self) -> dict[str, bytes]:
        """Config spaces as the firmware probe read them."""
        found = [decode_function(r.body) for r in self.reader.records() if r.type == FUNCTION]
        return {str(bdf_of(f.bdf)): f.config for f in found}

    @property
    def pins(self) -> dict[str, PinResult]:
        found = [decode_pin(r.body) for r in self.reader.records() if r.type == PIN]
        return {str(bdf_of(pin.bdf)): pin for pin in found}

    @property
    def linux(self) -> Tree:
        return read_archive((self.capture / "linux.tar.gz").read_bytes(), "capture")

    @property
    def linux_spaces(self) -> dict[str, bytes]:
        place = re.compile(r"sys/bus/pci/devices/([0-9a-f:.]{12})/config")
        return {m[1]: data for path, data in self.linux.files.items() if (m := place.fullmatch(path))}


def bdf_of(value: int) -> Bdf:
    return Bdf(0, value >> 8, value >> 3 & 31, value & 7)


@pytest.fixture(scope="module", params=["bios", long("uefi")])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp(f"both-{request.param}")
    (folder / "here").mkdir()
    cli = Cli(folder / "home", folder / "here")
    try:
        assert cli("twin", "up").code == 0
        if request.param == "bios":
            assert cli("power", "e300", "on").code == 0
        process = cli.popen("probe-pci", "e300", "--firmware", request.param)
        pci, stop = [""], threading.Event()

        def watch() -> None:
            while not stop.wait(0.2) and len(list_runs(cli.home / "state" / "runs")) < 2:
                with contextlib.suppress(LabError):
                    said = ask_monitor(cli.home / "run" / "twin-e300", "info pci")
                    if len(list_runs(cli.home / "state" / "runs")) < 2:  # still, after a long answer, too
                        pci[0] = said

        watcher = threading.Thread(target=watch)
        watcher.start()
        _, shown = process.communicate(timeout=PATIENCE_S)
        stop.set()
        watcher.join()
        assert process.returncode == 0, shown
        again = cli("probe-pci", "--from", str(next((cli.home / "state/captures/e300").iterdir())), "--json")
        yield Both(request.param, cli.home, again.json, shown, pci[0])
    finally:
        cli("twin", "down")
    assert not processes_of(cli.home)


# What a running system writes, by the capability it is in: offset and bytes (PCI 3.0, PCIe 5.0 7.5, 7.8).
RUNNING = {0x01: [(4, 2)], 0x05: [(2, 22)], 0x11: [(2, 2)], 0x10: [(8, 4), (16, 4), (24, 6), (40, 4)]}
EXTENDED = {0x0001: [(0x04, 4), (0x10, 4), (0x2C, 8)], 0x000D: [(6, 2)]}
# Bridges' windows are Linux's to move, and what it does not decode it may clear; then error control.
BRIDGE = [(0x1C, 24), (0x3E, 2)]
# The chipset's PIRQ router (ICH9, 13.1.12 and 13.1.14), and the ports that its AHCI driver switches on.
CHIPSET = {"0000:00:1f.0": [(0x60, 4), (0x68, 4)], "0000:00:1f.2": [(0x92, 2)]}


def written_by_linux(bdf: str, space: bytes) -> set[int]:
    """Offsets that may differ: command and status, interrupt line, and the registers above."""
    parts = [(0x04, 4), (0x0C, 1), (0x3C, 1), *CHIPSET.get(bdf, [])]
    parts += BRIDGE if space[0x0E] & 0x7F == 1 else []
    at, seen = space[0x34] & 0xFC, set()
    while at >= 0x40 and at not in seen:
        seen.add(at)
        parts += [(at + offset, size) for offset, size in RUNNING.get(space[at], [])]
        at = space[at + 1] & 0xFC
    at = 0x100 if len(space) > 0x100 else 0
    while at and at not in seen:
        seen.add(at)
        (head,) = struct.unpack_from("<I", space, at)
        parts += [(at + offset, size) for offset, size in EXTENDED.get(head & 0xFFFF, [])]
        at = head >> 20
    return {offset + n for offset, size in parts for n in range(size)}


def test_config_spaces_are_those_that_linux_shows(both: Both) -> None:
    ours, theirs = both.spaces, both.linux_spaces
    assert set(ours) == set(theirs)
    assert len(ours) == 16
    compared = 0
    for bdf, space in ours.items():
        other = theirs[bdf]
        assert len(space) == len(other), bdf
        may = written_by_linux(bdf, space)
        differing = {at for at in range(len(space)) if space[at] != other[at]}
        assert differing <= may, (bdf, sorted(map(hex, differing - may)))
        compared += len(space) - len(may)
    assert compared > 40_000


def test_bars_and_their_sizes_are_qemus(both: Both) -> None:
    told = monitor_bars(both.pci)
    found = functions(both.body)
    assert set(told) == set(found)
    compared = 0
    for bdf, function in found.items():
        if function["header_type"] == 0:
            shown = function["firmware_bars"]
            ours = {b["index"]: (b["kind"], int(b["base"], 16), b["size"]) for b in shown}
            assert ours == {index: bar for index, bar in told[bdf].items() if index < 6}, bdf
            assert function["provenance"]["firmware_bars"].endswith(firmware_report.NAME)
            compared += len(ours)
    assert compared >= 20


def test_measured_pins_outrank_what_linux_used(both: Both) -> None:
    """SLOT7 delivers where Linux says, and at a PCI input; LAN never where Linux says: QEMU's `_PRT` errs."""
    text = both.linux.files["proc/interrupts"].decode()
    used = {}
    for count, pin, users in re.findall(r"^ *\d+: +(\d+) .*IO-APIC +(\d+)-fasteoi +(.*)$", text, re.M):
        used |= {name.strip(): (int(count), int(pin)) for name in users.split(",")}
    found = functions(both.body)
    measured = 0
    for bdf in PORTS:
        if found[bdf]["device"] != "10d3":
            continue  # under UEFI the boot port is virtio's, which has no register that raises an interrupt
        count, pin = used[found[bdf]["net"][0]["name"]]
        arrivals = {(a.ioapic, a.pin) for a in both.pins[bdf].as_sel4.sure}
        best = found[bdf]["pins"][0]
        assert (best["grade"], best["this_unit"]) == ("measured", True)
        assert (best["ioapic"], best["pin"]) in arrivals
        assert best["pin"] == (22 if bdf.startswith("0000:17") else 23)
        if bdf.startswith("0000:17"):
            assert (0, pin) in arrivals
        else:
            assert (0, pin) not in arrivals
            assert count == 0
        assert (0, pin) in {(each["ioapic"], each["pin"]) for each in found[bdf]["pins"]}
        measured += 1
    assert measured == (6 if both.firmware == "bios" else 5)


def test_one_capture_names_both_and_is_the_latest(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRINGUP_HOME", str(both.home))
    assert captures.latest_capture("e300") == both.capture
    assert [(s["kind"], s["name"].rpartition("/")[2]) for s in both.body["sources"]] == [
        ("linux", "linux.tar.gz"),
        ("firmware-probe", firmware_report.NAME),
    ]
    assert both.body["schema"] == 1
    assert both.body["platform"]["firmware"] == both.firmware
    assert not [f for f in both.body["findings"] if f["code"] == "firmware-bar-differs"]
    assert not both.body["conflicts"]
    assert both.body["missing"] == []  # what one probe does not read, the other does


def test_both_runs_did_what_their_dry_run_says(both: Both, cli: Cli) -> None:
    plans = cli("probe-pci", "e300", "--dry-run", "--json", "--firmware", both.firmware).json["plans"]
    for run, plan in zip(both.runs, plans, strict=True):
        begun = [e.text for e in run.events() if e.kind == "run.step" and e.data["state"] == "begin"]
        assert begun == [step["title"] for step in plan["steps"]]


def test_the_board_is_left_as_it_was_found_once_both_are_through(both: Both) -> None:
    events = [event for run in both.runs for event in run.events()]
    actions = [event.data["action"] for event in events if event.kind == "power.action"]
    # The firmware probe is left waiting, and the boot into Linux switches it off.
    found, left = (["off"], "reset") if both.firmware == "bios" else ([], "off")
    assert actions == [*found, "on", "off", "on", left]
    assert [event.data["state"] for event in events if event.kind == "power.found"] == [
        "on" if both.firmware == "bios" else "off"
    ]
    verdicts = [run.read_json("verdict.json") or {} for run in both.runs]
    assert [(v["verdict"], v["stage"]) for v in verdicts] == [("ok", "capture")] * 2
    assert "user-space" not in [stage["name"] for stage in verdicts[0]["stages"]]
    lines = both.shown.splitlines()
    told = [re.split(r"  +", line.strip())[1:] for line in lines if " report " in line or " capture " in line]
    assert re.fullmatch(r"the firmware's view, \d+ frames over the console", told[1][1])


@pytest.mark.long  # a ratio of two boots, which another load on this machine moves
def test_it_takes_less_than_half_the_time_of_linux(both: Both) -> None:
    took = []
    for run in both.runs:
        at = {s["name"]: s["at_s"] for s in (run.read_json("verdict.json") or {})["stages"]}
        took.append(at["capture"] - at["power"])
    assert took[0] < took[1] / 2
    assert firmware_probe().stat().st_size < 64 << 10


class BadConsole:
    """A console that loses one byte in twenty and that somebody else writes to."""

    def __init__(self, console: Console, seed: int = 5, loss: float = 0.05) -> None:
        self._console = console
        self._random = random.Random(seed)
        self._loss = loss
        self.lost = 0

    def read(self, timeout_s: float) -> bytes:
        out = bytearray()
        for byte in self._console.read(timeout_s):
            if self._random.random() < self._loss:
                self.lost += 1
            else:
                out.append(byte)
            if self._random.random() < 0.001:
                out += b"\r\n[  1.5] another writer\r\n"
        return bytes(out)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._console, name)


@dataclass(frozen=True)
class BadPlace:
    """A board's place whose console is a bad line."""

    place: BoardPlace
    line: Callable[[Any], BadConsole]
    made: list[BadConsole]

    def console(self, emit: Emit, *, steal: bool) -> BadConsole:
        self.made.append(self.line(self.place.console(emit, steal=steal)))
        return self.made[-1]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.place, name)


class BadSession(Session):
    """A session whose console is a bad line; `made` are the lines."""

    def __init__(self, line: Callable[[Any], BadConsole]) -> None:
        super().__init__(twin_board("e300"), "probe")
        self.line = line
        self.made: list[BadConsole] = []

    def reach(self, emit: Emit) -> Any:
        return BadPlace(super().reach(emit), self.line, self.made)


def probe_over(
    line: Callable[[Any], BadConsole], folder: Path, words: str | None = None
) -> tuple[OnBoard, int]:
    """Capture by the firmware probe over a bad line; return what came, and how many bytes were lost."""
    probe = PROBES["firmware"]
    probe = probe if words is None else replace(probe, words=words)
    planned = plan_capture(
        load_lab(folder), "e300", CaptureRequest(probes=["firmware"]), probes={"firmware": probe}
    )
    with BadSession(line) as session:
        probed = planned.run_in(session)
        return probed, session.made[0].lost


def test_a_bad_console_still_brings_it_whole(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRINGUP_HOME", str(cli.home))
    probed, lost = probe_over(BadConsole, cli.folder)
    assert not probed.failed
    assert lost > 500
    log = (probed.path / firmware_report.NAME).read_bytes()
    assert b"another writer" in log
    machine = open_capture([probed.path])
    assert len(machine.functions) == 16
    assert [str(pin.bdf) for pin in machine.measured] == PORTS
    assert not [m for m in machine.missing if "frames" in m.what]


def test_what_a_dead_keyboard_loses_is_told(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The console loses bytes and carries none to the board: the verdict says which frames never came."""

    class OneWay(BadConsole):
        def write(self, data: bytes) -> None:
            """Lose it."""

    monkeypatch.setenv("BRINGUP_HOME", str(cli.home))
    told = r"did not come whole: \d+ of \d+ frames came, frames [\d, -]+(and \d+ more ranges )?are missing"
    with pytest.raises(LabError, match=told) as raised:
        probe_over(lambda console: OneWay(console, loss=0.002), cli.folder, "wait=3 after=halt")
    assert captures.latest_capture("e300") is None
    named = re.search(r"--from (\S+);", str(raised.value.hint))
    assert named is not None
    part = Path(named[1])
    machine = open_capture([part])
    assert 3 <= len(machine.functions) <= 16
    assert [m for m in machine.missing if m.what.startswith("frames ")]


@pytest.mark.parametrize(
    # SeaBIOS makes tables of its own where QEMU gives it none; OVMF does not.
    ("variant", "firmware", "count"),
    [("no-acpi", "uefi", 16), long("crowded", "bios", 306)],
)
def test_unusual_machines_are_reported(cli: Cli, variant: str, firmware: str, count: int) -> None:
    assert cli("twin", "up", "--variant", variant).code == 0
    outcome = cli("probe-pci", "e300", "--firmware-probe", "--firmware", firmware, "--json")
    assert outcome.code == 0, outcome.err
    found = functions(outcome.json)
    assert len(found) == count
    assert [bdf for bdf, f in found.items() if f["class"] == "020000"] == PORTS
    pins = {bdf: found[bdf]["pins"][0] for bdf in PORTS if found[bdf]["device"] == "10d3"}
    assert {(pin["grade"], pin["pin"]) for pin in pins.values()} == {("measured", 22), ("measured", 23)}
    assert ("madt" in outcome.json["acpi"]) == (variant != "no-acpi")
    assert cli("power", "e300", "status", "--json").json["state"] == "off"
