"""What ACPI tables say of a machine; pure data. Addresses are bytes.

None: not observed.
"""

from __future__ import annotations

from dataclasses import dataclass

from bringup.base.place import Bdf
from bringup.pci.model.config import IntxPin


@dataclass(frozen=True, slots=True)
class IoApic:
    """MADT type 1 entry; `index` is its place in the table, which is seL4's `ioapic` number.

    `id` and `address` None: the source tells which interrupts it has, and no more.
    """

    index: int
    id: int | None
    address: int | None
    gsi_base: int
    pins: int | None = None


@dataclass(frozen=True, slots=True)
class SourceOverride:
    """MADT type 2 entry: ISA IRQ `source` arrives at `gsi`."""

    source: int
    gsi: int
    flags: int


@dataclass(frozen=True, slots=True)
class Madt:
    """Interrupt controllers (ACPI 6.4, 5.2.12)."""

    ioapics: tuple[IoApic, ...]
    overrides: tuple[SourceOverride, ...] = ()
    cpus: int | None = None

    def pins_of(self, index: int) -> int | None:
        """Return how many pins an IOAPIC has at most: as a source tells, else up to where the next begins.

        None where neither is known, or there is no such IOAPIC.
        """
        if not 0 <= index < len(self.ioapics):
            return None
        ioapic = self.ioapics[index]
        above = (other.gsi_base for other in self.ioapics if other.gsi_base > ioapic.gsi_base)
        return ioapic.pins or min((base - ioapic.gsi_base for base in above), default=None)


@dataclass(frozen=True, slots=True)
class Scope:
    """DMAR device scope: `path` holds (device, function) pairs from `start_bus` down, several when multi-hop.

    `bdf` is the function the path ends at once the bridges' bus numbers are known.
    """

    kind: int
    enumeration_id: int
    start_bus: int
    path: tuple[tuple[int, int], ...]
    bdf: Bdf | None = None


@dataclass(frozen=True, slots=True)
class Drhd:
    """One VT-d remapping unit."""

    segment: int
    base: int
    include_all: bool
    scopes: tuple[Scope, ...]


@dataclass(frozen=True, slots=True)
class Rmrr:
    """Memory the firmware keeps for a device: `base` to `limit`, both inclusive."""

    segment: int
    base: int
    limit: int
    scopes: tuple[Scope, ...]


@dataclass(frozen=True, slots=True)
class Dmar:
    """VT-d reporting structure (VT-d 3.3, 8)."""

    address_bits: int | None
    flags: int | None
    drhds: tuple[Drhd, ...]
    rmrrs: tuple[Rmrr, ...]


@dataclass(frozen=True, slots=True)
class Mcfg:
    """One range of memory mapped config space."""

    base: int
    segment: int
    first_bus: int
    last_bus: int


@dataclass(frozen=True, slots=True)
class PrtEntry:
    """One `_PRT` row in APIC mode: INTx `pin` of `device` on `bus` arrives at `gsi` (None: not resolved)."""

    bus: int
    device: int
    pin: IntxPin
    gsi: int | None
    link: str | None = None
    domain: int = 0


@dataclass(frozen=True, slots=True)
class LostPrt:
    """A `_PRT` that is there and tells nothing: nobody behind it may be routed by the bus above.

    It is of `bus`, or with `behind` of a bus behind one of the bridges on it; None: of any.
    """

    bus: int | None
    behind: bool = False
    domain: int = 0


@dataclass(frozen=True, slots=True)
class CodeTable:
    """A table of AML: its name among the firmware's tables ("DSDT", "SSDT3"), and its bytes."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class AcpiPlace:
    """An OS's word on the bus behind an ACPI device: `name` is its path, or a host bridge's last name."""

    name: str
    domain: int
    bus: int


@dataclass(frozen=True, slots=True)
class Acpi:
    """Tables that were read; None for one that was not observed.

    `code` is what `prt` is evaluated from, DSDT first, once all views of the machine are known; `places` is
    what operating systems said of where its devices are.
    """

    madt: Madt | None = None
    dmar: Dmar | None = None
    mcfg: tuple[Mcfg, ...] | None = None
    prt: tuple[PrtEntry, ...] | None = None
    lost_prt: tuple[LostPrt, ...] | None = None
    code: tuple[CodeTable, ...] | None = None
    places: tuple[AcpiPlace, ...] = ()
