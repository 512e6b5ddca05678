"""A function's BARs as the VMM of seL4 will find them; pure."""

from __future__ import annotations

from dataclasses import replace

from bringup.pci.model import Bar, Function


def bars_under_sel4(function: Function) -> tuple[Bar, ...] | None:
    """Return the BARs as the VMM will find them; None: not observed.

    It reads them from the hardware (camkes-vm Init/src/main.c, util_libs libpci), where the firmware left
    them. An OS may move them afterwards, so its view is taken where there is no other, and none where it said
    that it placed one of them itself; sizes are anybody's.
    """
    if not function.observed("firmware_bars") or not function.firmware_bars:
        return function.bars if function.observed("bars") and not placed_by_os(function) else None
    sizes = {(bar.index, bar.kind): bar.size for bar in function.bars or ()}
    return tuple(
        bar if bar.size is not None else replace(bar, size=sizes.get((bar.index, bar.kind)))
        for bar in function.firmware_bars
    )


def placed_by_os(function: Function) -> frozenset[int]:
    """Return the numbers of the BARs that are where an OS put them, as far as that is known."""
    bars = {bar.index: bar.base for bar in function.bars or ()}
    return frozenset(bar.index for bar in function.os_placed or () if bars.get(bar.index) == bar.base)
