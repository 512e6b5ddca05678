"""What a probe can be told in a plan (`params`): which words there are, and which it cannot do without.

Judged when a plan is read, so that a mistake is told at its line and not in the middle of a run. Addresses
and names become words of a guest's shell: nothing that a shell takes for more than a word is let through.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Takes:
    """The words that a probe can be told: those that it cannot do without, and those that it may have."""

    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """Every word that it takes."""
        return (*self.needs, *self.may)


# Who pings, from which address, how often; where the tunnel is; and where it is counted what leaves.
_PINGS = ("vm", "source", "count")
_TUNNEL = ("crypto", "tunnel")
_COUNTED = ("black", "port")

TAKES: Mapping[str, Takes] = {
    "tunnel": Takes(may=("limit_s",)),
    "reaches": Takes(("site",), ("count",)),
    "handshake": Takes(("site",)),
    "rate": Takes(may=("seconds", "least_mbit")),
    "kill-switch": Takes(may=("after_s",)),
    "pmtu-hole": Takes(may=("outer_mtu",)),
    "rekey-forced": Takes(may=("limit_s",)),
    "rekey-natural": Takes(may=("seconds",)),
    "roam": Takes(may=("hold_s",)),
    "loss": Takes(may=("limit_s", "every")),
    "clock": Takes(may=("limit_s", "apart_s")),
    "wrong-key": Takes(may=("seconds",)),
    "guest-config": Takes(("symbols",)),
    "guest-nic": Takes(("any_of",)),
    "guest-clock": Takes(may=("limit_s",)),
    **dict.fromkeys(("vm-alive", "vm-card", "vm-bars", "vm-driver", "vm-msi"), Takes(("vm",))),
    "vm-link": Takes(("vm",), ("least_mbit",)),
    "vm-irq": Takes(("vm", "to"), ("count",)),
    "vm-ping": Takes(("vm", "to"), ("count", "card")),
    "vm-rate": Takes(("from", "to", "address", "least_mbit", "most_mbit"), ("seconds", "slow")),
    "vm-rate-card": Takes(("vm", "to", "least_mbit", "most_mbit"), ("seconds", "slow")),
    "vm-tunnel": Takes(("to",), (*_PINGS, *_TUNNEL)),
    **dict.fromkeys(("vm-ptp", "vm-split"), Takes(("to",), (*_PINGS, *_TUNNEL, *_COUNTED))),
    "vm-clear": Takes(("to",), (*_PINGS, *_COUNTED)),
    "vm-kill-switch": Takes(("to", "internet"), (*_PINGS, *_TUNNEL, *_COUNTED)),
    "vm-allowed-ips": Takes(("only",), _TUNNEL),
    "vm-clock": Takes(may=("crypto", "most_s")),
}
"""What each probe can be told; one that is not here takes no word."""

VM_NUMBERS = ("vm", "from", "to", "crypto", "black")
"""Which of them name a VM where they are numbers."""
