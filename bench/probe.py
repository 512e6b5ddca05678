"""How long a capture on the twin takes, against the bare boot of the same ramdisk by QEMU's `-kernel`.

    python bench/probe.py [ROUNDS [OPTION OF probe-pci...]]

Both end when the capture has come by HTTP. The bare boot is the twin's own machine without a firmware that
looks for a network, a boot loader or a BMC: what remains is Linux, the ramdisk and QEMU.
"""

from __future__ import annotations

import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from bringup.base.firmware import Firmware
from bringup.probe.on_board import KERNEL_WORDS
from bringup.probe.ramdisk import TWIN_WORDS, ProbeKernel, find_kernel, ramdisk
from bringup.twin.chassis import prepare_firmware_files
from bringup.twin.machine import BOOT_MAC, NICS, BootOrder, Wiring, qemu_arguments

TIMEOUT_S = 120.0


class Receiver(HTTPServer):
    """Takes one PUT."""

    def __init__(self) -> None:
        self.got = threading.Event()
        self.size = 0
        super().__init__(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answer(BaseHTTPRequestHandler):
    """Answers 201 to whatever is sent."""

    server: Receiver

    def do_PUT(self) -> None:
        self.server.size = len(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(201)
        self.end_headers()
        self.server.got.set()

    def log_message(self, *_words: object) -> None:
        return


def bare_boot(kernel: ProbeKernel, disk: Path) -> tuple[float, int]:
    """Return the seconds from QEMU's start to the capture, and the capture's size in bytes."""
    receiver = Receiver()
    pairs = [socket.socketpair() for _ in range(3)]
    for near, _ in pairs[:2]:
        threading.Thread(target=_read, args=(near,), daemon=True).start()
    kcs = socket.socket(socket.AF_UNIX)
    kcs.bind("")
    kcs.listen(1)
    com1, sol, qmp = (far.fileno() for _, far in pairs)
    wiring = Wiring(com1, sol, qmp, kcs.fileno(), {n.name: "" for n in NICS})
    words = f"console=ttyS1,115200n8 {KERNEL_WORDS} {TWIN_WORDS} "
    words += f"bringup.macs={BOOT_MAC} bringup.settle=0 bringup.url="
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        prepare_firmware_files(folder)
        command = qemu_arguments(Firmware.BIOS, BootOrder(False), wiring, memory_mib=2048, folder=folder)
        command = [_without_tap(word) for word in command]
        url = f"http://10.0.2.2:{receiver.server_port}/upload/bench"
        command += ["-kernel", str(kernel.path), "-initrd", str(disk), "-append", words + url]
        began_s = time.monotonic()
        with subprocess.Popen(command, pass_fds=(com1, sol, qmp, wiring.kcs_fd)) as process:
            try:
                if not receiver.got.wait(TIMEOUT_S):
                    raise SystemExit(f"the bare boot brought no capture within {TIMEOUT_S:.0f} s")
                return time.monotonic() - began_s, receiver.size
            finally:
                process.kill()
                receiver.shutdown()
                for end in (kcs, *(end for pair in pairs for end in pair)):
                    end.close()


def _read(sol: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while sol.recv(65536):
            continue


def _without_tap(word: str) -> str:
    if not word.startswith("tap,id="):
        return word
    name = word.split(",")[1]
    return f"user,{name}" if name.endswith(NICS[0].name) else f"hubport,{name},hubid=99"


def whole_command() -> float:
    """Return the seconds that `bringup probe-pci e300` takes, from its start to its end."""
    began_s = time.monotonic()
    command = [sys.executable, "-m", "bringup", "probe-pci", "e300", *sys.argv[2:], "--json"]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - began_s


def main() -> None:
    """Measure both in turn, and print the medians."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        os.environ["BRINGUP_HOME"] = home
        kernel = find_kernel()
        disk = ramdisk(kernel)
        whole_s, bare_s, size = [], [], 0
        for _ in range(rounds):
            whole_s.append(whole_command())
            seconds, size = bare_boot(kernel, disk)
            bare_s.append(seconds)
    whole, bare = statistics.median(whole_s), statistics.median(bare_s)
    print(f"bringup probe-pci e300: {whole:.1f} s; QEMU -kernel with the same ramdisk: {bare:.1f} s")
    print(f"ratio {whole / bare:.2f}; capture {size} bytes on the wire; {rounds} rounds")


if __name__ == "__main__":
    main()
