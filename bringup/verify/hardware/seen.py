"""What one unit showed: its capture, its BMC's answers, the boots of the probes; pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bringup.pci.model import Machine


@dataclass(frozen=True, slots=True)
class BmcSeen:
    """What a BMC said; None was not told, and `why` says why, by the field's name."""

    manufacturer: int | None = None
    firmware: str | None = None
    suites: tuple[int, ...] | None = None
    address_source: str | None = None
    lan_mode: str | None = None
    sol_enabled: bool | None = None
    sol_baud: int | None = None
    override: str | None = None
    why: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BootSeen:
    """A boot of a probe: `stages` are seconds from power-on at which each was reached, in order.

    `override`: what the boot set, None where it set none. `verified`: it was read back.
    """

    run: str
    firmware: str
    stages: Mapping[str, float]
    override: bool = False
    verified: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """All that was seen of a unit. `virtual`: it is a twin, whose times say nothing of a board."""

    machine: Machine | None = None
    bmc: BmcSeen | None = None
    boots: tuple[BootSeen, ...] = ()
    virtual: bool = False
    why: Mapping[Literal["machine", "bmc", "boots"], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found for a fact: `value` as a profile would hold it, None where it has no such value.

    `agrees` None: by comparing the values.
    """

    value: object
    evidence: str
    agrees: bool | None = None


@dataclass(frozen=True, slots=True)
class NotSeen:
    """Why a fact could not be measured on this unit, now."""

    reason: str


Finding = Measured | NotSeen
