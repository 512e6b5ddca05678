"""Every fault that a twin can play, and the verdict that is right when it does (data only).

A fault acts from its moment on: from the twin's start, at a stage of the boot as the twin itself sees it, or
so many seconds after power-on. Numbers are in the unit that the parameter's words name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Place = Literal["bmc", "machine", "network", "host"]
START = "start"
"""The moment of a fault that is there from the beginning."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number that a fault may be given; `what` names its unit."""

    name: str
    default: float
    what: str


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: what happens, where, from when on, and the code of the verdict of a boot that meets it.

    `scripted` is that verdict on a scripted board, where it is another one. `play` is what the stand-in image
    has to do for it (its `play=`). What is `fixed` is there from the start or not at all.
    """

    name: str
    what: str
    acts: Place
    verdict: str
    at: str = START
    parameters: tuple[Parameter, ...] = ()
    play: str = ""
    scripted: str = ""
    fixed: bool = False

    def verdict_on(self, engine: str) -> str:
        """Return the code of the verdict on a twin of this engine."""
        return self.scripted if engine == "scripted" and self.scripted else self.verdict


_LASTS = Parameter("for", 0, "seconds it lasts, 0 for ever")

_ALL = (
    Fault("sol-drop", "the BMC ends the console's session", "bmc", "ok", at="firmware"),
    Fault(
        "sol-stolen",
        "somebody else takes the console and keeps it",
        "bmc",
        "console-held",
        at="firmware",
        parameters=(_LASTS,),
    ),
    Fault(
        "first-bytes-lost",
        "the BMC loses the first bytes of the board's console",
        "bmc",
        "ok",
        at="power",
        parameters=(Parameter("bytes", 200, "bytes"),),
    ),
    Fault(
        "console-gap",
        "the console is away while the line that is waited for is printed",
        "bmc",
        "console-gap",
        at="kernel",
        parameters=(Parameter("for", 5, "seconds it is away"),),
    ),
    Fault(
        "wrong-baud",
        "the board's UART and the BMC run at different speeds: characters that are none",
        "bmc",
        "garbage",
    ),
    Fault(
        "bmc-silent", "the BMC answers nothing at all", "bmc", "bmc-timeout", at=START, parameters=(_LASTS,)
    ),
    Fault(
        "bmc-busy",
        "the BMC answers that it is busy (C0h)",
        "bmc",
        "ok",
        parameters=(Parameter("times", 4, "commands in a row"),),
    ),
    Fault(
        "bmc-odd-codes",
        "the BMC answers some commands with codes that mean little (FFh, C3h, D3h, C0h)",
        "bmc",
        "ok",
        parameters=(Parameter("share", 15, "percent of commands"),),
    ),
    Fault(
        "bmc-slow",
        "the BMC takes its time over every command",
        "bmc",
        "ok",
        parameters=(Parameter("delay", 0.5, "seconds for each"),),
    ),
    Fault(
        "bmc-restarts",
        "the BMC restarts while the board boots, and knows no session afterwards",
        "bmc",
        "console-gap",
        at="firmware",
        parameters=(Parameter("for", 8, "seconds it is away"),),
    ),
    Fault("cipher-refused", "the BMC takes none of the cipher suites it is offered", "bmc", "cipher"),
    Fault(
        "override-ignored",
        "the firmware does not look at the boot override and boots its disk",
        "machine",
        "override-ignored",
    ),
    Fault(
        "override-unreadable",
        "the BMC takes the boot override and does not tell what it holds (80h)",
        "bmc",
        "override",
    ),
    Fault(
        "override-expired",
        "the BMC drops the boot override before the self-test is over, whatever it was told",
        "bmc",
        "override-expired",
        fixed=True,
    ),
    Fault("power-dead", "the BMC takes power commands and nothing happens", "machine", "power-stuck"),
    Fault(
        "power-on-ignored",
        "the first power-on has no effect",
        "machine",
        "ok",
        parameters=(Parameter("times", 1, "power-ons without effect"),),
    ),
    Fault(
        "plug-pulled",
        "the plug is pulled: board and BMC are without power, and the board stays off afterwards",
        "machine",
        "lab",
        at="kernel-image",
        parameters=(Parameter("for", 8, "seconds until it is plugged in again, 0 for ever"),),
    ),
    Fault(
        "watchdog",
        "the image hangs and the BMC's watchdog resets the board",
        "bmc",
        "watchdog-reset",
        at="kernel",
        parameters=(Parameter("after", 2, "seconds it is waited for"),),
        play="hang:kernel",
    ),
    Fault(
        "wrong-architecture",
        "the board boots by the other firmware than planned, and asks by DHCP as that",
        "machine",
        "dhcp-ignored",
    ),
    Fault(
        "other-nic", "another port of the board asks for the network boot", "machine", "no-dhcp", fixed=True
    ),
    Fault("no-link", "the boot port has no link", "machine", "no-dhcp", fixed=True),
    Fault(
        "reboot-loop",
        "the board starts over again and again",
        "machine",
        "reboot-loop",
        play="reboot",
        fixed=True,
    ),
    Fault(
        "no-vtx", "VT-x is off in the firmware setup", "machine", "vtx-locked", play="vtx-locked", fixed=True
    ),
    Fault(
        "dhcp-rival",
        "another DHCP server is on the segment and answers first",
        "network",
        "ok",
        scripted="dhcp-not-taken",
        parameters=(Parameter("lead", 0.5, "seconds by which it is faster"),),
    ),
    Fault(
        "dhcp-lost",
        "the answers to the board's DHCP requests do not arrive",
        "network",
        "dhcp-not-taken",
        at="power",
        parameters=(Parameter("packets", 0, "answers that are lost, 0 for all"),),
    ),
    Fault(
        "tftp-loss",
        "packets of TFTP are lost",
        "network",
        "ok",
        parameters=(Parameter("share", 10, "percent of packets"),),
    ),
    Fault(
        "tftp-blksize-refused",
        "no block size is agreed upon: TFTP goes on with 512 bytes a block",
        "network",
        "ok",
    ),
    Fault(
        "http-reset",
        "the connection is reset in the middle of a file",
        "network",
        "loader-network",
        parameters=(
            Parameter("bytes", 65536, "bytes of a file that still arrive"),
            Parameter("times", 0, "connections that are reset, 0 for all"),
        ),
    ),
    Fault(
        "slow-link",
        "the link to the board is slow",
        "network",
        "ok",
        parameters=(Parameter("kbit", 4000, "kbit/s each way"),),
    ),
    Fault(
        "wrong-file",
        "the board receives other bytes than its kernel's",
        "network",
        "loader-refuses",
    ),
    Fault(
        "disk-full",
        "the disk of this host is full when the boot's records are written",
        "host",
        "output",
        fixed=True,
    ),
)

FAULTS: Mapping[str, Fault] = MappingProxyType({fault.name: fault for fault in _ALL})
