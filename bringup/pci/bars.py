"""A function's BARs as the VMM of seL4 will find them; pure."""

from __future__ import annotations

from dataclasses import replace

from bringup.pci.model import Bar, Function


def bars_under_sel4(function: Function) -> tuple[Bar, ...] | None:
    """Return the BARs as the VMM will find them; None: not observed.

    It reads them from the hardware (camkes-vm Init/src/main.c, util_libs libpci), where the firmware left
    them. An OS may move them afterwards, so its view is taken where there is no other; sizes are anybody's.
    """
    if not function.observed("firmware_bars") or not function.firmware_bars:
        return function.bars if function.observed("bars") else None
    sizes = {(bar.index, bar.kind): bar.size for bar in function.bars or ()}
    return tuple(
        bar if bar.size is not None else replace(bar, size=sizes.get((bar.index, bar.kind)))
        for bar in function.firmware_bars
    )
