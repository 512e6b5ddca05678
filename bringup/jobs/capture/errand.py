"""What a capture wants beyond the boot: that what a probe saw comes back, by network or by console."""

from __future__ import annotations

from collections.abc import Mapping

from bringup.base.events import Event
from bringup.base.stage import Stage
from bringup.boot.causes.row import Cause, Row
from bringup.boot.causes.usual import FIREWALL
from bringup.boot.errand import Errand
from bringup.boot.evidence import BootEvidence, GivenUp
from bringup.probe import firmware_report, on_board

RAMDISK_DONE = "finished"
"""The probe ramdisk's last words (probes/linux/init)."""
# They come by console, the capture through another process.
_CAPTURE_GRACE_S = 3.0


def _sent_back(boot: BootEvidence, event: Event) -> None:
    boot.reach(Stage.CAPTURE, event, event.text)


def _works(boot: BootEvidence, event: Event) -> None:
    boot.heard_s = boot.transfer_s = event.at_s
    if event.text == RAMDISK_DONE:
        boot.given_up = GivenUp(event.at_s + _CAPTURE_GRACE_S, "capture-incomplete")


def _report_comes(boot: BootEvidence, event: Event) -> None:
    """Take frames of the firmware probe as proof that it runs: a bad line may lose its first words."""
    boot.heard_s = boot.transfer_s = event.at_s
    if boot.console_kernel_s is None:
        boot.console_kernel_s = event.at_s
    boot.reach(Stage.KERNEL, event, event.text)


def _report_lost(boot: BootEvidence, event: Event) -> None:
    boot.given_up = GivenUp(event.at_s, "report-incomplete", event.text)


_CAUSES: Mapping[str, Row] = {
    "no-capture": Row(
        "lab",
        "the probe's ramdisk started, and no capture came from it within {waited} s",
        (
            Cause(
                "a driver of the ramdisk hangs", "look at the last console lines: bringup runs show --console"
            ),
            Cause("the board stopped", "look at its power LED; bringup power BOARD status"),
            Cause("neither its network nor its console carries data", "capture in place: --collector"),
        ),
    ),
    "capture-incomplete": Row(
        "lab",
        "the ramdisk sent its capture, and by neither network nor console did it arrive whole",
        (
            Cause(
                "the console drops characters", "close other Serial-over-LAN users; look at its log for gaps"
            ),
            FIREWALL,
            Cause("neither way can be mended now", "capture in place: the script of --collector"),
        ),
    ),
    "no-report": Row(
        "lab",
        "the firmware probe started, and no frame of its report came within {waited} s",
        (
            Cause(
                "a device of this board holds it up",
                "look at the last console lines: bringup runs show --console",
            ),
            Cause("the console carries no data any more", "close other Serial-over-LAN users, and try again"),
            Cause("it cannot be mended now", "probe with Linux instead: --linux-probe"),
        ),
    ),
    "report-incomplete": Row(
        "lab",
        "the firmware probe's report did not come whole: {lost}",
        (
            Cause("the console drops characters", "close other Serial-over-LAN users, and try again"),
            Cause("the board does not hear what is typed", "bringup console BOARD: does typing reach it?"),
            Cause("it cannot be mended now", "probe with Linux instead: --linux-probe"),
        ),
    ),
}

LINUX_CAPTURE = Errand(
    Stage.CAPTURE,
    {
        "http.upload": _sent_back,
        "console.upload": _sent_back,
        "console.probe": _works,
        "console.upload_progress": _works,
    },
    "no-capture",
    _CAUSES,
    on_board.EXPECTED_S,
    on_board.TIMEOUT_S,
)
FIRMWARE_REPORT = Errand(
    Stage.CAPTURE,
    {
        "console.upload": _sent_back,
        "console.upload_progress": _works,
        "console.report": _report_comes,
        "console.report_lost": _report_lost,
    },
    "no-report",
    _CAUSES,
    firmware_report.EXPECTED_S,
    firmware_report.TIMEOUT_S,
)
