"""Rows on a board that started over, or whose BMC says that it is broken."""

from __future__ import annotations

from collections.abc import Mapping

from bringup.boot.causes.row import Cause, Row
from bringup.boot.causes.usual import LOGGED
from bringup.boot.facts import BROKEN, Fact

_ENDED_BY_ITSELF = frozenset({Fact.LOGGED_WATCHDOG, Fact.LOGGED_BUTTON, *BROKEN})
_SOMEBODY = (
    Cause("somebody reset it", "ipmitool sel list", unless=_ENDED_BY_ITSELF | {Fact.LOG_READ}),
    Cause(
        "somebody reset it, which this BMC does not log",
        "ask who else works with the board",
        unless=_ENDED_BY_ITSELF,
        needs=frozenset({Fact.LOG_READ}),
    ),
)

RESTARTS: Mapping[str, Row] = {
    "reboot-loop": Row(
        "image",
        "the board started over after the kernel began",
        (
            *LOGGED,
            Cause("the kernel crashed into a reset", "look at the last console lines before the restart"),
            Cause("a watchdog fired", "{advice:watchdog}", unless=_ENDED_BY_ITSELF),
            *_SOMEBODY,
        ),
    ),
    "watchdog-reset": Row(
        "profile",
        "the board's watchdog restarted it after the kernel began",
        (*LOGGED, Cause("what armed it does not run any more", "ipmitool mc watchdog off")),
    ),
    "board-fault": Row(
        "lab",
        "the board itself has a fault: its BMC logged {logged}",
        (*LOGGED, Cause("no image does that to a board", "boot the same image on another board")),
    ),
}
