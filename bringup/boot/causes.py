"""What it means when a boot stops: one row per code, with whose fault it is and the usual causes (data only).

In texts, `{who}` is the board's MAC, `{waited}` the seconds without progress, `{since_power}` those since
power-on, `{arch}` the client architecture (DHCP option 93), `{firmware}` the firmware the boot was planned
for, `{some}` of `{all}` VMs have logged in and `{missing}` names those that have not, `{lost}` is what of
a job's errand did not come, `{logged}` what the BMC's own log says, `{port}` the serial line that is not the
console, `{awaited}` the missing stage, `{where}` the last one seen, `{suite}` where a test suite is,
`{asked}` are names of files that nobody here told the board of, and `{gaps}` the seconds of gaps of the
console in which text may have come.
What to do may name advice of the board's profile (`{advice:vt-x}`, see `bringup.profile.advice`) and the
`{console_port}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from bringup.boot.facts import BROKEN, Fact

Fault = Literal["lab", "image", "profile", "tool", "undecided"]
Causes = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Cause:
    """A usual cause and what to do about it.

    It is told only where all facts of `needs` are certain, and none that contradicts it (`unless`).
    """

    why: str
    fix: str
    unless: frozenset[Fact] = frozenset()
    needs: frozenset[Fact] = frozenset()

    def fits(self, facts: frozenset[Fact]) -> bool:
        """Return whether the facts of a boot leave this cause possible."""
        return self.needs <= facts and not self.unless & facts


@dataclass(frozen=True, slots=True)
class Row:
    """Whose fault, one sentence, and the usual causes, likeliest first: told is what the facts leave."""

    fault: Fault
    cause: str
    causes: tuple[Cause, ...]


_OPTION_ROM = Cause(
    "LAN option ROM off for this port",
    "{advice:network-boot}",
    unless=frozenset({Fact.ROM_SPOKE}),
)
_CABLE = Cause("cable in another port", "plug it into the port that `bringup boards show` names")
_SPANNING_TREE = Cause(
    "switch port learns for 30 s",
    "spanning tree: portfast on this port",
    unless=frozenset({Fact.OFFERED, Fact.NO_LINK}),
)
_OVERRIDE = Cause(
    "the boot override was not taken",
    "set the boot order in the firmware setup: network first",
    unless=frozenset({Fact.OVERRIDE_READ, Fact.OVERRIDE_ABSENT}),
)
_UNSURE = Cause(
    "the BMC did not keep the boot override, which could not be read back",
    "set the boot order in the firmware setup: network first",
    needs=frozenset({Fact.OVERRIDE_UNSURE}),
)
_NO_OVERRIDE = Cause(
    "no boot override was set, and the board's own order has its disk first",
    "set the boot order in the firmware setup: network first; or leave out --override",
    needs=frozenset({Fact.OVERRIDE_ABSENT}),
)
_EXPIRED = Cause(
    "the BMC dropped the boot override before the self-test was over",
    "set the boot order in the firmware setup: network first, and boot with --override none",
    needs=frozenset({Fact.OVERRIDE_EXPIRED}),
)
_SPENT = Cause(
    "the board restarted in its self-test, which spends an override that holds once",
    "boot again: what made it restart (new settings, memory training) is done now",
    needs=frozenset({Fact.LOGGED_RESTART}),
    unless=frozenset({Fact.OVERRIDE_ABSENT}),
)
_ORDER = Cause(
    "the firmware does not follow the BMC's boot override",
    "set the boot order in the firmware setup: network first",
    needs=frozenset({Fact.OVERRIDE_READ}),
)
_REDIRECTION = Cause("console redirection is off", "{advice:sol-console}", unless=frozenset({Fact.HEARD}))
FIREWALL = Cause(
    "a firewall on this host", "open UDP 67, 69, 4011, the ephemeral ports and TCP of the HTTP port"
)
_FIREWALL_TFTP = replace(FIREWALL, unless=frozenset({Fact.TFTP_ASKED, Fact.HTTP_ASKED}))
_FIREWALL_HTTP = replace(FIREWALL, unless=frozenset({Fact.HTTP_ASKED}))
_OTHER_SERVER = Cause(
    "another DHCP server answered",
    "use an own segment, or take the board off that network",
    unless=frozenset({Fact.NO_RIVAL, Fact.RIVAL}),
)
_WRONG_PORT = Cause(
    "kernel and console use different ports",
    "console_port={console_port} debug_port={console_port} on the kernel command line",
)
_RELEASE = Cause("a RELEASE image prints nothing from the kernel", "build with RELEASE=OFF, or --until vmm")
_CHECKSUM = Cause("checksum offload on a bridge or veth", "ethtool -K IF tx off on both ends")
_LINK = Cause("a bad link", "look at the port's error counters, try another cable")

_LOGGED_AS: Mapping[Fact, str] = {
    Fact.LOGGED_WATCHDOG: "{advice:watchdog}",
    Fact.LOGGED_POWER: "check the supply, its cable and what else hangs on it; ipmitool sel list",
    Fact.LOGGED_THERMAL: "check fans, heat sink and the air's way; ipmitool sdr",
    Fact.LOGGED_MEMORY: "reseat or change the module that `ipmitool -v sel list` names",
    Fact.LOGGED_PROCESSOR: "ipmitool -v sel list says more; if it comes again, the board is faulty",
    Fact.LOGGED_BUS: "look at the cards: a device that the image set up badly, or a bad contact",
    Fact.LOGGED_BUTTON: "ask who stands beside the board",
    Fact.LOGGED_SELF_TEST: "look at the screen or POST code; {advice:post-errors}",
}
LOGGED_CAUSES: Mapping[Fact, Cause] = {
    fact: Cause(f"the BMC logged {{{fact.name}}}", fix, needs=frozenset({fact}))
    for fact, fix in _LOGGED_AS.items()
}
"""What the board's own log says is told with its words: `{LOGGED_POWER}` is the entry."""
_LOGGED = tuple(LOGGED_CAUSES.values())
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

