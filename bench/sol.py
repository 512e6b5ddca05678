"""What Serial-over-LAN loses: ours, `ipmitool sol activate` and ipmiconsole under the same faults.

    python bench/sol.py [MEBIBYTES [RATE [SEED]]]        8 MiB at 11520 bytes a second: 13 minutes

The board of a BMC of our own prints numbered lines while its BMC ends the console 20 times, the network loses
every packet for 1 to 10 s 20 times, and the client is stopped for 1 to 10 s 5 times, at moments that the seed
decides. Each client has a BMC to itself; one that ends is started again. ipmiconsole needs the right to have
port 623.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.doubles.sol_losses import LINE_BYTES, Lost, ipmiconsole, ipmitool, ours, run, schedule

MIB = 1 << 20


def main() -> None:
    """Print one line for each client."""
    size = int(float(sys.argv[1]) * MIB) if len(sys.argv) > 1 else 8 * MIB
    rate = int(sys.argv[2]) if len(sys.argv) > 2 else 11520
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    faults = schedule(seed, size / rate, drops=20, losses=20, stalls=5)
    peers = {"bringup": (ours, "127.0.0.2", 0)}
    peers |= {"ipmitool": (ipmitool, "127.0.0.3", 0)} if shutil.which("ipmitool") else {}
    peers |= {"ipmiconsole": (ipmiconsole, "127.0.0.9", 623)} if shutil.which("ipmiconsole") else {}
    cut_s = sum(fault.seconds for fault in faults if fault.kind == "loss")
    print(
        f"{size // LINE_BYTES} lines at {rate} bytes/s, seed {seed}, {cut_s:.0f} s without any packet",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor() as threads:
        told: dict[str, Future[Lost]] = {}
        for word, (peer, host, port) in peers.items():
            folder = Path(name, word)
            folder.mkdir()
            told[word] = threads.submit(run, peer, folder, faults, size=size, rate=rate, host=host, port=port)
        for word, lost in told.items():
            print(f"{word:12} {lost.result()}", flush=True)


if __name__ == "__main__":
    main()
