"""What it means when a boot stops: one row per code, with whose fault it is and the usual causes (data only).

In texts, `{who}` is the board's MAC, `{waited}` the seconds without progress, `{since_power}` those since
power-on, `{arch}` the client architecture (DHCP option 93), `{firmware}` the firmware the boot was planned
for, `{some}` of `{all}` VMs have logged in and `{missing}` names those that have not, `{lost}` is what of
a job's errand did not come, `{port}` the serial line that is not the console, `{awaited}` the
missing stage, `{where}` the last one seen, and `{suite}` where a test suite is.
What to do may name advice of the board's profile (`{advice:vt-x}`, see `bringup.profile.advice`) and the
`{console_port}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Fault = Literal["lab", "image", "profile", "tool", "undecided"]
Causes = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """Whose fault, one sentence, and up to three usual causes, each with what to do."""

    fault: Fault
    cause: str
    causes: Causes


_OPTION_ROM = (
    "LAN option ROM off for this port",
    "{advice:network-boot}",
)
_CABLE = ("cable in another port", "plug it into the port that `bringup boards show` names")
_SPANNING_TREE = ("switch port learns for 30 s", "spanning tree: portfast on this port")
_OVERRIDE = (
    "the boot override was not taken",
    "bringup runs show --events: was it read back? else set the boot order",
)
_REDIRECTION = ("console redirection is off", "{advice:sol-console}")
FIREWALL = ("a firewall on this host", "open UDP 67, 69, 4011, the ephemeral ports and TCP of the HTTP port")
_OTHER_SERVER = ("another DHCP server answered", "use an own segment, or take the board off that network")
_WRONG_PORT = (
    "kernel and console use different ports",
    "console_port={console_port} debug_port={console_port} on the kernel command line",
)
_RELEASE = ("a RELEASE image prints nothing from the kernel", "build with RELEASE=OFF, or --until vmm")
_CHECKSUM = ("checksum offload on a bridge or veth", "ethtool -K IF tx off on both ends")
_LINK = ("a bad link", "look at the port's error counters, try another cable")

TABLE: Mapping[str, Row] = {
    "no-power": Row(
        "lab",
        "the board was not seen powered on within {waited} s",
        (
            ("no mains power", "check the supply and its cable"),
            ("the BMC ignores the command", "ipmitool chassis status; BMC cold reset"),
        ),
    ),
    "no-sign-of-life": Row(
        "lab",
        "no console text and no DHCP request from {who} within {since_power} s of power-on",
        (
            _REDIRECTION,
            _OPTION_ROM,
            (
                "POST stopped",
                "look at the screen or POST code; {advice:post-errors}",
            ),
        ),
    ),
    "no-dhcp": Row(
        "lab",
        "no DHCP request from {who} within {since_power} s of power-on",
        (_OPTION_ROM, _CABLE, _SPANNING_TREE),
    ),
    "dhcp-ignored": Row(
        "profile",
        "{who} asks for a network boot as architecture {arch}, and this boot serves {firmware}",
        (
            ("the board boots the other way", "{advice:boot-mode}"),
            ("the plan is for the other firmware", "--firmware bios or --firmware uefi"),
            (
                "UEFI HTTP boot comes first",
                "{advice:http-boot}",
            ),
        ),
    ),
    "dhcp-unanswered": Row(
        "lab",
        "{who} asks by DHCP and this host's server does not answer",
        (FIREWALL, ("dnsmasq serves another interface", "compare the interface in lab.toml with the cable")),
    ),
    "dhcp-not-taken": Row(
        "lab",
        "{who} was offered an address and did not take it",
        (
            _OTHER_SERVER,
            ("the firmware ignores proxyDHCP", 'network mode = "own-segment" in lab.toml'),
            ("the offer did not reach the board", "switch or VLAN: is it the same segment both ways?"),
        ),
    ),
    "loader-not-fetched": Row(
        "lab",
        "DHCP was answered, and {who} fetched no loader within {waited} s",
        (
            FIREWALL,
            ("the board took the server address of another DHCP server", "use an own segment"),
            (
                "iPXE waits for an IPv6 router",
                "this takes 13 s on a shared segment: raise the loader's limit",
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
            (
                "the loader has no network",
                "look at its lines on the console; try --loader grub or --loader ipxe",
            ),
            FIREWALL,
            ("the loader waits for a key", "look at the last console lines"),
        ),
    ),
    "module-not-fetched": Row(
        "lab",
        "the kernel was fetched, and not all modules followed within {waited} s",
        (
            ("the loader refused the kernel", "look at its lines on the console"),
            ("too little memory below 4 GiB for the modules", "make the image smaller"),
            _LINK,
        ),
    ),
    "transfer-stalled": Row(
        "lab",
        "the transfer of the image stopped: no byte for {waited} s",
        (_LINK, _CHECKSUM, ("the loader hung", "try --loader grub or --loader ipxe")),
    ),
    "console-silent": Row(
        "profile",
        "everything was loaded, and the console never showed a character",
        (_REDIRECTION, _WRONG_PORT, ("SOL is off or at another speed", "ipmitool sol info")),
    ),
    "kernel-silent": Row(
        "profile",
        "everything was loaded, and the kernel printed nothing within {waited} s",
        (
            _WRONG_PORT,
            _RELEASE,
            (
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
            (
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
            (
                "it is no seL4 image, or one that prints only its own text",
                "--until-text REGEX says what must come",
            ),
            _RELEASE,
        ),
    ),
    "other-port": Row(
        "profile",
        "the image talks to {port}, which this console does not show",
        (_WRONG_PORT, ("the early text of a kernel always goes to 0x3f8", "look at that port's log")),
    ),
    "text-missing": Row(
        "image",
        "the text that was waited for did not come, and nothing more was said for {waited} s",
        (
            ("the program hangs", "look at its last lines"),
            ("it says something else", "compare the expression with the console's log"),
        ),
    ),
    "suite-silent": Row(
        "image",
        "the test suite said nothing for {waited} s, {suite}",
        (("this test hangs", "run it alone: -DLibSel4TestPrinterRegex=NAME"),),
    ),
    "no-known-end": Row(
        "undecided",
        "user space was reached, and the text does not tell whether that was all",
        (
            (
                "an image without VMs and tests has no known end",
                "say what counts as success: --until user-space, or --until-text REGEX",
            ),
        ),
    ),
    "stage-impossible": Row(
        "profile",
        "a test suite has no VMs: {awaited} cannot come",
        (
            (
                "a stage is asked of this image that it has not",
                "leave --until out: the suite's own end counts",
            ),
        ),
    ),
    "text-ends": Row(
        "undecided",
        "the text ends after {where}; {awaited} is not in it",
        (("the recording ended early", "record until the end, or say with --until what counts as success"),),
    ),
    "console-lost": Row(
        "lab",
        "the console was lost and did not come back",
        (
            ("somebody else took it", "bringup console --steal"),
            ("the BMC dropped the session", "ipmitool sol deactivate; BMC cold reset"),
        ),
    ),
    "kernel-hangs": Row(
        "image",
        "the kernel started and did not reach user space within {waited} s",
        (
            ("the kernel stops while it reads ACPI tables", "the last console line names the table"),
            ("memory that is not memory", "compare the kernel's memory map with the capture"),
            ("a slow build on a slow machine", "raise the user-space limit of the profile"),
        ),
    ),
    "no-vmm": Row(
        "image",
        "user space started and no VMM within {waited} s",
        (
            (
                "the capDL loader still creates objects",
                "device memory above 4 GiB takes very long; {advice:above-4g}",
            ),
            ("a component of the image crashed", "build with debug output; look at the last console lines"),
        ),
    ),
    "no-guest": Row(
        "image",
        "the VMM started and no guest kernel within {waited} s",
        (
            (
                "the guest kernel's name is not in the file server",
                "compare kernel_image with the build's files",
            ),
            ("the guest prints elsewhere", "console=ttyS0 on the guest's command line"),
            ("the VMM scans PCI", "a wait of seconds per VM is normal; raise the guest limit"),
        ),
    ),
    "no-login": Row(
        "image",
        "{some} of {all} VMs reached a login prompt within {waited} s{missing}",
        (
            ("no getty on the guest's console", "getty on ttyS0 in the guest's root file system"),
            ("an interrupt storm", "level_trig = 0, and one VM per IOAPIC pin"),
            ("a driver waits for its device", "look at the guest's last lines"),
        ),
    ),
    "booted-elsewhere": Row(
        "lab",
        "the board started something that was not served to it",
        (_OVERRIDE, ("another boot server answered", "use an own segment"), _CABLE),
    ),
    "reboot-loop": Row(
        "image",
        "the board started over after the kernel began",
        (
            ("the kernel crashed into a reset", "look at the last console lines before the restart"),
            ("a watchdog fired", "{advice:watchdog}"),
            ("somebody reset it", "ipmitool sel list"),
        ),
    ),
    "servers-lost": Row(
        "tool",
        "the servers of the network boot ended while the board needed them",
        (("a bug in this tool, or a full disk", "bringup runs show --events; report it"),),
    ),
}
