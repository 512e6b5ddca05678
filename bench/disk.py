"""A board's disk over the network, on the twin: `python bench/disk.py write [ROUNDS] | update [ROUNDS]`.

    write     write and verify of 512 MiB (`--mib`) by the maintenance ramdisk's orders, against `wget | dd`
              and `dd | sha256sum` typed by hand: the same ramdisk, disk, link and boot, in turn
    update    `bringup reimage` from its start until the image is confirmed, beside `bringup boot` of it

In the ramdisk of `write` one order does more than in ours: a write of more than 64 MiB is that pipe. The
host's side of it serves the bytes from memory.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bringup import BootRequest, load_lab
from bringup.base.assets import asset
from bringup.boot.plan import PlannedStep
from bringup.boot.session import Session
from bringup.disk.choose import Disk
from bringup.disk.commit import Compare, Flush, Write
from bringup.disk.layout import MIB
from bringup.disk.pieces import FileSpan, Pieces
from bringup.image.folder import find_image
from bringup.image.model import Image
from bringup.jobs.boot import run_job
from bringup.jobs.reimage.carry_out import CarryOut
from bringup.jobs.reimage.job import WORDS, maintenance_job, prepare_maintenance, with_disk
from bringup.jobs.reimage.ramdisk import Act, Room
from bringup.probe.ramdisk import MAINTENANCE, find_kernel, ramdisk

if TYPE_CHECKING:
    from bringup.boot.engine import Run

CHECKOUT = Path(__file__).resolve().parents[1]
AT = 64 * MIB
BY_HAND = """write_chunk() {
    if [ "$3" -gt 67108864 ]; then
        if wget -q -O - "$url/$4" | dd of="/dev/$1" bs=4M iflag=fullblock oflag=direct,seek_bytes seek="$2" \\
            conv=notrunc 2>/tmp/dd; then answer=ok; else answer=failed:write; fi
        return
    fi
"""


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["write", "update"])
    parser.add_argument("rounds", nargs="?", type=int, default=2)
    parser.add_argument("--mib", type=int, default=512)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        os.environ["BRINGUP_HOME"] = name
        if options.what == "write":
            Writing(Path(name), options.rounds, options.mib * MIB).measure()
        else:
            update(options.rounds)


class Writing:
    """Both ways to the same disk, in one boot of the ramdisk."""

    def __init__(self, folder: Path, rounds: int, size: int) -> None:
        self._folder, self._rounds, self._size = folder, rounds, size
        self._room = Room()

    def measure(self) -> None:
        """Boot the ramdisk, write, print."""
        lab = load_lab(self._folder)
        board, boot = lab.board("e300"), BootRequest()
        prepared = prepare_maintenance(board, boot, self._image)
        work = Act(PlannedStep("bench", "write and verify both ways", 200.0, 3600.0), self._write)
        job = maintenance_job(prepared, self._room, boot, [work], purpose="bench")
        with Session(board, "slots", keep_twin=False, twin=with_disk(board, boot), person=None) as session:
            done = run_job(lab, session, job, None)
        if not done.ok:
            raise SystemExit(done.verdict["cause"])

    def _image(self) -> Image:
        kernel = find_kernel()
        script = asset("probes/linux/maintenance").read_text(encoding="utf-8")
        (self._folder / "init").write_text(script.replace("write_chunk() {\n", BY_HAND))
        (self._folder / "init").chmod(0o755)
        # A kernel unpacks several archives one after the other; a file that comes again is the later one.
        cpio = ["cpio", "-o", "-H", "newc", "--owner=+0:+0", "--quiet"]
        more = subprocess.run(cpio, input=b"init\n", cwd=self._folder, capture_output=True, check=True).stdout
        both = self._folder / "ramdisk.cpio.gz"
        both.write_bytes(ramdisk(kernel, recipe=MAINTENANCE).read_bytes() + gzip.compress(more))
        return find_image([kernel.path, both], append=WORDS)

    def _write(self, run: Run) -> None:
        (disk,) = self._room.disks
        ratios = []
        for number in range(self._rounds):
            ways = [self._ours, self._by_hand]
            told = {way.__name__: way(disk, number) for way in (ways if number % 2 else reversed(ways))}
            ours, by_hand = told["_ours"], told["_by_hand"]
            ratios.append(sum(by_hand) / sum(ours))
            print(
                f"round {number + 1}: ours {ours[0]:.1f} s written, {ours[1]:.1f} s verified; dd "
                f"{by_hand[0]:.1f} and {by_hand[1]:.1f} s; dd's time divided by ours {ratios[-1]:.2f}",
                flush=True,
            )
        print(f"median of {len(ratios)}: {statistics.median(ratios):.2f} ({self._size // MIB} MiB each way)")

    def _ours(self, disk: Disk, number: int) -> tuple[float, float]:
        path = self._folder / "content"
        path.write_bytes(os.urandom(self._size))
        write = Write(AT, Pieces.of(FileSpan(path, self._size)), "bench")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        work = CarryOut(self._room.ramdisk, disk.handle, disk.sector_bytes, lambda _reached: None)
        written = _seconds(partial(work.all, [write, Flush()]))
        return written, _seconds(partial(work.all, [Compare(AT, self._size, digest, "bench")]))

    def _by_hand(self, disk: Disk, number: int) -> tuple[float, float]:
        content, agent = os.urandom(self._size), self._room.ramdisk
        expected = hashlib.sha256(content).hexdigest()

        def write() -> None:
            agent.write(disk.handle, AT, self._size, lambda: _pieces(content))
            agent.flush(disk.handle)

        written = _seconds(write)
        found: list[str] = []
        verified = _seconds(lambda: found.extend(agent.hashes(disk.handle, [(AT, self._size)])))
        assert found == [expected]
        return written, verified


def _pieces(content: bytes) -> Iterator[bytes]:
    return (content[at : at + MIB] for at in range(0, len(content), MIB))


def update(rounds: int) -> None:
    """Print how long updates take, and network boots of the same image, in one twin."""
    _tool("twin", "up", "--disk", "ahci,size=4G")
    try:
        _tool("reimage", "e300", "--yes", "--json")
        ratios = []
        for number in range(rounds):
            size = ("--module-size", str(16 + number))
            boot = _seconds(lambda: _tool("boot", "e300", "--json", *size))  # noqa: B023
            told: list[str] = []
            whole = _seconds(lambda: told.append(_tool("reimage", "e300", "--yes", "--json", *size)))  # noqa: B023
            ratios.append(whole / boot)
            write_s = json.loads(told[0])["write_s"]
            print(
                f"round {number + 1}: boot {boot:.1f} s, update {whole:.1f} s, ratio {ratios[-1]:.1f} "
                f"({write_s} s of it written and verified)",
                flush=True,
            )
        print(f"median of {len(ratios)}: {statistics.median(ratios):.1f}")
    finally:
        _tool("twin", "down")


def _tool(*words: str) -> str:
    command = [sys.executable, "-m", "bringup", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{words} ended with {done.returncode}: {done.stderr[-500:]}")
    return done.stdout


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
