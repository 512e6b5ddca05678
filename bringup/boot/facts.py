"""What is certain about one boot, each as a word: a usual cause that these contradict is not told. Pure.

facts = facts_of(boot, witness, at_s)
Fact.ROM_SPOKE in facts      # the board's network boot asked or printed something
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bringup.boot.evidence import BootEvidence
    from bringup.boot.witness import Witness

# IANA "Processor Architecture Types": x86, x64 and ARM UEFI that boot from HTTP.
HTTP_ARCHITECTURES = frozenset({"15", "16", "18", "19"})
_ROM_TEXTS = ("pxe-", "http-boot")


class Fact(StrEnum):
    """A certainty; its absence means nothing."""

    HEARD = "characters came on the console"
    ROM_SPOKE = "the board's network boot asked by DHCP or printed something"
    OFFERED = "this host offered an address or a boot file"
    TFTP_ASKED = "a request for a file reached this host by TFTP"
    HTTP_ASKED = "a request for a file reached this host by HTTP"
    OVERRIDE_READ = "the boot override was read back as set"
    OVERRIDE_UNSURE = "a boot override was set, and could not be read back for certain"
    OVERRIDE_EXPIRED = "the BMC dropped the boot override 60 s after it was set"
    OVERRIDE_ABSENT = "no boot override was set"
    NO_RIVAL = "this segment was searched for another DHCP server, and none answered"
    HELD_TOLD = "who asked for the console was told why it is not to be had"
    RIVAL = "another DHCP server was heard on this segment"
    OWN_SEGMENT = "this host is the segment's only DHCP server by plan"
    NO_LINK = "the board's network boot says that its port has no link"
    LOGGED_RESTART = "the BMC's event log has a restart that nobody asked for since power-on"
    ASKS_HTTP = "the board asks as a client of UEFI HTTP boot"
    LOG_READ = "the BMC's event log was read, and what it was asked for since power-on is all there is"
    LOGGED_WATCHDOG = "the BMC's event log has a watchdog since power-on"
    LOGGED_POWER = "the BMC's event log has a fault of the supply or of a voltage since power-on"
    LOGGED_THERMAL = "the BMC's event log has a temperature above its limit since power-on"
    LOGGED_MEMORY = "the BMC's event log has a memory error since power-on"
    LOGGED_PROCESSOR = "the BMC's event log has an error of a processor since power-on"
    LOGGED_BUS = "the BMC's event log has an error on a bus since power-on"
    LOGGED_BUTTON = "the BMC's event log has a button that was pressed since power-on"
    LOGGED_SELF_TEST = "the BMC's event log has an error of the self-test since power-on"


LOGGED: Mapping[str, Fact] = {
    "watchdog": Fact.LOGGED_WATCHDOG,
    "power": Fact.LOGGED_POWER,
    "thermal": Fact.LOGGED_THERMAL,
    "memory": Fact.LOGGED_MEMORY,
    "processor": Fact.LOGGED_PROCESSOR,
    "bus": Fact.LOGGED_BUS,
    "button": Fact.LOGGED_BUTTON,
    "self-test": Fact.LOGGED_SELF_TEST,
    "restart": Fact.LOGGED_RESTART,
}
"""By the kinds of entries in a board's own log (`bringup.power.base.Logged`)."""

BROKEN = frozenset({Fact.LOGGED_POWER, Fact.LOGGED_THERMAL, Fact.LOGGED_MEMORY, Fact.LOGGED_PROCESSOR})
"""What no image is to blame for."""


def facts_of(boot: BootEvidence, witness: Witness, at_s: float) -> frozenset[Fact]:
    """Return what is certain about this boot at `at_s` (seconds, the events' clock)."""
    rom = any(seen.failure.code.startswith(_ROM_TEXTS) for seen in boot.failures)
    asked = bool(boot.dhcp & {"discover", "ignored"})
    known = {
        Fact.HEARD: boot.heard_s is not None,
        Fact.ROM_SPOKE: rom or asked,
        Fact.OFFERED: "offer" in boot.dhcp,
        Fact.TFTP_ASKED: "tftp" in boot.asked_by,
        Fact.HTTP_ASKED: "http" in boot.asked_by,
        Fact.OVERRIDE_READ: witness.override_read,
        Fact.OVERRIDE_UNSURE: witness.override_unsure,
        Fact.OVERRIDE_EXPIRED: witness.override_until_s is not None and at_s > witness.override_until_s,
        Fact.OVERRIDE_ABSENT: witness.override_absent,
        Fact.NO_RIVAL: witness.searched_rivals and not witness.rivals,
        Fact.HELD_TOLD: witness.console_held_by is not None,
        Fact.RIVAL: bool(witness.rivals),
        Fact.OWN_SEGMENT: witness.own_segment,
        Fact.NO_LINK: any(seen.failure.code == "pxe-no-link" for seen in boot.failures),
        Fact.ASKS_HTTP: boot.arch in HTTP_ARCHITECTURES,
    }
    logged = witness.logged
    told = () if logged is None else (Fact.LOG_READ, *(LOGGED[kind] for kind in logged if kind in LOGGED))
    return frozenset((*(fact for fact, certain in known.items() if certain), *told))
