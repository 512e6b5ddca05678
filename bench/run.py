"""Figures of this tool against peers, in one run: `make bench`.

    boot     power-on to user space, stand-in with a 64 MiB module, against hand-made dnsmasq and -kernel
    uefi     power-on to the kernel's start under UEFI by each loader, with a 64 MiB module and with 1 MiB
    start    user time of `bringup --help` and `bringup boards` against `python3 -c pass` (hyperfine)
    memory   the peak of every process of a boot together, without QEMU

Prints a table, and one JSON object with --json FILE. Times are of one machine; the ratios are the point.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from baseline import direct_boot, dnsmasq_boot

from bringup.image.standin import standin_kernel, standin_module

MODULE_MIB = 64
BRINGUP = [sys.executable, "-m", "bringup"]


def main() -> None:
    """Run the benchmarks asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", default=["boot", "uefi", "start", "memory"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results: dict[str, Any] = {}
    for name in options.what:
        results[name] = BENCHMARKS[name](options.rounds)
        print(f"\n{name}")
        for key, value in results[name].items():
            print(f"  {key:<44} {value}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


def boot(rounds: int) -> dict[str, Any]:
    """Compare medians; the peers take turns, so that a slow minute of this machine hits all of them."""
    kernel, module = standin_kernel(), standin_module(MODULE_MIB << 20)
    peers: dict[str, Callable[[], float]] = {
        "bringup, BIOS": lambda: our_boot("bios"),
        "bringup, UEFI": lambda: our_boot("uefi"),
        "hand-made dnsmasq + TFTP, iPXE script": lambda: dnsmasq_boot(kernel, module, "ipxe"),
        "hand-made dnsmasq + TFTP, GRUB": lambda: dnsmasq_boot(kernel, module, "grub"),
        "QEMU -kernel": lambda: direct_boot(kernel, module),
    }
    medians = in_turns(peers, rounds)
    ours = medians["bringup, BIOS"]
    table: dict[str, Any] = {
        f"{name} (median of {rounds}, s)": round(value, 2) for name, value in medians.items()
    }
    for name in list(peers)[2:]:
        table[f"ratio to {name}"] = round(ours / medians[name], 3)
    return table


def in_turns(peers: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Run all peers once a round; return the median seconds of each."""
    times: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(rounds):
        for name, run in peers.items():
            times[name].append(run())
            print(f"    {name}: {times[name][-1]:.2f} s", file=sys.stderr, flush=True)
    return {name: statistics.median(values) for name, values in times.items()}


def uefi(rounds: int) -> dict[str, Any]:
    """Compare what 63 MiB more cost by each loader; the aim is a ratio of 1.2 for the one taken by itself."""
    peers: dict[str, Callable[[], float]] = {
        f"{loader}, {mib} MiB": partial(our_boot, "uefi", mib, loader, until="kernel")
        for loader in ("efi", "efi-tftp", "grub")
        for mib in (1, MODULE_MIB)
    }
    medians = in_turns(peers, rounds)
    table: dict[str, Any] = {
        f"{name} (median of {rounds}, s)": round(value, 2) for name, value in medians.items()
    }
    for loader in ("efi", "efi-tftp", "grub"):
        ratio = medians[f"{loader}, {MODULE_MIB} MiB"] / medians[f"{loader}, 1 MiB"]
        table[f"{loader}: {MODULE_MIB} MiB by 1 MiB"] = round(ratio, 3)
    return table


def our_boot(
    firmware: str, module_mib: int = MODULE_MIB, loader: str = "auto", until: str = "user-space"
) -> float:
    """Return the seconds from confirmed power-on to `until`."""
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        done = subprocess.run(
            [
                *(*BRINGUP, "boot", "e300", "--json", "--firmware", firmware, "--loader", loader),
                *("--module-size", str(module_mib), "--until", until),
            ],
            env={**os.environ, "BRINGUP_HOME": home},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    verdict = json.loads(done.stdout)
    if verdict["verdict"] != "ok":
        raise SystemExit(f"the boot under {firmware} failed: {verdict}")
    at = {stage["name"]: stage["at_s"] for stage in verdict["stages"]}
    return float(at[until] - at["power"])


def start(_rounds: int) -> dict[str, Any]:
    """Measure user time of short commands with hyperfine."""
    installed = Path(sys.executable).parent / "bringup"
    commands = {
        "python3 -c pass": f"{sys.executable} -c pass",
        "bringup --help": f"{installed} --help",
        "bringup boards": f"{installed} boards",
    }
    table: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        report = Path(home) / "hyperfine.json"
        subprocess.run(
            [
                "hyperfine",
                "--shell=none",
                "--warmup=3",
                "--runs=20",
                f"--export-json={report}",
                *commands.values(),
            ],
            env={**os.environ, "BRINGUP_HOME": home},
            cwd=home,
            check=True,
            capture_output=True,
        )
        for name, result in zip(commands, json.loads(report.read_text())["results"], strict=True):
            table[f"{name}: user time (mean of 20, s)"] = round(result["user"], 3)
    return table


def memory(_rounds: int) -> dict[str, Any]:
    """Sample every process of one boot; a page that two processes share counts once (PSS)."""
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        process = subprocess.Popen(
            [*BRINGUP, "boot", "e300", "--json", "--module-size", str(MODULE_MIB)],
            env={**os.environ, "BRINGUP_HOME": home},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        peaks = Peaks(home)
        sampler = threading.Thread(target=peaks.sample_until_gone, args=(process,), daemon=True)
        sampler.start()
        process.wait(240)
        sampler.join(5)
    return peaks.table()


class Peaks:
    """The largest sums seen over all processes started with one home, QEMU apart."""

    def __init__(self, home: str) -> None:
        self._needle = f"BRINGUP_HOME={home}".encode()
        self._rss = self._pss = 0
        self._by_process: dict[str, int] = {}

    def sample_until_gone(self, process: subprocess.Popen[bytes]) -> None:
        while process.poll() is None:
            rss = pss = 0
            for folder in Path("/proc").glob("[0-9]*"):
                try:
                    if self._needle not in (folder / "environ").read_bytes():
                        continue
                    name = _name((folder / "cmdline").read_bytes())
                    rollup = (folder / "smaps_rollup").read_text()
                except OSError:
                    continue
                if name is None:
                    continue
                mine = _field(rollup, "Rss:")
                rss, pss = rss + mine, pss + _field(rollup, "Pss:")
                self._by_process[name] = max(self._by_process.get(name, 0), mine)
            self._rss, self._pss = max(self._rss, rss), max(self._pss, pss)
            time.sleep(0.1)

    def table(self) -> dict[str, Any]:
        table = {f"{name}: peak RSS (MiB)": round(kib / 1024, 1) for name, kib in self._by_process.items()}
        table["all together: peak of summed RSS (MiB)"] = round(self._rss / 1024, 1)
        table["all together: peak of summed PSS (MiB)"] = round(self._pss / 1024, 1)
        return table


def _name(command: bytes) -> str | None:
    words = command.decode(errors="replace").split("\0")
    if not words[0] or "qemu-system" in words[0]:
        return None
    module = words[words.index("-m") + 1] if "-m" in words else ""
    return module or Path(words[0]).name


def _field(rollup: str, name: str) -> int:
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith(name))


BENCHMARKS: dict[str, Callable[[int], dict[str, Any]]] = {
    "boot": boot,
    "uefi": uefi,
    "start": start,
    "memory": memory,
}

if __name__ == "__main__":
    if shutil.which("hyperfine") is None:
        raise SystemExit("hyperfine is not installed: `make system-test`")
    main()
