"""What tcpdump saw of a network boot is what the servers told of it."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from bringup.base.events import Event
from bringup.base.firmware import Firmware
from bringup.jobs.trace import trace_capture
from bringup.netboot.recorded.frames import read_capture
from bringup.netboot.recorded.told import CaptureReader, boot_client
from bringup.netboot.spec import Role, Route, ServedFile, ServeSpec
from tests.twin.helpers import wait_for
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
        watch = network.start(
            [
                *network.enter,
                "tcpdump",
                "-i",
                "br0",
                "-U",
                "-Z",
                "root",
                "--immediate-mode",
                "-B",
                "16384",
                "-w",
                str(capture),
            ],
            stderr=subprocess.PIPE,
        )
        assert watch.stderr is not None and b"listening" in watch.stderr.readline()
        with served(spec, heard, network.enter):
            asks = {"mac": MAC, "arch": 0, "vendor_class": "PXEClient:Arch:00000:UNDI:003000"}
            assert client.ask(asks)[0] is not None and client.ask({**asks, "type": 3})[0] is not None
            for number, url in enumerate(FILES):
                scheme = "tftp" if number == 0 else "http"
                fetch = ["curl", "-sS", "--fail", "--max-time", "20", f"{scheme}://{SERVER_IP}{url}"]
                done = subprocess.run([*board, *fetch], capture_output=True, timeout=30, check=True)
                assert done.stdout == FILES[url][1]
            assert wait_for(lambda: len(heard.of("http.done")) == 3)
        mac = boot_client(read_capture(capture))
        # It is written a moment after it was seen.
        assert wait_for(
            lambda: b"/module" in capture.read_bytes() and told(capture, mac)[-1].kind == "http.done"
        )
        watch.send_signal(signal.SIGINT)
        watch.wait(timeout=10)
        seen = told(capture, mac)
        assert essence(seen) == essence(sorted(heard.events, key=lambda event: event.at_s))
        _, ending = trace_capture(capture, None)
        assert (ending.reached, ending.missing) == ("modules", "kernel")
