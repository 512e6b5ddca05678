"""What native components own of the hardware, as facts: `native.py` reads them from an application."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bringup.camkes.model import Place
    from bringup.pci.model import Bdf


@dataclass(frozen=True, slots=True)
class Owner:
    """A native component: its instance, and where what it owns is written or declared."""

    instance: str
    place: Place

    def __str__(self) -> str:
        return f"{self.instance} ({self.place})"


@dataclass(slots=True)
class Native:
    """What native components own, each with its owner; ranges are first and first after.

    `pins` are (IOAPIC, pin), `vectors` interrupt vectors as capDL has them, of which `dest` is one, `ports`
    I/O ports, `memory` physical addresses, `domains` those of the IOMMU, `functions` PCI functions.
    """

    pins: list[tuple[tuple[int, int], Owner]] = field(default_factory=list)
    vectors: list[tuple[int, Owner]] = field(default_factory=list)
    ports: list[tuple[int, int, Owner]] = field(default_factory=list)
    memory: list[tuple[int, int, Owner]] = field(default_factory=list)
    domains: list[tuple[int, Owner]] = field(default_factory=list)
    functions: list[tuple[Bdf, Owner]] = field(default_factory=list)
