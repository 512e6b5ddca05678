"""Rows on the way from power-on to an image that is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bringup.boot.causes.row import Cause, Row
from bringup.boot.causes.usual import (
    CABLE,
    EXPIRED,
    FIREWALL,
    LOGGED,
    NETWORK_FIRST,
    NO_OVERRIDE,
    REDIRECTION,
)
from bringup.boot.facts import Fact

_OPTION_ROM = Cause(
    "LAN option ROM off for this port",
    "{advice:network-boot}",
    unless=frozenset({Fact.ROM_SPOKE}),
)
_SPANNING_TREE = Cause(
    "switch port learns for 30 s",
    "spanning tree: portfast on this port",
    unless=frozenset({Fact.OFFERED, Fact.NO_LINK}),
)
_UNSURE = Cause(
    "the BMC did not keep the boot override, which could not be read back",
    NETWORK_FIRST,
    needs=frozenset({Fact.OVERRIDE_UNSURE}),
)
_FIREWALL_TFTP = replace(FIREWALL, unless=frozenset({Fact.TFTP_ASKED, Fact.HTTP_ASKED}))
_FIREWALL_HTTP = replace(FIREWALL, unless=frozenset({Fact.HTTP_ASKED}))
_OTHER_SERVER = Cause(
    "another DHCP server answered",
    "use an own segment, or take the board off that network",
    unless=frozenset({Fact.NO_RIVAL, Fact.RIVAL}),
)
_CHECKSUM = Cause("checksum offload on a bridge or veth", "ethtool -K IF tx off on both ends")
_LINK = Cause("a bad link", "look at the port's error counters, try another cable")

NETWORK: Mapping[str, Row] = {
    "no-power": Row(
        "lab",
        "the board was not seen powered on within {waited} s",
        (
            Cause("no mains power", "check the supply and its cable"),
            Cause("the BMC ignores the command", "ipmitool chassis status; BMC cold reset"),
        ),
    ),
    "no-sign-of-life": Row(
        "lab",
        "no console text and no DHCP request from {who} within {since_power} s of power-on",
        (
            *LOGGED,
            REDIRECTION,
            _OPTION_ROM,
            Cause(
                "POST stopped",
                "look at the screen or POST code; {advice:post-errors}",
            ),
        ),
    ),
    "host-no-link": Row(
        "lab",
        "the interface that this host serves on has no link, so {who} cannot be heard",
        (
            Cause(
                "the cable between this host and the board is not plugged", "look at both ends' link lamps"
            ),
            Cause("the interface is down", "ip link set IF up"),
        ),
    ),
    "no-dhcp": Row(
        "lab",
        "no DHCP request from {who} within {since_power} s of power-on",
        (*LOGGED, EXPIRED, _UNSURE, NO_OVERRIDE, _OPTION_ROM, CABLE, _SPANNING_TREE),
    ),
    "dhcp-ignored": Row(
        "profile",
        "{who} asks for a network boot as architecture {arch}, and this boot serves {firmware}",
        (
            Cause("the board boots the other way", "{advice:boot-mode}"),
            Cause("the plan is for the other firmware", "--firmware bios or --firmware uefi"),
            Cause(
                "UEFI HTTP boot comes first",
                "{advice:http-boot}",
                needs=frozenset({Fact.ASKS_HTTP}),
            ),
        ),
    ),
    "dhcp-unanswered": Row(
        "lab",
        "{who} asks by DHCP and this host's server does not answer",
        (
            FIREWALL,
            Cause("dnsmasq serves another interface", "compare the interface in lab.toml with the cable"),
        ),
    ),
    "dhcp-not-taken": Row(
        "lab",
        "{who} was offered an address and did not take it",
        (
            _OTHER_SERVER,
            Cause(
                "the firmware ignores proxyDHCP",
                'network mode = "own-segment" in lab.toml',
                unless=frozenset({Fact.OWN_SEGMENT}),
            ),
            Cause("the offer did not reach the board", "switch or VLAN: is it the same segment both ways?"),
        ),
    ),
    "dhcp-no-file": Row(
        "lab",
        "{who} was given an address and no boot file: it asks as architecture {arch}",
        (
            Cause(
                "its network boot does not say what it is (DHCP option 93)",
                "boot by the port's other ROM: --firmware uefi or --firmware bios",
            ),
            Cause("an operating system asked, not the firmware", "{advice:network-boot}"),
        ),
    ),
    "foreign-file": Row(
        "lab",
        "{who} asks this host for {asked}, which nobody here told it of",
        (
            Cause(
                "another DHCP server told it that name",
                "use an own segment, or take that server's boot settings away",
                unless=frozenset({Fact.NO_RIVAL, Fact.RIVAL}),
            ),
            Cause("the network boot ROM has a name of its own", "look at the ROM's settings in the setup"),
        ),
    ),
    "loader-not-fetched": Row(
        "lab",
        "DHCP was answered, and {who} fetched no loader within {waited} s",
        (
            _FIREWALL_TFTP,
            Cause(
                "the board took the server address of another DHCP server",
                "use an own segment",
                unless=frozenset({Fact.NO_RIVAL, Fact.RIVAL, Fact.TFTP_ASKED}),
            ),
            Cause(
                "iPXE waits for an IPv6 router",
                "this takes 13 s on a shared segment: raise the loader's limit",
                unless=frozenset({Fact.OWN_SEGMENT}),
            ),
        ),
    ),
    "loader-stalled": Row(
        "lab",
        "{who} began to fetch the loader and did not finish within {waited} s",
        (_CHECKSUM, _LINK, FIREWALL),
    ),
    "kernel-not-fetched": Row(
        "lab",
        "the loader ran and fetched no kernel within {waited} s",
        (
            Cause(
                "the loader has no network",
                "look at its lines on the console; try --loader grub or --loader ipxe",
            ),
            _FIREWALL_HTTP,
            Cause("the loader waits for a key", "look at the last console lines"),
        ),
    ),
    "module-not-fetched": Row(
        "lab",
        "the kernel was fetched, and not all modules followed within {waited} s",
        (
            Cause("the loader refused the kernel", "look at its lines on the console"),
            Cause("too little memory below 4 GiB for the modules", "make the image smaller"),
            _LINK,
        ),
    ),
    "transfer-stalled": Row(
        "lab",
        "the transfer of the image stopped: no byte for {waited} s",
        (*LOGGED, _LINK, _CHECKSUM, Cause("the loader hung", "try --loader grub or --loader ipxe")),
    ),
    "servers-lost": Row(
        "tool",
        "the servers of the network boot ended while the board needed them",
        (
            Cause(
                "somebody ended them, or the kernel did for want of memory",
                "journalctl -k | grep -i 'killed process'; then boot again",
            ),
            Cause("a bug in this tool, or a full disk", "bringup runs show --events; report it"),
        ),
    ),
}
