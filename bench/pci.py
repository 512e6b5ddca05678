"""Figures of `bringup probe-pci --from` and of its parsers against peers: `python bench/pci.py`.

    command   whole process on the largest recorded machine, against `lspci -vvv -nn` on the same tree
    acpi      seconds until the `_PRT`s of a dump of ACPI tables are known, by acpiexec
    parse     functions a second in one process, each parser on its format; jc, pylspci on the same text

Recorded machines are read from --data (default: ../shared/data/pci beside the checkout), dumps of ACPI tables
from the folder acpi beside it; texts in other
formats are made of the largest one by lspci. Nothing is installed for this: a peer that is not there is a
line that says how. Prints a table, and one JSON object with --json FILE. Times are of
one machine; the ratios are the point.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bringup.pci.acpi.prt import with_routing
from bringup.pci.sources.dmesg import addresses as dmesg
from bringup.pci.sources.linux import read_linux
from bringup.pci.sources.lspci import machine as lspci_machine
from bringup.pci.sources.lspci import text as lspci
from bringup.pci.sources.pciconf import text as pciconf
from bringup.pci.tree.bundle import read_archive
from bringup.pci.tree.find import open_tree

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data" / "pci"
PEERS = ROOT / "build" / "peers"
INSTALL = f"not installed: pip install --target {PEERS.relative_to(ROOT)} jc pylspci"
ROUND_SECONDS = 0.3
ACPI_ROUNDS = 5

Table = dict[str, Any]


def main() -> None:
    """Run the benchmarks asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", default=list(BENCHMARKS))
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    archive = largest(options.data)
    results: dict[str, Table] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        tree = unpacked(archive, Path(folder))
        for name in options.what:
            results[name] = BENCHMARKS[name](archive, tree, options.rounds)
            print(f"\n{name}")
            for key, value in results[name].items():
                print(f"  {key:<60} {value}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


def largest(data: Path) -> Path:
    """Return the largest recorded sysfs tree."""
    found = sorted(data.glob("*.tar.*"), key=lambda path: path.stat().st_size)
    if not found:
        raise SystemExit(
            f"no recorded machine (an archive with sys/bus/pci/devices) in {data}: name a folder by --data"
        )
    return found[-1]


def unpacked(archive: Path, folder: Path) -> Path:
    """Unpack an archive that was recorded for this, and return the machine's root in it."""
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="tar")
    return next(path.parents[3] for path in folder.glob("**/sys/bus/pci/devices"))


def command(archive: Path, tree: Path, rounds: int) -> Table:
    """Time whole processes."""
    installed = Path(sys.executable).parent / "bringup"
    commands = {
        "lspci -vvv -nn": " ".join(lspci_on(tree, "-vvv", "-nn")),
        "bringup probe-pci --from FOLDER": f"{installed} probe-pci --from {tree} --json",
        "bringup probe-pci --from ARCHIVE": f"{installed} probe-pci --from {archive} --json",
        "bringup --version (start-up alone)": f"{installed} --version",
        "python3 -c pass": f"{sys.executable} -c pass",
    }
    report = tree / "hyperfine.json"
    subprocess.run(
        [
            "hyperfine",
            "--shell=none",
            "--warmup=3",
            f"--runs={rounds}",
            f"--export-json={report}",
            *commands.values(),
        ],
        env=_as_installed(tree),
        check=True,
        capture_output=True,
    )
    results = dict(zip(commands, json.loads(report.read_text())["results"], strict=True))
    table: Table = {
        "capture": f"{archive.name}, {len(list((tree / 'sys/bus/pci/devices').iterdir()))} functions"
    }
    for name, result in results.items():
        table[f"{name}: median of {rounds} (ms)"] = round(result["median"] * 1000)
        table[f"{name}: user time (ms)"] = round(result["user"] * 1000)
    for name in list(commands)[1:3]:
        ratio = results[name]["median"] / results["lspci -vvv -nn"]["median"]
        table[f"{name}: times as long as lspci"] = round(ratio, 1)
    return table


