"""Where something is: a line of a file, a function of a machine."""

from __future__ import annotations

import re
from dataclasses import dataclass

_BDF = re.compile(r"(?:([0-9a-fA-F]{4,8}):)?([0-9a-fA-F]{1,2}):([0-9a-fA-F]{1,2})\.([0-7])")


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file: `line` and `column` from 1."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, order=True)
class Bdf:
    """Where a function sits: PCI domain (segment), bus, device, function; ordered as hardware is scanned."""

    domain: int
    bus: int
    device: int
    function: int

    def __post_init__(self) -> None:
        # 32 bits: Linux numbers domains of VMD and of some hosts from 0x10000 on.
        if not (0 <= self.domain < 1 << 32 and 0 <= self.bus < 256 and 0 <= self.device < 32):
            raise ValueError(f"{self.domain:x}:{self.bus:x}:{self.device:x} is no PCI address")
        if not 0 <= self.function < 8:
            raise ValueError(f"{self.function} is no PCI function number (0 to 7)")

    @classmethod
    def parse(cls, text: str) -> Bdf:
        """Return the address written as `17:00.0` or `0000:17:00.0`; raises ValueError."""
        match = _BDF.fullmatch(text.strip())
        if match is None:
            raise ValueError(f'"{text}" is no PCI address: write bus:device.function as in 17:00.0')
        domain, bus, device, function = match.groups()
        return cls(int(domain or "0", 16), int(bus, 16), int(device, 16), int(function, 16))

    def __str__(self) -> str:
        return f"{self.domain:04x}:{self.bus:02x}:{self.device:02x}.{self.function:x}"

    @property
    def short(self) -> str:
        """`17:00.0`; the domain only where it is not 0."""
        return str(self) if self.domain else str(self)[5:]
