"""Memory BARs: what the VMM cannot map, and what a page gives away (constraints C19 to C23)."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice

from bringup.pci.assessment import Finding
from bringup.pci.model import Bar, Bdf, Function
from bringup.rules.case import (
    PAGE_BYTES,
    Case,
    Judged,
    memory_bars,
    named,
    place,
)

_MAP_BARS = "seL4_projects_libs libsel4vmmplatsupport, map_bars"
# More functions on one page than any real machine has; the rest would only make the sentence longer.
_NEIGHBOURS_MAX = 8


def bar_rules(case: Case) -> Iterator[Judged]:
    """Yield what is wrong with the subjects' memory BARs."""
    for function in case.subjects:
        if not function.observed("bars") and not function.observed("firmware_bars"):
            continue
        for bar in memory_bars(function):
            yield from _one_bar(function, bar, case.bar_limit)
        yield from _firmware_differs(function)
    yield from _shared_pages(case)


def _one_bar(function: Function, bar: Bar, limit: int) -> Iterator[Judged]:
    evidence = (place(bar),)
    if bar.base is None:
        yield Judged(
            Finding(
                "bar-unassigned",
                "error",
                function.bdf,
                f"BAR {bar.index} has no address",
                evidence,
                "have the firmware assign it: look at its settings of PCI resources",
                f"{_MAP_BARS}: a base of 0 is no BAR (C21)",
            ),
            "change",
            f"BAR {bar.index} needs an address from the firmware",
        )
        return
    size = bar.size or 1
    if bar.base + size > limit:
        yield Judged(
            Finding(
                "bar-above-4g",
                "error",
                function.bdf,
                f"BAR {bar.index} lies above {limit >> 30} GiB, which kills the VMM",
                evidence,
                "in the firmware's setup switch off SR-IOV Support, then if need be Above 4G Decoding",
                f"util_libs libpci/src/pci.c, {_MAP_BARS}: the upper half becomes a BAR of size 0 (C21)",
            ),
            "change",
            f"BAR {bar.index} must come below {limit >> 30} GiB: SR-IOV Support or Above 4G Decoding off",
        )
    if bar.size is None:
        return
    if bar.size & (bar.size - 1):
        yield Judged(
            Finding(
                "bar-not-power-of-two",
                "error",
                function.bdf,
                f"BAR {bar.index} has {bar.size} bytes, which is no power of two",
                evidence,
                "check the capture: no PCI function can have such a BAR",
                f"PCI 3.0 6.2.5.1; {_MAP_BARS}: PCI bar is not power of 2 size (C20)",
            ),
            "refuse",
            f"BAR {bar.index} has no size that a BAR can have",
        )
    elif bar.size < PAGE_BYTES:
        yield _below_page(function, bar)
    elif bar.base % bar.size:
        yield Judged(
            Finding(
                "bar-not-aligned",
                "error",
                function.bdf,
                f"BAR {bar.index} does not lie on a multiple of its size",
                evidence,
                "check the capture: no PCI function can decode such an address",
                f"PCI 3.0 6.2.5.1; {_MAP_BARS}: Guest PCI bar address is not aligned to size (C19)",
            ),
            "change",
            f"BAR {bar.index} must lie on a multiple of its size",
        )


def _below_page(function: Function, bar: Bar) -> Judged:
    inside = bool((bar.base or 0) % PAGE_BYTES)
    message = f"BAR {bar.index} has {bar.size} bytes, less than a page"
    if not inside:
        return Judged(
            Finding(
                "bar-below-page",
                "note",
                function.bdf,
                f"{message}: its VM gets the whole page",
                (place(bar),),
                "nothing, as long as nobody else is on that page",
                "seL4 grants pages of 4 KiB (C23)",
            )
        )
    return Judged(
        Finding(
            "bar-below-page",
            "error",
            function.bdf,
            f"{message}, and does not begin on one: the guest looks for it at the page's start",
            (place(bar),),
            "have the firmware place it on a page of its own",
            f"{_MAP_BARS} maps whole pages and drops the offset (C23)",
        ),
        "change",
        f"BAR {bar.index} must begin on a page",
    )


def _firmware_differs(function: Function) -> Iterator[Judged]:
    if not (function.observed("firmware_bars") and function.observed("bars")):
        return
    now = {bar.index: bar for bar in function.bars or ()}
    moved = [
        (bar, now[bar.index])
        for bar in function.firmware_bars or ()
        if bar.index in now and bar.base != now[bar.index].base
    ]
    if not moved:
        return
    yield Judged(
        Finding(
            "firmware-bar-differs",
            "error",
            function.bdf,
            "Linux moved BARs that the firmware had placed; seL4 will find them where the firmware left them",
            tuple(f"firmware: {place(before)}; Linux: {place(after)}" for before, after in moved),
            "capture again with pci=realloc=off on Linux's command line, so that both say the same",
            "boot log, first line of each BAR, against sysfs resource; acrn-hypervisor#4618",
        ),
        "change",
        "the capture must show the firmware's BARs: capture with pci=realloc=off",
    )


def _shared_pages(case: Case) -> Iterator[Judged]:
    neighbours = page_neighbours(case)
    for function in case.subjects:
        others = tuple(sorted(neighbours.get(function.bdf, {})))
        if not others:
            continue
        yield Judged(
            Finding(
                "bar-shares-page",
                "warning",
                function.bdf,
                f"a page of its BARs also holds registers of {named(others)}",
                tuple(sorted(neighbours[function.bdf].values())),
                f"give {named(others)} to the same VM, or to none",
                "seL4 grants pages of 4 KiB: who has the page reaches both (C23, C24)",
            ),
            "limit",
            f"not with {named(others)} in another VM (one page)",
        )


def page_neighbours(case: Case) -> dict[Bdf, dict[Bdf, str]]:
    """Return, per function, the others with memory BARs on its pages, and which page; at most 8 per BAR."""
    ranges = sorted(
        (
            function.bdf.domain,
            bar.base // PAGE_BYTES,
            (bar.base + bar.size - 1) // PAGE_BYTES,
            function.bdf,
            bar.index,
        )
        for function in case.machine.functions
        for bar in memory_bars(function)
        if bar.base is not None and bar.size
    )
    found: dict[Bdf, dict[Bdf, str]] = defaultdict(dict)
    # (domain, last page, function, BAR) of what begins at or before the page that is looked at.
    active: list[tuple[int, int, Bdf, int]] = []
    for domain, first, last, bdf, number in ranges:
        while active and active[0][:2] < (domain, first):
            heapq.heappop(active)
        for _, _, other, index in islice(active, _NEIGHBOURS_MAX):
            if other == bdf:
                continue
            page = f"page {first * PAGE_BYTES:#x}: BAR {index} of {other.short}, BAR {number} of {bdf.short}"
            for one, another in ((bdf, other), (other, bdf)):
                if len(found[one]) < _NEIGHBOURS_MAX:
                    found[one].setdefault(another, page)
        heapq.heappush(active, (domain, last, bdf, number))
    return found
