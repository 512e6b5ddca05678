"""Rows on a console that does not show what there is."""

from __future__ import annotations

from collections.abc import Mapping

from bringup.boot.causes.row import Cause, Row
from bringup.boot.causes.usual import LOGGED, REDIRECTION, RELEASE, WRONG_PORT
from bringup.boot.facts import Fact

CONSOLE: Mapping[str, Row] = {
    "console-silent": Row(
        "profile",
        "everything was loaded, and the console never showed a character",
        (*LOGGED, REDIRECTION, WRONG_PORT, Cause("SOL is off or at another speed", "ipmitool sol info")),
    ),
    "kernel-silent": Row(
        "profile",
        "everything was loaded, and the kernel printed nothing within {waited} s",
        (
            *LOGGED,
            WRONG_PORT,
            RELEASE,
            Cause(
                "the kernel died before its console",
                "early errors go to 0x3f8 only; multiboot 1 under UEFI finds no ACPI",
            ),
        ),
    ),
    "other-port": Row(
        "profile",
        "the image talks to {port}, which this console does not show",
        (WRONG_PORT, Cause("the early text of a kernel always goes to 0x3f8", "look at that port's log")),
    ),
    "console-held": Row(
        "undecided",
        "everything was loaded, and the console is not to be had: {awaited} is not seen here",
        (
            Cause(
                "it is read elsewhere",
                "look there; --steal takes it, and ends the console of whoever has it",
                unless=frozenset({Fact.HELD_TOLD}),
            ),
        ),
    ),
    "console-lost": Row(
        "lab",
        "the console was lost and did not come back",
        (
            Cause("somebody else took it", "bringup console --steal"),
            Cause("the BMC dropped the session", "ipmitool sol deactivate; BMC cold reset"),
        ),
    ),
    "console-gap": Row(
        "undecided",
        "{awaited} was not seen, and may have been printed in the {gaps} s that the console has lost",
        (
            Cause("Serial-over-LAN lost text", "boot again; `bringup runs show --events` says when and why"),
            Cause("the BMC restarts or labours", "its event log may tell: ipmitool sel list"),
            Cause("the LAN to the BMC loses packets", "a serial line loses none: `serial` in lab.toml"),
        ),
    ),
}
