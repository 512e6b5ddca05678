"""How fast `bringup explain` reads, on one core, and with how much memory.

Without LOG it makes consoles of its own: a guest's Linux alone, three VMs whose lines interleave in colours,
a test suite whose refused system calls are in bold, and the same as another program stamped it. Times are CPU
seconds of this process; memory is what the peak of the process grows by between 8 MB and 64 MB.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import resource
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from bringup.base.firmware import Firmware
from bringup.boot.recorded import judge_recording
from bringup.boot.watch_request import WatchRequest

PIECE = 65536
REQUEST = WatchRequest(Firmware.BIOS, by_itself=True)
BOOT = (
    "Boot config: debug_port = 0x2f8\r\nBoot config: disable_iommu = false\r\nDetected 1 boot module(s):\r\n"
    "ACPI: MADT_IOAPIC ioapic_id=0 ioapic_addr=0xfec00000 gsib=0\r\n"
    "Booting all finished, dropped to user space\r\n"
)
LINUX = (
    "[    0.000000] BIOS-e820: [mem 0x0000000010003000-0x0000000018002fff] usable\r\n",
    "[    0.610000] pci 0000:00:01.0: [1af4:1000] type 00 class 0x020000\r\n",
    "[    1.194347] serial8250: ttyS0 at I/O 0x3f8 (irq = 4, base_baud = 115200) is a 16550A\r\n",
    "[    1.863409] NET: Registered PF_INET6 protocol family\r\n",
    "[    2.163169] usbcore: registered new interface driver usb-storage\r\n",
)
REFUSED = (
    "\x1b[0m\x1b[1m<<\x1b[0m\x1b[32mseL4(CPU 0)\x1b[0m\x1b[1m [decodeInvocation/643 T0xffffff817ffe7c00 "
    "\"child of: '51'\" @413dd5]: Attempted to invoke a null cap #231.>>\x1b[0m\r\n"
)


def linux() -> Iterator[str]:
    """One guest that goes on and on."""
    return itertools.chain([BOOT], itertools.cycle(LINUX))


def three_vms() -> Iterator[str]:
    """Lines of three guests, the colour changed before most of them."""
    rng = random.Random(1)
    yield BOOT
    for line in itertools.cycle(LINUX):
        yield f"\x1b[0m\x1b[{rng.choice((32, 34, 35))};47m{line}\r"


def suite() -> Iterator[str]:
    """Tests, each with refused system calls."""
    yield BOOT + "Starting test suite sel4test\r\n"
    for number in itertools.count():
        yield f"Starting test {number}: SYSCALL{number % 10000:04}\r\n{REFUSED * 6}"


def stamped() -> Iterator[str]:
    """The suite as another program recorded it."""
    for text in suite():
        for line in text.splitlines(keepends=True):
            yield f"2026-11-28T10:56:19.259Z  {line}"


CONSOLES = {"one guest": linux, "three VMs": three_vms, "test suite": suite, "suite, stamped": stamped}


def pieces(lines: Iterable[str], size: int) -> Iterator[bytes]:
    """Yield about `size` bytes of console in pieces as a file is read in."""
    total, block = 0, ""
    for line in lines:
        block += line
        if len(block) >= PIECE:
            yield block.encode()
            total, block = total + len(block), ""
            if total >= size:
                return


def rate(data: list[bytes]) -> float:
    """Return megabytes a second."""
    began = time.process_time()
    judge_recording(data, REQUEST)
    return sum(map(len, data)) / (time.process_time() - began) / 1e6


def peak_kib() -> int:
    """Return the most memory this process has had, KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """Print a table, and one JSON object with --json FILE."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("logs", nargs="*", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results: dict[str, float] = {}
    for log in options.logs:
        data = log.read_bytes()
        results[f"{log.name} (MB/s)"] = round(rate([data] * max(1, 4_000_000 // len(data))), 1)
    for name, make in CONSOLES.items() if not options.logs else ():
        results[f"{name} (MB/s)"] = round(rate(list(pieces(make(), 8_000_000))), 1)
    judge_recording(pieces(three_vms(), 8_000_000), REQUEST)
    before = peak_kib()
    judge_recording(pieces(three_vms(), 64_000_000), REQUEST)
    results["memory more for 64 MB than for 8 MB (KiB)"] = peak_kib() - before
    for key, value in results.items():
        print(f"  {key:<44} {value}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
