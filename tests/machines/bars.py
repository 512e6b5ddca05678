"""Base address registers of made functions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MadeBar:
    """A BAR: address 0 means that none was assigned."""

    index: int
    io: bool
    base: int
    size: int
    wide: bool = False
    prefetchable: bool = False

    @property
    def type_bits(self) -> int:
        """The register's low bits (PCI 3.0, 6.2.5.1)."""
        return 1 if self.io else (4 if self.wide else 0) | (8 if self.prefetchable else 0)

    @property
    def last(self) -> int:
        return self.base + self.size - 1
