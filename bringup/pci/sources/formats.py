"""The text formats that a capture may be in: one row each, and nothing else has to know of a new one."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

from bringup.pci.model import Machine
from bringup.pci.sources import linux


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
    """One text format: the module that reads it, its rank, and what a person calls such a text.

    The lower `rank` wins where several views of a machine tell the same thing.
    """

    module: str
    rank: int
    name: str

    @property
    def reader(self) -> Reader:
        """The reader, loaded when a text is there to be read: a tree of files needs none of them."""
        return cast("Reader", import_module(f"{__package__}.{self.module}"))


# In the order in which they are tried: the firmware probe's frames are in no other log, and one log may hold
# what was booted after it; seL4's log holds those of its guests' Linux.
FORMATS = (
    Format("firmware.report", 1, "the console log of the firmware probe"),
    Format("lspci.machine", 3, "`lspci -vmmnnk`"),
    Format("lspci.text", 2, "`lspci -nn -vvv -xxxx`"),
    Format("lspci.tree", 8, "`lspci -tv`"),
    Format("pciconf.text", 4, "`pciconf -lvbc`"),
    Format("sel4_log", 6, "the boot log of seL4"),
    Format("freebsd_log", 7, "that of FreeBSD"),
    Format("dmesg.addresses", 5, "that of Linux"),
    Format("iommu_groups", 11, "a list of IOMMU groups"),
    Format("loose", 9, "beside one of these /proc/interrupts, iomem, ioports, cpuinfo or acpidump's text"),
)


def reader_of(data: bytes) -> Reader | None:
    """Return what reads these bytes, None where no format is like them."""
    return next((row.reader for row in FORMATS if row.reader.looks_like(data)), None)


def rank_of(machine: Machine) -> int:
    """Return how much the word of a view of one source counts; the lowest number counts most."""
    kind = machine.sources[0].kind
    # A machine's own files, or a capture of them, are no text and tell most.
    return 0 if kind == linux.KIND else next(row.rank for row in FORMATS if kind == row.reader.KIND)


def names() -> str:
    """Return what texts there are, for people."""
    return ", ".join(row.name for row in FORMATS)
