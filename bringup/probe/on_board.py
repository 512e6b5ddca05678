"""What a boot needs beyond its image when it is to bring a capture back: words for the ramdisk, and where
what comes back is kept.
"""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bringup.base.errors import LabError
from bringup.base.events import Emit, Event
from bringup.base.whole_file import whole_file
from bringup.netboot.spec import Upload
from bringup.probe.console_capture import CaptureReader
from bringup.probe.ramdisk import ramdisk_words

if TYPE_CHECKING:
    from bringup.netboot.spec import Segment

CAPTURE_NAME = "capture.tar.gz"
LIMIT_BYTES = 64 << 20

# The IOMMU on, or the kernel would make no groups. A log buffer that holds the boot of a large machine.
KERNEL_WORDS = "intel_iommu=on log_buf_len=4M"

EXPECTED_S = 10.0
"""How long the ramdisk takes from its first line to the capture."""
TIMEOUT_S = 120.0
"""How long it may be silent: a 10GBASE-T link and a DHCP server each have 40 s, a transfer 60 s."""

# A 1000BASE-T link needs 3 s, a 10GBASE-T one more. A virtual one is there at once, but the virtual board
# delivers no INTx interrupt (QEMU 7.2's _PRT of pxb-pcie names other pins than the bridge drives), without
# which a driver does not see it.
_SETTLE_S, _TWIN_SETTLE_S = 5, 0
_TOLD_EVERY_S = 1.0


def new_upload_path() -> str:
    """Return the path that this run's capture is sent to; nobody can guess it."""
    return f"/upload/{secrets.token_hex(16)}"


def upload_to(folder: Path, url_path: str) -> Upload:
    """Return what the servers take from the board and where in the run's folder it goes."""
    return Upload(url_path, folder.absolute() / CAPTURE_NAME, LIMIT_BYTES)


def probe_words(segment: Segment, url_path: str, *, twin: bool) -> str:
    """Return the words that tell the ramdisk its ports and where to send the capture."""
    settle = f"bringup.settle={_TWIN_SETTLE_S if twin else _SETTLE_S}"
    return ramdisk_words(segment.macs, segment.base_url + url_path, settle, twin=twin)


class ConsoleCapture:
    """Keeps a capture that comes over the console in `folder`, and tells what the ramdisk says.

    `feed` raises LabError when the folder cannot be written.
    """

    def __init__(self, folder: Path, emit: Emit) -> None:
        self._target = folder / CAPTURE_NAME
        self._emit = emit
        self._reader = CaptureReader(LIMIT_BYTES)
        self._kept = False
        self._told_s = 0.0

    def feed(self, data: bytes) -> None:
        """Take console bytes as they come."""
        if not data or self._kept:
            return
        before = self._reader.progress
        self._reader.feed(data)
        for text in self._reader.said:
            self._emit(Event("console", "console.probe", text))
        if self._reader.capture is not None:
            self._keep(self._reader.capture)
        elif self._reader.progress != before:
            self._tell_progress(*self._reader.progress)

    def _tell_progress(self, received: int, size: int) -> None:
        now_s = time.monotonic()
        if now_s - self._told_s >= _TOLD_EVERY_S:
            self._told_s = now_s
            data = {"role": "capture", "sent": received, "size": size}
            self._emit(Event("console", "console.upload_progress", "the capture", data))

    def _keep(self, capture: bytes) -> None:
        try:
            with whole_file(self._target) as file:
                file.write(capture)
        except OSError as error:
            raise LabError(
                f"cannot keep the capture in {self._target.parent}: {error.strerror}",
                hint="is its disk full? `df -h` tells",
            ) from None
        self._kept = True
        text = f"the capture, {len(capture)} bytes over the console"
        self._emit(Event("console", "console.upload", text, {"bytes": len(capture)}))
