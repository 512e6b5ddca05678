"""What the rules of findings look at, and what a rule says; pure data.

A rule is a function from `Case` to `Judged`s. It speaks of `subjects` only: functions that somebody could
give to a VM. A server has a hundred functions of its chipset beside them, and findings about those help
nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from bringup.pci.assessment import Finding, PinCandidate
from bringup.pci.bars import bars_under_sel4
from bringup.pci.match.ports import match_nics
from bringup.pci.model import Bar, Bdf, Function, Machine
from bringup.pci.pins.beliefs import pin_candidates, sharing
from bringup.pci.topology.above import Topology

if TYPE_CHECKING:
    from bringup.profile.model import ExpectedNic, Profile

# Stock seL4 libraries, where no profile says otherwise (util_libs libpci, PCI_MAX_DEVICES; C14, C21).
PCI_MAX_DEVICES = 128
BAR_LIMIT_BYTES = 1 << 32
PAGE_BYTES = 4096

Effect = Literal["none", "limit", "unknown", "change", "refuse"]
"""What a finding does to a function's word: nothing, a condition, a doubt to settle first, a change that is
needed, a refusal; the later the stronger."""

# Base class, and subclasses where only some are devices that people pass (PCI Code and ID Assignment 1.11).
_PASSED: dict[int, frozenset[int] | None] = {
    0x01: None,
    0x02: None,
    0x03: None,
    0x04: None,
    0x07: frozenset(range(4)),
    0x0B: frozenset({0x40}),
    0x0C: frozenset({0x00, 0x03, 0x04, 0x06, 0x09}),
    0x0D: None,
    0x10: None,
    0x12: None,
}


@dataclass(frozen=True, slots=True)
class Judged:
    """One finding with its effect; `words` say that effect in the function's verdict.

    An effect of a finding about the whole machine (no BDF) is one on every subject.
    """

    finding: Finding
    effect: Effect = "none"
    words: str = ""


@dataclass(frozen=True)
class Case:
    """A machine with all that the rules need; `subjects` are Ethernet functions first, then by BDF."""

    machine: Machine
    profile: Profile | None
    nics: Mapping[Bdf, ExpectedNic]
    pins: Mapping[Bdf, tuple[PinCandidate, ...]]
    sharing: Mapping[Bdf, tuple[Bdf, ...]]
    subjects: tuple[Function, ...]
    functions: Mapping[Bdf, Function] = field(repr=False)

    @classmethod
    def of(cls, machine: Machine, profile: Profile | None) -> Case:
        """Prepare a machine for the rules."""
        nics = {} if profile is None else match_nics(machine.functions, profile)
        pins = pin_candidates(machine, profile)
        subjects = [f for f in machine.functions if is_subject(f) or f.bdf in nics]
        subjects.sort(key=lambda f: (not (f.is_ethernet or f.bdf in nics), f.bdf))
        functions = {function.bdf: function for function in machine.functions}
        return cls(machine, profile, nics, pins, sharing(pins), tuple(subjects), functions)

    @cached_property
    def ethernet(self) -> tuple[Function, ...]:
        """The subjects that are network ports."""
        return tuple(f for f in self.subjects if f.is_ethernet or f.bdf in self.nics)

    @cached_property
    def topology(self) -> Topology:
        """Who is behind whom."""
        return Topology.of(self.machine.functions)

    @cached_property
    def scan_index(self) -> Mapping[Bdf, int]:
        """Each function's place, from 0, in the order the VMM scans: ascending BDF, domain 0 only (C14)."""
        scanned = sorted(bdf for bdf in self.functions if bdf.domain == 0)
        return {bdf: index for index, bdf in enumerate(scanned)}

    @cached_property
    def subject_bdfs(self) -> frozenset[Bdf]:
        """The addresses of the subjects."""
        return frozenset(function.bdf for function in self.subjects)

    @property
    def table_size(self) -> int:
        """How many functions the VMM's PCI table holds."""
        return PCI_MAX_DEVICES if self.profile is None else self.profile.hypervisor.pci_max_devices.value

    @property
    def bar_limit(self) -> int:
        """The first address (bytes) at which a BAR must not lie any more."""
        return BAR_LIMIT_BYTES if self.profile is None else self.profile.hypervisor.bar_limit_bytes.value


def is_subject(function: Function) -> bool:
    """Whether somebody could want to give this function to a VM: an endpoint that is no part of the chipset.

    Virtual functions are none: they have no INTx (PCIe 4.0 9.3.4.1.22), and the VMM has no other interrupts.
    """
    if function.class_code is None or function.is_bridge or function.physical_function is not None:
        return False
    base, sub = function.class_code >> 8, function.class_code & 0xFF
    subclasses = _PASSED.get(base, frozenset())
    return subclasses is None or sub in subclasses


def memory_bars(function: Function) -> Iterator[Bar]:
    """Yield the memory BARs as seL4 will find them."""
    return (bar for bar in bars_under_sel4(function) or () if bar.kind == "mem")


def io_bars(function: Function) -> Iterator[Bar]:
    """Yield the I/O BARs as seL4 will find them."""
    return (bar for bar in bars_under_sel4(function) or () if bar.kind == "io")


def named(bdfs: tuple[Bdf, ...], most: int = 6) -> str:
    """Return `b5:00.0, b5:00.1`, and how many more."""
    text = ", ".join(bdf.short for bdf in bdfs[:most])
    return text if len(bdfs) <= most else f"{text} and {len(bdfs) - most} more"


def place(bar: Bar) -> str:
    """Return `BAR 0 at 0xc5b00000, 1048576 bytes`."""
    base = "without an address" if bar.base is None else f"at {bar.base:#x}"
    return f"BAR {bar.index} {base}" + ("" if bar.size is None else f", {bar.size} bytes")