TABLE: Mapping[str, Row] = {
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
            *_LOGGED,
            _REDIRECTION,
            _OPTION_ROM,
            Cause(
                "POST stopped",
                "look at the screen or POST code; {advice:post-errors}",
            ),
        ),
    ),
    "no-dhcp": Row(
        "lab",
        "no DHCP request from {who} within {since_power} s of power-on",
        (*_LOGGED, _EXPIRED, _UNSURE, _NO_OVERRIDE, _OPTION_ROM, _CABLE, _SPANNING_TREE),
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
        (*_LOGGED, _LINK, _CHECKSUM, Cause("the loader hung", "try --loader grub or --loader ipxe")),
    ),
    "console-silent": Row(
        "profile",
        "everything was loaded, and the console never showed a character",
        (*_LOGGED, _REDIRECTION, _WRONG_PORT, Cause("SOL is off or at another speed", "ipmitool sol info")),
    ),
    "kernel-silent": Row(
        "profile",
        "everything was loaded, and the kernel printed nothing within {waited} s",
        (
            *_LOGGED,
            _WRONG_PORT,
            _RELEASE,
            Cause(
                "the kernel died before its console",
                "early errors go to 0x3f8 only; multiboot 1 under UEFI finds no ACPI",
            ),
        ),
    ),
    "nothing-printed": Row(
        "undecided",
        "everything was loaded, and this kernel prints nothing: no text, no guest's DHCP for {waited} s",
        (_RELEASE, _WRONG_PORT),
    ),
    "unknown-text": Row(
        "undecided",
        "the board printed, but nothing that is known, and then nothing for {waited} s",
        (
            Cause(
                "it is no seL4 image, or one that prints only its own text",
                "--until-text REGEX says what to wait for",
            ),
            _RELEASE,
        ),
    ),
    "nothing-known": Row(
        "undecided",
        "nothing in this text is known",
        (
            Cause(
                "it is no seL4 image, or one that prints only its own text",
                "--until-text REGEX says what must come",
            ),
            _RELEASE,
        ),
    ),
    "other-port": Row(
        "profile",
        "the image talks to {port}, which this console does not show",
        (_WRONG_PORT, Cause("the early text of a kernel always goes to 0x3f8", "look at that port's log")),
    ),
    "text-missing": Row(
        "image",
        "the text that was waited for did not come, and nothing more was said for {waited} s",
        (
            *_LOGGED,
            Cause("the program hangs", "look at its last lines"),
            Cause("it says something else", "compare the expression with the console's log"),
        ),
    ),
    "suite-silent": Row(
        "image",
        "the test suite said nothing for {waited} s, {suite}",
        (
            *_LOGGED,
            Cause("this test hangs", "run it alone: -DLibSel4TestPrinterRegex=NAME"),
        ),
    ),
    "no-known-end": Row(
        "undecided",
        "user space was reached, and the text does not tell whether that was all",
        (
            Cause(
                "an image without VMs and tests has no known end",
                "say what counts as success: --until user-space, or --until-text REGEX",
            ),
        ),
    ),
    "stage-impossible": Row(
        "profile",
        "a test suite has no VMs: {awaited} cannot come",
        (
            Cause(
                "a stage is asked of this image that it has not",
                "leave --until out: the suite's own end counts",
            ),
        ),
    ),
    "text-ends": Row(
        "undecided",
        "the text ends after {where}; {awaited} is not in it",
        (
            Cause(
                "the recording ended early",
                "record until the end, or say with --until what counts as success",
            ),
        ),
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
    "kernel-hangs": Row(
        "image",
        "the kernel started and did not reach user space within {waited} s",
        (
            *_LOGGED,
            Cause("the kernel stops while it reads ACPI tables", "the last console line names the table"),
            Cause("memory that is not memory", "compare the kernel's memory map with the capture"),
            Cause("a slow build on a slow machine", "raise the user-space limit of the profile"),
        ),
    ),
    "no-vmm": Row(
        "image",
        "user space started and no VMM within {waited} s",
        (
            *_LOGGED,
            Cause(
                "the capDL loader still creates objects",
                "device memory above 4 GiB takes very long; {advice:above-4g}",
            ),
            Cause(
                "a component of the image crashed", "build with debug output; look at the last console lines"
            ),
        ),
    ),
    "no-guest": Row(
        "image",
        "the VMM started and no guest kernel within {waited} s",
        (
            *_LOGGED,
            Cause(
                "the guest kernel's name is not in the file server",
                "compare kernel_image with the build's files",
            ),
            Cause("the guest prints elsewhere", "console=ttyS0 on the guest's command line"),
            Cause("the VMM scans PCI", "a wait of seconds per VM is normal; raise the guest limit"),
        ),
    ),
    "no-login": Row(
        "image",
        "{some} of {all} VMs reached a login prompt within {waited} s{missing}",
        (
            *_LOGGED,
            Cause("no getty on the guest's console", "getty on ttyS0 in the guest's root file system"),
            Cause("an interrupt storm", "level_trig = 0, and one VM per IOAPIC pin"),
            Cause("a driver waits for its device", "look at the guest's last lines"),
        ),
    ),
    "booted-elsewhere": Row(
        "lab",
        "the board started something that was not served to it",
        (
            _SPENT,
            _OVERRIDE,
            _NO_OVERRIDE,
            _ORDER,
            Cause(
                "another boot server answered",
                "use an own segment",
                unless=frozenset({Fact.NO_RIVAL, Fact.RIVAL}),
            ),
            _CABLE,
        ),
    ),
    "override-ignored": Row(
        "lab",
        "the boot override to the network was set and read back, and the board booted its disk",
        (_SPENT, _ORDER, _CABLE),
    ),
    "override-expired": Row(
        "lab",
        "the BMC drops a boot override after 60 s and cannot be told not to; the board booted its disk later",
        (_EXPIRED, _CABLE),
    ),
    "override-unproven": Row(
        "lab",
        "the boot override to the network was set, not read back for certain, and the board booted its disk",
        (_SPENT, _OVERRIDE, _CABLE),
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
    "reboot-loop": Row(
        "image",
        "the board started over after the kernel began",
        (
            *_LOGGED,
            Cause("the kernel crashed into a reset", "look at the last console lines before the restart"),
            Cause("a watchdog fired", "{advice:watchdog}", unless=_ENDED_BY_ITSELF),
            *_SOMEBODY,
        ),
    ),
    "watchdog-reset": Row(
        "profile",
        "the board's watchdog restarted it after the kernel began",
        (*_LOGGED, Cause("what armed it does not run any more", "ipmitool mc watchdog off")),
    ),
    "board-fault": Row(
        "lab",
        "the board itself has a fault: its BMC logged {logged}",
        (*_LOGGED, Cause("no image does that to a board", "boot the same image on another board")),
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
"""What the console hints at by itself, and a boot may know better: by the words of the failure (`why`)."""
