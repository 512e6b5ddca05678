"""This checkout against an earlier commit of itself, in one run: `python bench/before.py [REV]`.

    boot      wall time of `bringup boot e300` on the twin, its start and end included
    probe     `bringup probe-pci e300 --firmware-probe`
    overlay   `bringup camkes overlay` of a small application from a capture
    start     user time of `bringup --help` and of `bringup boards`
    modules   of ours that `boot` and `camkes overlay` execute

The two take turns, so that a slow minute of this machine hits both; their modules are compiled, as
installed ones are. Prints medians and ratios (now / before).
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
BEFORE_ROOMS = "fbe8bb4"
"""The last commit with modules loose at the top of bringup/."""

APPLICATION = """\
component VM {
    attribute int guest_ram_mb;
    attribute string kernel_image = "bzimage";
    attribute string kernel_relocs = "bzimage";
    attribute string initrd_image = "rootfs.cpio";
}
assembly {
    composition { component VM vm0; }
    configuration { vm0.guest_ram_mb = 256; }
}
"""


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rev", nargs="?", default=BEFORE_ROOMS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="the figures whose name begins so")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        before = _checkout(options.rev, folder / "before")
        capture = _capture(folder)
        print(f"now / {options.rev}, median of {options.rounds}")
        jobs = _jobs(folder, capture, options.rounds)
        for name, words, rounds in [job for job in jobs if job[0].startswith(options.only or "")]:
            print(_ratio(name, before, words, folder, rounds))
        for name, words, _ in _jobs(folder, capture, 1):
            if name in ("boot", "overlay"):
                counts = (_modules(CHECKOUT, words, folder), _modules(before, words, folder))
                print(f"  modules executed by {name:<21} {counts[0]} : {counts[1]}")


def _checkout(rev: str, target: Path) -> Path:
    target.mkdir()
    archive = subprocess.run(["git", "archive", rev], cwd=CHECKOUT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x"], cwd=target, input=archive, check=True)
    # What both boot is the same.
    shutil.copytree(CHECKOUT / "build", target / "build")
    return target


def _environment(checkout: Path, folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    ours = {"PYTHONPATH": str(checkout), "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
    return {**kept, **ours, "BRINGUP_HOME": str(folder / "home")}


def _run(checkout: Path, words: Sequence[str], folder: Path) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "bringup", *words]
    done = subprocess.run(
        command, cwd=folder, env=_environment(checkout, folder), capture_output=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{words} of {checkout} ended with {done.returncode}:\n{done.stderr.decode()}")
    return done


def _capture(folder: Path) -> Path:
    (folder / "app.camkes").write_text(APPLICATION)
    _run(CHECKOUT, ["probe-pci", "e300", "--linux-probe"], folder)
    return next((folder / "home").rglob("*linux*.tar.gz"), next((folder / "home").rglob("*.tar.gz")))


def _jobs(folder: Path, capture: Path, rounds: int) -> list[tuple[str, list[str], int]]:
    overlay = ["camkes", "overlay", "app.camkes", "--capture", str(capture), "--assign", "vm0=17:00.0"]
    return [
        ("boot", ["boot", "e300"], rounds),
        ("probe", ["probe-pci", "e300", "--firmware-probe"], rounds),
        ("overlay", [*overlay, "--profile", "twin-e300-9d"], rounds),
        ("start: --help", ["--help"], 4 * rounds),
        ("start: boards", ["boards"], 4 * rounds),
    ]


def _ratio(name: str, before: Path, words: Sequence[str], folder: Path, rounds: int) -> str:
    clock: Callable[[], float] = _user_s if name.startswith("start") else time.monotonic
    taken: dict[Path, list[float]] = {CHECKOUT: [], before: []}
    for checkout in taken:
        _run(checkout, words, folder)  # compiles what it imports
    for _ in range(rounds):
        for checkout, times in taken.items():
            times.append(_timed(clock, checkout, words, folder))
    now, then = (statistics.median(times) for times in taken.values())
    return f"  {name:<42} {now:.3f} s : {then:.3f} s = {now / then:.2f}"


def _timed(clock: Callable[[], float], checkout: Path, words: Sequence[str], folder: Path) -> float:
    began = clock()
    _run(checkout, words, folder)
    return clock() - began


def _user_s() -> float:
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime


def _modules(checkout: Path, words: Sequence[str], folder: Path) -> int:
    environment = _environment(checkout, folder)
    command = [sys.executable, "-X", "importtime", "-m", "bringup", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    names = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "import time:" in line}
    return len([name for name in names if name.startswith("bringup.")])


if __name__ == "__main__":
    main()
