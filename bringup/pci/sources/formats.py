"""The text formats that a capture may be in: one row each, and nothing else has to know of a new one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bringup.pci.model import Machine
from bringup.pci.sources import freebsd_log, iommu_groups, linux, loose, sel4_log
from bringup.pci.sources.dmesg import addresses as dmesg
from bringup.pci.sources.firmware import report as firmware
from bringup.pci.sources.lspci import machine as lspci_machine
from bringup.pci.sources.lspci import text as lspci
from bringup.pci.sources.lspci import tree as lspci_tree
from bringup.pci.sources.pciconf import text as pciconf


class Reader(Protocol):
    """A module that reads one text format."""

    KIND: str

    def looks_like(self, data: bytes) -> bool:
        """Return whether these bytes are of this format; raises nothing, whatever they are."""
        ...

    def parse(self, data: bytes, name: str) -> Machine:
        """Return the machine that a text of this format shows; raises UsageError for a damaged one."""
        ...


@dataclass(frozen=True, slots=True)
class Format:
    """One text format: its reader, its rank, and what a person calls such a text.

    The lower `rank` wins where several views of a machine tell the same thing.
    """

    reader: Reader
    rank: int
    name: str


# In the order in which they are tried: the firmware probe's frames are in no other log, and one log may hold
# what was booted after it; seL4's log holds those of its guests' Linux.
FORMATS = (
    Format(firmware, 1, "the console log of the firmware probe"),
    Format(lspci_machine, 3, "`lspci -vmmnnk`"),
    Format(lspci, 2, "`lspci -nn -vvv -xxxx`"),
    Format(lspci_tree, 8, "`lspci -tv`"),
    Format(pciconf, 4, "`pciconf -lvbc`"),
    Format(sel4_log, 6, "the boot log of seL4"),
    Format(freebsd_log, 7, "that of FreeBSD"),
    Format(dmesg, 5, "that of Linux"),
    Format(iommu_groups, 11, "a list of IOMMU groups"),
    Format(loose, 9, "beside one of these /proc/interrupts, iomem, ioports or acpidump's text"),
)

# A machine's own files, or a capture of them, are no text and tell most.
_RANKS = {linux.KIND: 0, **{row.reader.KIND: row.rank for row in FORMATS}}


def reader_of(data: bytes) -> Reader | None:
    """Return what reads these bytes, None where no format is like them."""
    return next((row.reader for row in FORMATS if row.reader.looks_like(data)), None)


def rank_of(machine: Machine) -> int:
    """Return how much the word of a view of one source counts; the lowest number counts most."""
    return _RANKS[machine.sources[0].kind]


def names() -> str:
    """Return what texts there are, for people."""
    return ", ".join(row.name for row in FORMATS)
