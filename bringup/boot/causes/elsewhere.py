"""Rows on a board that started something else than what was served to it."""

from __future__ import annotations

from collections.abc import Mapping

from bringup.boot.causes.row import Cause, Row
from bringup.boot.causes.usual import CABLE, EXPIRED, NETWORK_FIRST, NO_OVERRIDE
from bringup.boot.facts import Fact

_OVERRIDE = Cause(
    "the boot override was not taken",
    NETWORK_FIRST,
    unless=frozenset({Fact.OVERRIDE_READ, Fact.OVERRIDE_ABSENT}),
)
_SPENT = Cause(
    "the board restarted in its self-test, which spends an override that holds once",
    "boot again: what made it restart (new settings, memory training) is done now",
    needs=frozenset({Fact.LOGGED_RESTART}),
    unless=frozenset({Fact.OVERRIDE_ABSENT}),
)
_ORDER = Cause(
    "the firmware does not follow the BMC's boot override",
    NETWORK_FIRST,
    needs=frozenset({Fact.OVERRIDE_READ}),
)

ELSEWHERE: Mapping[str, Row] = {
    "booted-elsewhere": Row(
        "lab",
        "the board started something that was not served to it",
        (
            _SPENT,
            _OVERRIDE,
            NO_OVERRIDE,
            _ORDER,
            Cause(
                "another boot server answered",
                "use an own segment",
                unless=frozenset({Fact.NO_RIVAL, Fact.RIVAL}),
            ),
            CABLE,
        ),
    ),
    "override-ignored": Row(
        "lab",
        "the boot override to the network was set and read back, and the board booted its disk",
        (_SPENT, _ORDER, CABLE),
    ),
    "override-expired": Row(
        "lab",
        "the BMC drops a boot override after 60 s and cannot be told not to; the board booted its disk later",
        (EXPIRED, CABLE),
    ),
    "override-unproven": Row(
        "lab",
        "the boot override to the network was set, not read back for certain, and the board booted its disk",
        (_SPENT, _OVERRIDE, CABLE),
    ),
}
