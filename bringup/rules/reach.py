"""Whether a function can be reached, and can reach memory, through the bridges above it: M12."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bringup.base.finding import Finding, Found, Rule
from bringup.pci.bars import bars_under_sel4
from bringup.rules.inputs import Inputs, place

if TYPE_CHECKING:
    from bringup.pci.model import Bar, Function

M12 = Rule(
    "M12",
    "every bridge above a function forwards its BARs and its DMA",
    "PCI-to-PCI Bridge 1.2, 3.2.5 (windows) and 3.2.4.1 (command); seL4 and its VMM program no bridge",
)

_DECODES = {"io": 0x1, "mem": 0x2}
_BUS_MASTER = 0x4
# A bridge of this interface takes what nobody else does (PCI Code and ID Assignment 1.11).
_SUBTRACTIVE = 0x01


def reachable(inputs: Inputs) -> Found:
    """M12: as seL4 finds BARs and bridges."""
    for function in inputs.subjects:
        for at in inputs.topology.path(function.bdf):
            bridge = inputs.functions[at]
            if bridge.prog_if == _SUBTRACTIVE:
                continue
            for bar in bars_under_sel4(function) or ():
                if bar.base and not _forwards(bridge, bar):
                    yield M12.error(
                        "bar-unreachable",
                        function.bdf,
                        f"{bar.name} is outside what the bridge {at.short} above it forwards",
                        "have the firmware place both anew: Linux may move them, seL4 does not",
                        place(bar),
                        f"windows of {at.short}: {_windows(bridge)}",
                        change=f"{bar.name} must lie in the windows of {at.short}",
                    )
            yield from _switched_off(function, bridge)


def _forwards(bridge: Function, bar: Bar) -> bool:
    """Whether a bridge's windows hold a BAR; also where they were not observed."""
    if bridge.bridge is None or bridge.bridge.windows is None or bar.base is None:
        return True
    of_kind = [window for window in bridge.bridge.windows if (window.kind == "io") == (bar.kind == "io")]
    if not of_kind and not bridge.observed("command"):
        # A boot log that names no window of this kind is no word that there is none.
        return True
    last = bar.base + (bar.size or 1) - 1
    return any(window.base <= bar.base and last <= window.limit for window in of_kind)


def _windows(bridge: Function) -> str:
    windows = bridge.bridge.windows if bridge.bridge else None
    return ", ".join(f"{w.kind} {w.base:#x} to {w.limit:#x}" for w in windows or ()) or "none is open"


def _switched_off(function: Function, bridge: Function) -> Iterator[Finding]:
    """Tell of a bridge whose command register keeps a function from what it needs."""
    if not bridge.observed("command") or bridge.command is None:
        return
    kinds = {bar.kind for bar in bars_under_sel4(function) or () if bar.base}
    off = [
        word
        for kind, word in (("io", "ports"), ("mem", "memory"))
        if kind in kinds and not bridge.command & _DECODES[kind]
    ]
    seen = f"command register of {bridge.bdf.short}: {bridge.command:#06x}"
    if not bridge.command & _BUS_MASTER:
        # What Linux left of it says little of the firmware's state: it switches this on for drivers only.
        yield M12.warning(
            "bridge-keeps-dma",
            function.bdf,
            f"the bridge {bridge.bdf.short} above it was seen forwarding no DMA",
            "look whether the firmware switches it on: seL4 programs no bridge",
            seen,
        )
    if off:
        yield M12.error(
            "bridge-is-off",
            function.bdf,
            f"the bridge {bridge.bdf.short} above it forwards no {' and no '.join(off)}",
            "have the firmware switch it on: seL4 programs no bridge",
            seen,
            change=f"the bridge {bridge.bdf.short} must forward {' and '.join(off)}",
        )


CHECKS = ((M12, reachable),)