def _as_installed(tree: Path) -> dict[str, str]:
    """Return an environment with a home of its own, where byte code is kept."""
    environment = {**os.environ, "BRINGUP_HOME": str(tree / "home"), "PYTHONPYCACHEPREFIX": str(tree / "pyc")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


def lspci_on(tree: Path, *options: str) -> list[str]:
    return ["lspci", "-A", "linux-sysfs", "-O", f"sysfs.path={tree}/sys/bus/pci", *options]


def acpi(archive: Path, _tree: Path, rounds: int) -> Table:
    """Time the routing of each dump; a machine is what the archive holds."""
    table: Table = {}
    for dump in sorted((archive.parent.parent / "acpi").glob("*.tar.*")):
        tree = open_tree(read_archive(dump.read_bytes(), dump.name), dump.name)
        machine = read_linux(tree, dump.name)
        times = []
        for _ in range(min(rounds, ACPI_ROUNDS)):
            begun = time.perf_counter()
            routed = with_routing(machine)
            times.append(time.perf_counter() - begun)
        table[f"{dump.name}: median and most of {len(times)} (s)"] = (
            f"{statistics.median(times):.2f} and {max(times):.2f}, {len(routed.acpi.prt or ())} entries"
        )
    return table


def parse(archive: Path, tree: Path, rounds: int) -> Table:
    """Time parsers in this process; a listing in memory to a model in memory."""
    verbose = listing(tree, "-nn", "-vvv", "-xxxx")
    machine = listing(tree, "-vmm", "-nn", "-k", "-D")
    log = boot_log(lspci.parse(verbose).functions)
    files = open_tree(read_archive(archive.read_bytes(), archive.name), archive.name)
    table: Table = {}
    ours: list[tuple[str, Callable[[], int]]] = [
        ("sysfs tree", lambda: len(read_linux(files, "it").functions)),
        ("lspci -nn -vvv -xxxx", lambda: len(lspci.parse(verbose).functions)),
        ("lspci -vmmnnk", lambda: len(lspci_machine.parse(machine).functions)),
        ("boot log", lambda: len(dmesg.parse(log).functions)),
    ]
    recorded = sorted(archive.parent.glob("pciconf-*"), key=lambda path: path.stat().st_size)
    if recorded:
        text = recorded[-1].read_bytes()
        ours.append(("pciconf -lvbc", lambda: len(pciconf.parse(text).functions)))
    for name, run in ours:
        table[f"bringup, {name} (functions/s)"] = rate(run, rounds)
    sys.path.append(str(PEERS))
    mine = dict(ours)["lspci -vmmnnk"]
    for name, peer in (("jc", jc_on), ("pylspci", pylspci_on)):
        try:
            run = peer(machine.decode())
        except ImportError:
            table[f"{name}, lspci -vmmnnk"] = INSTALL
            continue
        if run() != mine():
            table[f"{name} finds other functions than bringup"] = f"{run()} and {mine()}"
        our_rate, theirs = rates([mine, run], rounds)
        table[f"{name}, lspci -vmmnnk (functions/s)"] = theirs
        table[f"bringup's rate to {name}'s on the same text"] = round(our_rate / theirs, 2)
    return table


def listing(tree: Path, *options: str) -> bytes:
    return subprocess.run(lspci_on(tree, *options), check=True, capture_output=True).stdout


def boot_log(functions: Any) -> bytes:
    """Return what Linux would have logged of these functions (drivers/pci/probe.c and setup-res.c)."""
    lines = ["Linux version 6.1.0"]
    for f in functions:
        kind = f"type {f.header_type:02x} class {f.class_code:#06x}00"
        lines.append(f"pci {f.bdf}: [{f.vendor:04x}:{f.device:04x}] {kind}")
        lines += [
            f"pci {f.bdf}: reg {0x10 + 4 * bar.index:#x}: [{bar.kind} {bar.base:#x}-{bar.end - 1:#x}]"
            for bar in f.bars or ()
            if bar.base is not None and bar.end is not None
        ]
    return ("\n".join(lines) + "\n").encode()


def rate(run: Callable[[], int], rounds: int) -> int:
    """Return functions a second, the median of some rounds of a third of a second."""
    return rates([run], rounds)[0]


def rates(runs: Sequence[Callable[[], int]], rounds: int) -> list[int]:
    """Return those of peers, which take turns, so that a slow minute of this machine hits all of them."""
    counts = [run() for run in runs]
    if not all(counts):
        raise SystemExit("a parser found no function: there is nothing to compare")
    seen: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds):
        for run, count, told in zip(runs, counts, seen, strict=True):
            done, start = 0, time.perf_counter()
            while (spent := time.perf_counter() - start) < ROUND_SECONDS:
                run()
                done += 1
            told.append(count * done / spent)
    return [round(statistics.median(told)) for told in seen]


def jc_on(text: str) -> Callable[[], int]:
    parser = importlib.import_module("jc.parsers.lspci")
    return lambda: len(parser.parse(text, quiet=True))


def pylspci_on(text: str) -> Callable[[], int]:
    parser = importlib.import_module("pylspci.parsers").VerboseParser()
    return lambda: len(parser.parse(text))


BENCHMARKS: dict[str, Callable[[Path, Path, int], Table]] = {
    "command": command,
    "acpi": acpi,
    "parse": parse,
}

if __name__ == "__main__":
    for program in ("hyperfine", "lspci"):
        if shutil.which(program) is None:
            raise SystemExit(f"{program} is not installed: `make system-test`")
    main()
