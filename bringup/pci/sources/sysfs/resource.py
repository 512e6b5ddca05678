"""The `resource` file of a PCI function in sysfs: addresses as the kernel assigned them, with sizes (pure).

A line is `start end flags` in hex (drivers/pci/pci-sysfs.c, resource_show). Lines 0 to 5 are the BARs, 6 the
ROM; with CONFIG_PCI_IOV lines 7 to 12 are the SR-IOV BARs, each covering ALL virtual functions; a bridge's
windows follow. Files have 7, 11, 13, 17 or 18 lines, so only the place of a line counts.

The high flags moved between kernels (IORESOURCE_PREFETCH was 0x1000 and is 0x2000), so width and prefetch are
read from the low byte, which holds the BAR register's own type bits.
"""

from __future__ import annotations

from dataclasses import dataclass

from bringup.pci.model import Bar, Rom

_IO, _MEM = 0x100, 0x200
_UNSET = 0x20000000
_ROM_LINE, _IOV_LINE = 6, 7
_BARS = 6
# ROM lines have these in the low byte (include/linux/ioport.h).
_ROM_ENABLE, _ROM_SHADOW = 0x1, 0x2
_MAX_LINES = 32
_NOTHING = "0x0000000000000000 0x0000000000000000 0x0000000000000000"


@dataclass(frozen=True, slots=True)
class Resources:
    """What the lines tell; `vf_bars` are each of all virtual functions together, None without their lines.

    `unread` are sentences about lines that are no resource.
    """

    bars: tuple[Bar, ...]
    rom: Rom | None
    vf_bars: tuple[Bar, ...] | None
    unread: tuple[str, ...] = ()


def read_resource(data: bytes) -> Resources | None:
    """Return what a `resource` file tells; None when it has no line that is one."""
    lines = data.decode("ascii", "replace").split("\n", _MAX_LINES)[:_MAX_LINES]
    while lines and not lines[-1]:
        lines.pop()
    unread: list[str] = []
    found: dict[int, tuple[int, int, int]] = {}
    for index, line in enumerate(lines):
        if line == _NOTHING:
            continue
        try:
            start, end, flags = (int(word, 16) for word in line.split())
        except ValueError:
            unread.append(f'resource line {index} is not understood: "{line[:80]}"')
            continue
        if flags:
            found[index] = (start, end, flags)
    if len(unread) == len(lines):
        return None
    bars = [_bar(index, *found[index]) for index in range(_BARS) if index in found]
    rom = _rom(*found[_ROM_LINE]) if _ROM_LINE in found else None
    virtual = [_bar(i, *found[i + _IOV_LINE]) for i in range(_BARS) if i + _IOV_LINE in found]
    # Without CONFIG_PCI_IOV (7 or 11 lines) a bridge's windows are where the SR-IOV BARs are otherwise.
    has_iov = len(lines) > _IOV_LINE + _BARS - 1
    return Resources(
        bars=tuple(bar for bar in bars if bar is not None),
        rom=rom,
        vf_bars=tuple(bar for bar in virtual if bar is not None) if has_iov else None,
        unread=tuple(unread),
    )


def _bar(index: int, start: int, end: int, flags: int) -> Bar | None:
    base, size = _place(start, end, flags)
    if flags & _IO:
        return Bar(index, "io", base, size)
    if not flags & _MEM:
        return None
    width = {0b00: 32, 0b01: 20, 0b10: 64}.get(flags >> 1 & 0b11, 32)
    return Bar(index, "mem", base, size, width, bool(flags & 8))


def _rom(start: int, end: int, flags: int) -> Rom:
    base, size = _place(start, end, flags)
    return Rom(base, size, bool(flags & _ROM_ENABLE), bool(flags & _ROM_SHADOW))


def _place(start: int, end: int, flags: int) -> tuple[int | None, int | None]:
    """Return address and size in bytes; an unset resource starts at 0, which is no address."""
    size = end - start + 1 if end >= start and (end or start) else None
    return (None if flags & _UNSET else start or None), size
