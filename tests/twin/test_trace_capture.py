"""What tcpdump saw of a network boot is what the servers told of it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bringup.base.events import Event
from bringup.base.firmware import Firmware
from bringup.jobs.trace import trace_capture
from bringup.netboot.recorded.frames import read_capture
from bringup.netboot.recorded.told import CaptureReader, boot_client
from bringup.netboot.spec import Role, Route, ServedFile, ServeSpec
from tests.twin.helpers import PATIENCE_S, Cli, wait_for
from tests.twin.netboot_lab import BOARD_IP, MAC, SERVER_IP, DhcpClient, Heard, lab, need, segment, served

pytestmark = pytest.mark.slow

FILES: dict[str, tuple[Role, bytes]] = {
    "/undionly.kpxe": ("loader", b"\x01" * 70_001),
    "/boot.ipxe": ("loader-script", b"#!ipxe\n" * 9),
    "/kernel": ("kernel", b"\x7fELF\1\1".ljust(16, b"\0") + b"\2\0" + bytes(150_000)),
    "/module": ("module", b"\x7fELF\2\1".ljust(16, b"\0") + b"\2\0" + bytes(3_000_000)),
}
KINDS = ("dhcp.discover", "dhcp.offer", "dhcp.request", "dhcp.ack", "tftp.done", "http.done")


def essence(events: list[Event]) -> list[tuple[object, ...]]:
    """Return what both tell, in order: who is given what, which file is what to the boot, and its bytes."""
    keys = ("mac", "address", "arch", "path", "role", "bytes")
    return [
        (event.kind, *(str(event.data[key]).lstrip("/") for key in keys if event.data.get(key) is not None))
        for event in events
        if event.kind in KINDS
    ]


def told(capture: Path, mac: str | None) -> list[Event]:
    return list(CaptureReader(mac).events(read_capture(capture)))


def recording(capture: Path) -> list[str]:
    """Return the command that records the bridge of the network that it is run in."""
    return ["tcpdump", "-i", "br0", "-U", "-Z", "root", "--immediate-mode", "-B", "16384", "-w", str(capture)]


def test_the_capture_tells_what_the_servers_told(tmp_path: Path, home: Path) -> None:
    need("tcpdump", "curl")
    served_files = []
    for url, (role, content) in FILES.items():
        path = tmp_path / url.strip("/")
        path.write_bytes(content)
        served_files.append(ServedFile(url, path, role, len(content)))
    spec = ServeSpec(segment(), tuple(served_files), Route(Firmware.BIOS, "ipxe", "multiboot", "http"))
    heard, capture = Heard(), tmp_path / "boot.pcap"
    with lab() as network:
        client, board = DhcpClient(network), network.neighbour("board0", f"{BOARD_IP}/24", MAC)
        watch = network.start([*network.enter, *recording(capture)], stderr=subprocess.PIPE)
        assert watch.stderr is not None and b"listening" in watch.stderr.readline()
        with served(spec, heard, network.enter):
            asks = {"mac": MAC, "arch": 0, "vendor_class": "PXEClient:Arch:00000:UNDI:003000"}
            assert client.ask(asks)[0] is not None and client.ask({**asks, "type": 3})[0] is not None
            # What is asked for before the servers have told of the last may be told before it, too.
            heard.wait("dhcp.request")
            for number, (url, (role, _)) in enumerate(FILES.items()):
                scheme = "tftp" if number == 0 else "http"
                fetch = ["curl", "-sS", "--fail", "--max-time", "60", f"{scheme}://{SERVER_IP}{url}"]
                done = subprocess.run([*board, *fetch], capture_output=True, timeout=PATIENCE_S, check=True)
                assert done.stdout == FILES[url][1]
                heard.wait(f"{scheme}.done", role=role)
        expected = essence(sorted(heard.events, key=lambda event: event.at_s))
        # It is written a moment after it was seen.
        wait_for(lambda: essence(told(capture, MAC)) == expected)
        watch.send_signal(signal.SIGINT)
        watch.wait(timeout=PATIENCE_S)
        assert essence(told(capture, boot_client(read_capture(capture)))) == expected
        _, ending = trace_capture(capture, None)
        assert (ending.reached, ending.missing) == ("modules", "kernel")


@contextmanager
def recorded(cli: Cli, capture: Path) -> Iterator[None]:
    """Record the network of the twin that is up."""
    watch = cli.popen("twin", "shell", *recording(capture))
    try:
        assert watch.stderr is not None and "listening" in watch.stderr.readline()
        yield
    finally:
        watch.send_signal(signal.SIGINT)
        watch.communicate(timeout=PATIENCE_S)


def traced(cli: Cli, *words: str) -> dict[str, Any]:
    outcome = cli("runs", "trace", *words, "--json")
    assert outcome.code == 0, outcome.err
    return outcome.json


def before(log: Path, text: bytes, folder: Path) -> Path:
    """Return a copy of a recorded console that ends where `text` begins, with its times."""
    folder.mkdir()
    cut = folder / log.name
    cut.write_bytes(log.read_bytes().partition(text)[0])
    cut.with_suffix(".idx").write_bytes(log.with_suffix(".idx").read_bytes())
    return cut


def test_a_whole_boot_of_a_machine_is_told_from_its_packets_and_its_console(cli: Cli, tmp_path: Path) -> None:
    need("tcpdump")
    assert cli("twin", "up").code == 0
    capture = tmp_path / "boot.pcap"
    with recorded(cli, capture):
        verdict = cli("boot", "e300", "--json").json
    assert verdict["verdict"] == "ok", verdict
    console = Path(verdict["folder"]) / "console.log"

    told, own = traced(cli, "--pcap", str(capture), "--console", str(console)), traced(cli)
    assert (told["reached"], told["missing"], told["verdict"]) == ("user-space", None, "ok"), told
    assert told["causes"] == []
    times = [moment["at_s"] for moment in told["moments"]]
    assert None not in times and times == sorted(times)
    tracks = [moment["track"] for moment in told["moments"]]
    assert tracks.index("DHCP") < tracks.index("HTTP")
    assert told["moments"][-1]["text"].startswith("user-space"), told["moments"][-3:]
    # What the wire and the console show, the servers and the boot told, too.
    assert {"DHCP", "HTTP", "console"} <= set(tracks) <= {moment["track"] for moment in own["moments"]}

    halfway = before(console, b"Booting all finished", tmp_path / "half")
    told = traced(cli, "--pcap", str(capture), "--console", str(halfway))
    assert (told["reached"], told["missing"]) == ("kernel", "user-space")
    assert told["verdict"] != "ok" and told["causes"]
    told = traced(cli, "--pcap", str(capture))
    assert (told["reached"], told["missing"]) == ("modules", "kernel")
