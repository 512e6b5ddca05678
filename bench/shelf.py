"""Many boards against one, and against FreeIPMI and ipmitool, in one run: `python bench/shelf.py [BOARDS]`.

    status    power state of all BMCs: `bringup power`, `ipmipower --stat`, one `ipmitool` after the other
    boot      all scripted boards in one call, and one alone
    reimage   the same, onto blank disks
    memory    of the processes that play the boards, per board (PSS)

The boards are scripted: what is measured is this tool, not what they boot.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Run all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("boards", nargs="?", type=int, default=64)
    parser.add_argument("--jobs", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        Shelf(Path(home), options.boards, options.jobs).measure()


class Shelf:
    """A shelf in a home of its own."""

    def __init__(self, home: Path, count: int, at_once: int) -> None:
        self._count, self._at_once = count, at_once
        self._environment = {**os.environ, "BRINGUP_HOME": str(home), "PYTHONPATH": str(CHECKOUT)}
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def measure(self) -> None:
        """Start it, print the figures, end it."""
        shelf = json.loads(self._tool("twin", "shelf", str(self._count), "--full", "0", "--json"))
        self._environment["BRINGUP_LAB"] = shelf["lab"]
        try:
            self._status(shelf["boards"])
            self._boot()
            self._reimage()
            self._memory(shelf["boards"][0]["pid"])
        finally:
            self._tool("twin", "shelf", "--down")

    def _status(self, boards: Sequence[dict[str, Any]]) -> None:
        first = boards[0]["bmc"]
        password = Path(first["password_file"]).read_text().strip()
        hosts = ",".join(f"127.0.0.1:{board['bmc']['port']}" for board in boards)
        ipmipower = ["ipmipower", "-h", hosts, "-u", first["user"], "-p", password, "-D", "LAN_2_0", "--stat"]

        def one_by_one() -> None:
            for board in boards:
                port = str(board["bmc"]["port"])
                command = ["ipmitool", "-I", "lanplus", "-H", "127.0.0.1", "-p", port, "-U", first["user"]]
                self._run([*command, "-P", password, "chassis", "power", "status"])

        ours = _seconds(lambda: self._tool("power", "scripted", "--json"))
        free = _seconds(lambda: self._run(ipmipower))
        tool = _seconds(one_by_one)
        print(f"status of {self._count}: bringup {ours:.2f} s, ipmipower {free:.2f} s, ipmitool {tool:.2f} s")
        print(f"    bringup / ipmipower {ours / free:.2f}, bringup / ipmitool {ours / tool:.2f}")

    def _boot(self) -> None:
        self._tool("boot", "shelf-01", "--json")  # what is made once is made now
        one = _seconds(lambda: self._tool("boot", "shelf-01", "--json"))
        self._all("boot", one)

    def _reimage(self) -> None:
        self._tool("reimage", "shelf-01", "--yes", "--json")
        one = _seconds(lambda: self._tool("reimage", "shelf-02", "--yes", "--json"))
        self._all("reimage", one)

    def _all(self, command: str, one: float) -> None:
        words = (command, "scripted", "--yes", "--stagger", "0", "--jobs", str(self._at_once), "--json")
        told: list[str] = []
        every = _seconds(lambda: told.append(self._tool(*words)))
        batch = json.loads(told[0])
        print(
            f"{command} of 1: {one:.2f} s, of {self._count}: {every:.2f} s, ratio {every / one:.2f}", end=""
        )
        print(f" ({batch['ok']} ok, {batch['failed']} failed)", flush=True)

    def _memory(self, pid: int) -> None:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        total = sum(_pss_kib(each) for each in [pid, *map(int, children)])
        print(
            f"memory: {total / 1024:.1f} MiB for {self._count} boards, {total / 1024 / self._count:.2f} each"
        )

    def _tool(self, *words: str) -> str:
        return self._run([sys.executable, "-m", "bringup", *words])

    def _run(self, command: Sequence[str]) -> str:
        done = subprocess.run(command, capture_output=True, text=True, env=self._environment, check=False)
        if done.returncode not in (0, 10, 11):
            raise SystemExit(f"{command[:6]} ended with {done.returncode}: {done.stderr[-500:]}")
        return done.stdout


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _pss_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


if __name__ == "__main__":
    main()
