"""The two probes: what each boots, how what it saw comes back, and what it is called in a capture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bringup.boot.errand import Errand
from bringup.boot.preflight import Prepared
from bringup.boot.steps.following import ConsoleReader
from bringup.console.base import Console
from bringup.image.folder import find_image
from bringup.image.model import Image
from bringup.jobs.capture.errand import FIRMWARE_REPORT, LINUX_CAPTURE
from bringup.netboot.spec import Segment, ServeSpec
from bringup.probe import firmware_report, on_board

if TYPE_CHECKING:
    from bringup.boot.engine import Run

ProbeName = Literal["firmware", "linux"]
BOTH: tuple[ProbeName, ...] = ("firmware", "linux")


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe.

    `words` go to its command line, `view` is the name of its file in a capture, `source` that file's name in
    the run's folder.
    """

    name: ProbeName
    title: str
    words: str
    errand: Errand
    view: str
    source: str
    part_counts: bool
    """Whether what came of an incomplete report is worth keeping."""

    def image(self) -> Image:
        """Return what is booted; raises BringupError where it is not built or not installed."""
        if self.name == "firmware":
            from bringup.image.firmware_probe import firmware_probe

            return find_image([firmware_probe()], append=self.words)
        from bringup.probe.ramdisk import find_kernel, ramdisk

        kernel = find_kernel()
        return find_image([kernel.path, ramdisk(kernel)], append=self.words)

    def reader(self, console: Console, run: Run) -> ConsoleReader:
        """Return what takes this probe's report out of the console."""
        if self.name == "firmware":
            return firmware_report.FirmwareReport(console.write, run.take)
        return on_board.ConsoleCapture(run.folder.path, run.take)

    def spec(self, prepared: Prepared, folder: Path, segment: Segment) -> ServeSpec:
        """Return what is served on `segment`, and what is taken back by HTTP."""
        if self.name == "firmware":
            return prepared.spec(folder, segment)
        # A secret path: it is in no plan, event or image.
        path = on_board.new_upload_path()
        words = on_board.probe_words(segment, path, twin=prepared.board.twin)
        return prepared.spec(folder, segment, words=words, upload=on_board.upload_to(folder.parent, path))


PROBES: Mapping[ProbeName, Probe] = {
    "firmware": Probe(
        "firmware",
        "the firmware probe",
        firmware_report.WORDS,
        FIRMWARE_REPORT,
        firmware_report.NAME,
        "console.log",
        part_counts=True,
    ),
    "linux": Probe(
        "linux",
        "the Linux probe",
        on_board.KERNEL_WORDS,
        LINUX_CAPTURE,
        "linux.tar.gz",
        on_board.CAPTURE_NAME,
        part_counts=False,
    ),
}
