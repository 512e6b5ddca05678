"""I/O BARs: ports the VMM emulates, ranges that overlap or touch (constraints C28 to C31)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from bringup.pci.assessment import Finding
from bringup.pci.bars import bars_under_sel4
from bringup.pci.model import Bar, Bdf, Function
from bringup.rules.case import Case, Judged, io_bars, place

PORTS = 0x10000
# First and last port, and who answers there in the VMM: camkes-vm Init, emulated devices (C30).
EMULATED: tuple[tuple[int, int, str], ...] = (
    (0x20, 0x21, "interrupt controller"),
    (0x40, 0x43, "timer"),
    (0x70, 0x71, "clock"),
    (0xA0, 0xA1, "interrupt controller"),
    (0x3F8, 0x3FF, "serial port"),
    (0x4D0, 0x4D1, "interrupt controller"),
    (0xCF8, 0xCFF, "PCI config space"),
    # FREE_IOPORT_START; 0x400 for each of net, block, console and vsock.
    (0x9000, 0x9FFF, "virtio devices"),
)


def port_rules(case: Case) -> Iterator[Judged]:
    """Yield what is wrong with the subjects' I/O BARs."""
    for function in case.subjects:
        for bar in io_bars(function):
            if bar.base is None:
                yield _unassigned(function, bar)
            elif bar.base + (bar.size or 1) > PORTS:
                yield _beyond(function, bar)
        yield from _emulated(function)
    yield from _neighbours(case)


def _unassigned(function: Function, bar: Bar) -> Judged:
    return Judged(
        Finding(
            "bar-unassigned",
            "warning",
            function.bdf,
            f"I/O BAR {bar.index} has no address: the guest will not see it",
            (place(bar),),
            "nothing for drivers that use memory BARs only (igb, i40e); else free I/O space in the firmware",
            "PCI 3.0 6.2.5.1: 0 is no address (C28)",
        )
    )


def _beyond(function: Function, bar: Bar) -> Judged:
    return Judged(
        Finding(
            "io-range-beyond",
            "error",
            function.bdf,
            f"I/O BAR {bar.index} ends beyond port 0xffff",
            (place(bar),),
            "check the capture: x86 has 65536 ports",
            "C31",
        ),
        "refuse",
        f"I/O BAR {bar.index} lies where x86 has no ports",
    )


def _emulated(function: Function) -> Iterator[Judged]:
    bars = [bar for bar in io_bars(function) if bar.base is not None]
    for low, high, who in EMULATED:
        inside = [bar for bar in bars if _reaches(bar, low, high)]
        if not inside:
            continue
        numbers = ", ".join(str(bar.index) for bar in inside)
        yield Judged(
            Finding(
                "io-range-emulated",
                "error",
                function.bdf,
                f"I/O BAR {numbers} overlaps ports {low:#x} to {high:#x}: the VMM's {who}",
                tuple(place(bar) for bar in inside),
                "have the firmware place it elsewhere, or leave that emulated device out of the VM",
                "camkes-vm Init, FREE_IOPORT_START and emulated devices: the wrong one answers (C30)",
            ),
            "change",
            f"I/O BAR {numbers} must leave the VMM's own ports {low:#x} to {high:#x}",
        )


def _reaches(bar: Bar, low: int, high: int) -> bool:
    first = bar.base or 0
    return first <= high and low <= first + (bar.size or 1) - 1


def _neighbours(case: Case) -> Iterator[Judged]:
    ranges: list[tuple[int, int, Bdf]] = sorted(
        (bar.base, bar.base + bar.size, function.bdf)
        for function in case.machine.functions
        for bar in bars_under_sel4(function) or ()
        if bar.kind == "io" and bar.base is not None and bar.size
    )
    for (base, end, bdf), (base2, end2, other) in pairwise(ranges):
        subjects = [each for each in (bdf, other) if each in case.subject_bdfs]
        if bdf == other or bdf.domain != other.domain or not subjects:
            continue
        evidence = (
            f"{bdf.short}: ports {base:#x} to {end - 1:#x}",
            f"{other.short}: ports {base2:#x} to {end2 - 1:#x}",
        )
        if base2 < end:
            for each in subjects:
                yield _overlap(each, other if each == bdf else bdf, evidence)
        elif base2 == end and len(subjects) == 2:
            yield Judged(
                Finding(
                    "io-range-adjacent",
                    "note",
                    bdf,
                    # The same sentence for a card's functions, which commonly lie in a row.
                    "its ports end where another function's begin",
                    evidence,
                    "write one past the last port as `end`, it is exclusive",
                    "camkes-vm vm_ioports: `end` is exclusive, adjacent entries are fine (C28, C29)",
                )
            )


def _overlap(bdf: Bdf, other: Bdf, evidence: tuple[str, ...]) -> Judged:
    return Judged(
        Finding(
            "io-range-overlap",
            "error",
            bdf,
            f"its ports overlap those of {other.short}",
            evidence,
            "check the capture: two functions cannot decode one port",
            "seL4: IOPortControl: Some ports in range already in use (C29)",
        ),
        "change",
        f"its ports must not overlap those of {other.short}",
    )
