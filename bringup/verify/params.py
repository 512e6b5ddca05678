"""What a probe can be told in a plan (`params`): which words there are, and which it cannot do without.

Judged when a plan is read, so that a mistake is told at its line and not in the middle of a run. Addresses
and names become words of a guest's shell: nothing that a shell takes for more than a word is let through.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import ConfigDict, Field

# Comes with pydantic, which takes no other TypedDict before Python 3.12.
from typing_extensions import TypedDict

Seconds = Annotated[float, Field(gt=0, le=3600)]
Number = Annotated[int, Field(ge=0, le=11)]
"""A VM's number at the SerialServer."""
Times = Annotated[int, Field(ge=1, le=1000)]
Host = Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.:-]{0,252}$")]
Network = Annotated[str, Field(pattern=r"^[0-9A-Fa-f.:]{2,39}/\d{1,3}$")]
Device = Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z_.-]{0,14}$")]
Site = Annotated[str, Field(pattern=r"^[ab]$")]
Rate = Annotated[float, Field(ge=0)]

# Called, because `from` is no name that a class could have.
Params = TypedDict(
    "Params",
    {
        "address": Host,
        "after_s": Seconds,
        "any_of": list[str],
        "apart_s": Seconds,
        "black": Number,
        "card": bool,
        "count": Times,
        "crypto": Number,
        "every": Times,
        "from": Number,
        "hold_s": Seconds,
        "internet": Host,
        "least_mbit": Rate,
        "limit_s": Seconds,
        "most_mbit": Rate,
        "most_s": Seconds,
        "only": Network,
        "outer_mtu": Annotated[int, Field(ge=576, le=9000)],
        "port": Annotated[int, Field(ge=1, le=65535)],
        "seconds": Seconds,
        "site": Site,
        "slow": str,
        "source": Host,
        "symbols": dict[str, str],
        "to": Number | Host,
        "tunnel": Device,
        "vm": Number,
    },
    total=False,
)
Params.__pydantic_config__ = ConfigDict(strict=True, extra="forbid")  # type: ignore[attr-defined]

NEEDED: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("reaches", "handshake"), ("site",)),
    "guest-config": ("symbols",),
    "guest-nic": ("any_of",),
    **dict.fromkeys(("vm-alive", "vm-card", "vm-bars", "vm-driver", "vm-msi", "vm-link"), ("vm",)),
    **dict.fromkeys(("vm-irq", "vm-ping"), ("vm", "to")),
    "vm-rate": ("from", "to", "address", "least_mbit", "most_mbit"),
    "vm-rate-card": ("vm", "to", "least_mbit", "most_mbit"),
    **dict.fromkeys(("vm-tunnel", "vm-ptp", "vm-split", "vm-clear"), ("to",)),
    "vm-kill-switch": ("to", "internet"),
    "vm-allowed-ips": ("only",),
}
"""What each probe cannot do without."""

VM_NUMBERS = ("vm", "from", "to", "crypto", "black")
"""Which of them name a VM where they are numbers."""
