"""Causes that rows of several modules name."""

from __future__ import annotations

from collections.abc import Mapping

from bringup.boot.causes.row import Cause
from bringup.boot.facts import Fact

NETWORK_FIRST = "set the boot order in the firmware setup: network first"

CABLE = Cause("cable in another port", "plug it into the port that `bringup boards show` names")
NO_OVERRIDE = Cause(
    "no boot override was set, and the board's own order has its disk first",
    f"{NETWORK_FIRST}; or leave out --override",
    needs=frozenset({Fact.OVERRIDE_ABSENT}),
)
EXPIRED = Cause(
    "the BMC dropped the boot override before the self-test was over",
    f"{NETWORK_FIRST}, and boot with --override none",
    needs=frozenset({Fact.OVERRIDE_EXPIRED}),
)
REDIRECTION = Cause("console redirection is off", "{advice:sol-console}", unless=frozenset({Fact.HEARD}))
FIREWALL = Cause(
    "a firewall on this host", "open UDP 67, 69, 4011, the ephemeral ports and TCP of the HTTP port"
)
WRONG_PORT = Cause(
    "kernel and console use different ports",
    "console_port={console_port} debug_port={console_port} on the kernel command line",
)
RELEASE = Cause("a RELEASE image prints nothing from the kernel", "build with RELEASE=OFF, or --until vmm")

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
LOGGED = tuple(LOGGED_CAUSES.values())
