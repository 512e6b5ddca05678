"""What maintenance wants beyond the boot: that the ramdisk asks for orders."""

from __future__ import annotations

from collections.abc import Mapping

from bringup.base.events import Event
from bringup.base.stage import Stage
from bringup.boot.causes.row import Cause, Row
from bringup.boot.causes.usual import FIREWALL
from bringup.boot.errand import Errand
from bringup.boot.evidence import BootEvidence

READY = "disk.ready"
EXPECTED_S = 12.0
"""How long the ramdisk takes from its first line to its first question: its disks settle for 2 s."""
TIMEOUT_S = 240.0
"""How long it may be silent: disks may take 30 s to settle, a 10GBASE-T link 60 s, DHCP 40 s, and again."""


def _asks(boot: BootEvidence, event: Event) -> None:
    boot.reach(Stage.MAINTENANCE, event, event.text)


_CAUSES: Mapping[str, Row] = {
    "no-maintenance": Row(
        "lab",
        "the maintenance ramdisk started, and did not ask this host for orders within {waited} s",
        (
            Cause("its network port has no link, or no driver", "its words: bringup runs show --console"),
            FIREWALL,
            Cause("a driver of the ramdisk hangs", "its last lines: bringup runs show --console"),
        ),
    ),
}

MAINTENANCE = Errand(Stage.MAINTENANCE, {READY: _asks}, "no-maintenance", _CAUSES, EXPECTED_S, TIMEOUT_S)
