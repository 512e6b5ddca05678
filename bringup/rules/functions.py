"""What a function is, BARs and interrupts apart: the VMM's table, SR-IOV, power, damage (C13 to C15)."""

from __future__ import annotations

from collections.abc import Iterator

from bringup.pci.assessment import Finding
from bringup.pci.model import Function, PowerManagement, Sriov
from bringup.rules.case import Case, Judged

ALL_ONES = 0xFFFF
_READS_ONES = "reads as ones"
_OFF_STATES = ("D3hot", "D3cold")


def function_rules(case: Case) -> Iterator[Judged]:
    """Yield what stands in the way of each subject."""
    for function in case.functions.values():
        # A function that is off tells no class, so it may be any.
        if is_all_ones(function):
            yield _all_ones(function)
    for function in case.subjects:
        if is_all_ones(function):
            continue
        yield from _table(function, case)
        yield from _segment(function)
        yield from _sriov(function)
        yield from _power(function)
        yield from _damage(function)


def is_all_ones(function: Function) -> bool:
    """Whether config space answers with ones only: off, in D3cold, or gone."""
    return function.vendor == ALL_ONES or any(_READS_ONES in problem for problem in function.problems)


def _all_ones(function: Function) -> Judged:
    return Judged(
        Finding(
            "device-all-ones",
            "error",
            function.bdf,
            "answers with ones only: it is off, asleep in D3cold, or gone",
            ("config space is all 0xff",),
            "wake it (power/control: on), switch it on in the firmware, or look at the slot",
            "PCI 3.0 6.1: reads that nobody answers give ones",
        ),
        "refuse",
        "it answers with ones only",
    )


def _table(function: Function, case: Case) -> Iterator[Judged]:
    index = case.scan_index.get(function.bdf)
    if index is None or index < case.table_size:
        return
    yield Judged(
        Finding(
            "beyond-pci-table",
            "error",
            function.bdf,
            f"lies beyond the VMM's PCI table of {case.table_size} functions: the VMM does not find it",
            (f"{_ordinal(index + 1)} of {len(case.scan_index)} functions in scan order",),
            "raise PCI_MAX_DEVICES (util_libs#201 has 256)",
            "util_libs libpci/src/pci.c drops what does not fit, without a word (C14)",
        ),
        "change",
        "raise PCI_MAX_DEVICES (util_libs#201)",
    )


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _segment(function: Function) -> Iterator[Judged]:
    if function.bdf.domain == 0:
        return
    yield Judged(
        Finding(
            "segment-not-zero",
            "error",
            function.bdf,
            f"is in PCI segment {function.bdf.domain:x}, and the VMM reaches segment 0 only",
            (str(function.bdf),),
            "take a function of segment 0 (VMD in the firmware's setup makes segments of its own)",
            "camkes-vm PCIConfigIO uses ports 0xcf8 and 0xcfc (C15)",
        ),
        "refuse",
        f"it is in PCI segment {function.bdf.domain:x}",
    )


def _sriov(function: Function) -> Iterator[Judged]:
    sriov = function.capability(Sriov)
    if sriov is None or not (sriov.enabled or sriov.num_vfs):
        return
    yield Judged(
        Finding(
            "sriov-enabled",
            "error",
            function.bdf,
            "SR-IOV is on: the function's virtual functions are live",
            (f"VF Enable {sriov.enabled}, NumVFs {sriov.num_vfs}, TotalVFs {sriov.total_vfs}",),
            "switch SR-IOV Support off in the firmware, and sriov_numvfs to 0 in Linux",
            "PCIe 4.0 9.3.3.3.1; on, it moved X722's BARs above 4 GiB on the sibling boards",
        ),
        "change",
        "switch SR-IOV off",
    )


def _power(function: Function) -> Iterator[Judged]:
    management = function.capability(PowerManagement)
    state = management.state if management is not None and management.state else function.power_state
    if state not in _OFF_STATES:
        return
    yield Judged(
        Finding(
            "device-in-d3",
            "warning",
            function.bdf,
            f"sleeps in {state}: what was read of its BARs may not hold once it wakes",
            (f"power state {state}",),
            "write `on` to its power/control and capture again",
            "PCI PM 1.2 5.4: leaving D3 without NoSoftReset clears BARs",
        )
    )


def _damage(function: Function) -> Iterator[Judged]:
    if function.problems:
        yield Judged(
            Finding(
                "config-damaged",
                "warning",
                function.bdf,
                "its config space has what no specification allows",
                function.problems[:4],
                "capture again; if it stays, the device or its firmware is faulty",
                "PCI 3.0 6.7, PCIe 4.0 7.6: lists of capabilities end, and registers have their bounds",
            )
        )
