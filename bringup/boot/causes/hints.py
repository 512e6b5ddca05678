"""What a console hints at by itself, and a boot may know better."""

from __future__ import annotations

from collections.abc import Mapping

from bringup.boot.facts import Fact

_NO_OFFER = frozenset({Fact.OFFERED})
_NO_OTHER = frozenset({Fact.NO_RIVAL, Fact.RIVAL})
_DISK = frozenset({Fact.OVERRIDE_READ, Fact.OVERRIDE_UNSURE, Fact.OVERRIDE_ABSENT})
HINT_UNLESS: Mapping[str, frozenset[Fact]] = {
    "no DHCP server answers on this segment": _NO_OFFER,
    "no DHCP server answers on this port, or the switch port learns for 30 s": frozenset({Fact.HTTP_ASKED}),
    "no DHCP server answers, or the firmware ignores proxyDHCP": _NO_OFFER,
    "the network's own DHCP server did not answer": frozenset({Fact.OWN_SEGMENT}),
    "another DHCP server answered first": _NO_OTHER,
    "another server's answer sent it there": _NO_OTHER,
    "another DHCP server gave it an address of another network": _NO_OTHER,
    "a firewall drops UDP 69": frozenset({Fact.TFTP_ASKED}),
    "a firewall drops UDP 4011": frozenset({Fact.OWN_SEGMENT}),
    "the firmware does not take proxyDHCP answers": frozenset({Fact.OWN_SEGMENT}),
    "the disk was booted and not the network": _DISK,
    "the network boot was not tried or failed": frozenset({Fact.ROM_SPOKE}),
}
"""By the words of the failure (`why`): the facts that contradict it."""
