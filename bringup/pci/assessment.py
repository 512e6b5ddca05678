"""What follows from a machine's PCI facts: graded pins, findings, and a word per function; pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bringup.base.finding import Finding
from bringup.pci.model import Bdf, Machine

PinGrade = Literal["measured", "stated", "known", "inferred", "firmware"]
PIN_GRADES: tuple[PinGrade, ...] = ("measured", "stated", "known", "inferred", "firmware")
"""Best first. measured: an interrupt was seen at that pin, on this unit (firmware probe) or, by the board
profile's source, on another of the same model. stated: a person says so (`--pin`), which only a pin measured
on this unit speaks against. known: the OS used that pin in INTx mode (/proc/interrupts). inferred: the
board's routing rule. firmware: `_PRT` and MADT, which the machine under seL4 may not follow.
"""


@dataclass(frozen=True, slots=True)
class PinCandidate:
    """One belief about where a function's INTx arrives: `ioapic` is the MADT index, `pin` its input.

    `source` says for people where this is from; `this_unit` whether it was seen on the captured unit itself;
    `untested` that it follows from a rule which nobody has seen to fit such a place.
    """

    ioapic: int
    pin: int
    grade: PinGrade
    source: str
    this_unit: bool = False
    untested: bool = False

    @property
    def words(self) -> str:
        """The grade as people read it: `measured elsewhere` is another unit of this model."""
        if self.grade == "stated":
            return "stated by hand"
        if self.grade == "measured" and not self.this_unit:
            return "measured elsewhere"
        return f"{self.grade}, untested" if self.untested else self.grade

    @property
    def settled(self) -> bool:
        """Whether an interrupt was seen at this pin on the captured unit itself."""
        return self.grade == "measured" and self.this_unit


Word = Literal["passable", "needs-change", "not-passable", "unknown"]


CHIPSET = "it belongs to the chipset"
"""How the reason begins for what the machine itself needs."""


@dataclass(frozen=True, slots=True)
class Passability:
    """Whether a function can be given to a VM.

    passable: as the machine and stock seL4 stand, within `limits` (such as who may not get the neighbour);
    needs-change: once every one of `changes` is made, which also tell what is `unsettled`: was not observed;
    not-passable: because of `reasons`; unknown: what would decide was not observed (`reasons` says what).
    """

    word: Word
    limits: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    unsettled: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Assessment:
    """A machine and what follows. `pins` best first; `sharing` names every other function on the same pin."""

    machine: Machine
    profile: str | None = None
    pins: Mapping[Bdf, tuple[PinCandidate, ...]] = field(default_factory=dict)
    sharing: Mapping[Bdf, tuple[Bdf, ...]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    passability: Mapping[Bdf, Passability] = field(default_factory=dict)
