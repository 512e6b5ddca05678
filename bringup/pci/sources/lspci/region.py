"""Address lines of `lspci -vv`: regions, expansion ROM, bus numbers and bridge windows.

The wording is that of pciutils' lspci.c, from 2.2 to 3.13. `<ignored>` and `<unassigned>` both mean that the
OS gave no address; `[virtual]` and `[enhanced]` regions are told by the OS and are not in the BAR registers.
"""

from __future__ import annotations

import re
from typing import Literal

from bringup.pci.model import Bar, Bridge, Rom, Window

# Where Linux keeps its copy of the boot video ROM (arch/x86/pci/fixup.c).
SHADOW_ROM = 0xC0000

_MAX_BARS = 6
_SCALE = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40, "P": 1 << 50}
_SIZE = re.compile(r"\[size=(\d{1,6})([KMGTP]?)\]")
# Memory has its traits in brackets in every version: a line without them is not whole.
_REGION = re.compile(
    r"(?:Region ([0-9]): )?(?:\[(?:virtual|enhanced)\] ){0,2}(?:"
    r"(Memory) at ([0-9a-f]{1,16}|<[^>]*>)(?: \[virtual\])? \(([^)]*)\)"
    r"|(I/O ports) at ([0-9a-f]{1,16}|<[^>]*>))((?: \[[^\]]*\])*)$"
)
_ROM = re.compile(r"Expansion ROM at ([0-9a-f]{1,16}|<[^>]*>)")
_BUS = re.compile(r"Bus: primary=([0-9a-f]{2}), secondary=([0-9a-f]{2}), subordinate=([0-9a-f]{2})")
_WINDOW = re.compile(r"(I/O|Memory|Prefetchable memory) behind bridge: ([0-9a-f]{1,16})-([0-9a-f]{1,16})")
_WINDOW_KINDS: dict[str, Literal["io", "mem", "prefetchable"]] = {
    "I/O": "io",
    "Memory": "mem",
    "Prefetchable memory": "prefetchable",
}


def read_region(line: str) -> Bar | None:
    """Return the BAR of a `Region N:` line, also of one inside SR-IOV; None: the line is no such line.

    `lspci -v` writes no numbers: `numbered` is False then, and `index` for the caller to count.
    """
    match = _REGION.match(line)
    if match is None or int(match[1] or 0) >= _MAX_BARS:
        return None
    traits = match[4] or ""
    base = _address(match[3] or match[6])
    return Bar(
        index=int(match[1] or 0),
        numbered=match[1] is not None,
        kind="mem" if match[2] else "io",
        base=base,
        size=_size(line),
        width=_width(traits, base),
        prefetchable="prefetchable" in traits and "non-prefetchable" not in traits,
    )


def read_rom(line: str) -> Rom | None:
    """Return the ROM of an `Expansion ROM at` line, None for any other."""
    match = _ROM.search(line)
    if match is None:
        return None
    base = _address(match[1])
    virtual = "[virtual]" in line
    return Rom(
        base=base,
        size=_size(line),
        # The enable bit of a virtual ROM is the OS's, not the register's.
        enabled=None if virtual else "[disabled]" not in line,
        shadow=virtual and base == SHADOW_ROM,
    )


def read_bus(line: str) -> Bridge | None:
    """Return the bus numbers of a `Bus:` line, windows not told; None for any other line."""
    match = _BUS.match(line)
    return None if match is None else Bridge(int(match[1], 16), int(match[2], 16), int(match[3], 16))


def read_window(line: str) -> Window | None:
    """Return what a `… behind bridge:` line says is forwarded; None: the window is closed."""
    match = _WINDOW.match(line)
    if match is None:
        return None
    base, limit = int(match[2], 16), int(match[3], 16)
    # -vvv shows closed windows as the registers hold them: the limit below the base.
    return Window(_WINDOW_KINDS[match[1]], base, limit) if base <= limit else None


def _address(text: str) -> int | None:
    return None if text.startswith("<") else int(text, 16) or None


def _size(line: str) -> int | None:
    match = _SIZE.search(line)
    return None if match is None else int(match[1]) * _SCALE[match[2]] or None


def _width(traits: str, base: int | None) -> int:
    if traits.startswith("low-1M"):
        return 20
    # lspci calls a virtual region 32-bit whatever its address: the type bits it prints are the address's.
    return 64 if traits.startswith("64-bit") or (base or 0) >= 1 << 32 else 32
