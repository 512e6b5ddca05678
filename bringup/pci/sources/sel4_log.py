"""A serial log of seL4: what its kernel and its VMM's PCI scan saw of the machine, with the firmware's BARs.

Kernel lines are those of seL4's src/plat/pc99/machine/acpi.c (debug builds print them); `PCI ::` lines are
those of util_libs' libpci (LibPCIDisplayFoundDevices), printed before anything is re-programmed. A console
carries colours, stray text and lines of several VMs, so lines are searched for, not matched.

A guest's own Linux log in there is of the machine that the VMM shows it, not of this one: it is not read.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bringup.base.errors import UsageError
from bringup.pci.model import (
    INTX_PINS,
    Acpi,
    Bar,
    Bdf,
    Bridge,
    Function,
    IoApic,
    Machine,
    Madt,
    Missing,
    Platform,
    SourceInfo,
    SourceOverride,
)

KIND = "sel4-log"

MAX_BYTES = 64 << 20
_SNIFFED_BYTES = 4 << 20
_LIMIT = 1024
_MARKS = (
    b"ACPI: MADT_IOAPIC ioapic_id=",
    b"Boot config: parsing cmdline",
    b"Booting all finished, dropped to user space",
)
_ANSI = re.compile(r"\x1b\[[0-9;]{0,16}[A-Za-z]")
_FUNCTION = re.compile(
    r"PCI :: ([0-9a-f]{2})\.([01][0-9a-f])\.0([0-7]) : [^\r\n]{0,200}?"
    r"\(vid 0x([0-9a-f]{1,4}) did 0x([0-9a-f]{1,4})\) line(\d{1,3}) pin(\d{1,3})"
)
_BAR = re.compile(
    r"BAR([0-5]) : \[ (mem|io) 0x([0-9a-f]{1,16}) sz 0x([0-9a-f]{1,8}) "
    r"szmask 0x[0-9a-f]{1,8}([ a-z0-9]{0,32})\]"
)
_BEHIND = re.compile(r"found additional bus (\d{1,3}) from (\d{1,3}) (\d{1,2}) ([0-7])\b")
_IOAPIC = re.compile(
    r"MADT_IOAPIC ioapic_id=(\d{1,3}) ioapic_addr=0x([0-9a-f]{1,8}) gsib=(\d{1,5})", re.IGNORECASE
)
_OVERRIDE = re.compile(r"MADT_ISO bus=0 source=(\d{1,3}) gsi=(\d{1,5}) flags=0x([0-9a-f]{1,4})")
_CPUS = re.compile(r"ACPI: (\d{1,4}) CPU\(s\) detected")
_IOMMUS = re.compile(r"ACPI: (\d{1,4}) IOMMUs detected")
_IOMMU_LOST = re.compile(r"ACPI: ([^\r\n]{1,120}?),? disabling IOMMU support")
_RMRR = re.compile(
    r"registering RMRR entry for region for device: "
    r"bus=0x([0-9a-f]{1,2}) dev=0x([0-9a-f]{1,2}) fun=0x([0-7])\b"
)


def looks_like(data: bytes) -> bool:
    """Whether seL4's kernel or its PCI scan speaks in the first 4 MiB."""
    start = data[:_SNIFFED_BYTES]
    return any(mark in start for mark in _MARKS) or (
        b"PCI :: " in start and _FUNCTION.search(_text(start)) is not None
    )


def parse(data: bytes, name: str = KIND) -> Machine:
    """Return what the log shows; provenance is `name`. Raises UsageError when that is nothing."""
    if len(data) > MAX_BYTES:
        raise UsageError(f"{name}: {len(data)} bytes are too many for the log of one boot")
    text = _text(data)
    functions = _functions(text, name)
    madt = _madt(text)
    if not functions and madt is None:
        raise UsageError(
            f"{name}: seL4 printed nothing about this machine",
            hint="build the kernel with KernelPrinting, or the VMM with LibPCIDisplayFoundDevices",
        )
    return Machine(
        functions=functions,
        platform=_platform(text),
        acpi=Acpi(madt=madt),
        sources=(SourceInfo(name, KIND, hashlib.sha256(data).hexdigest()),),
        missing=_missing(text, name),
    )


def _text(data: bytes) -> str:
    return _ANSI.sub("", data.decode("utf-8", "replace"))


def _functions(text: str, name: str) -> tuple[Function, ...]:
    """Return the functions of the scan; every VM scans again, and the first scan counts."""
    heads = list(_FUNCTION.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)] * bool(heads)
    behind = {tuple(map(int, m.groups()[1:])): int(m[1]) for m in _BEHIND.finditer(text)}
    found: dict[Bdf, Function] = {}
    for head, end in zip(heads, ends, strict=True):
        bdf = Bdf(0, int(head[1], 16), int(head[2], 16), int(head[3]))
        secondary = behind.get((bdf.bus, bdf.device, bdf.function))
        bridge = None if not secondary else Bridge(bdf.bus, secondary, _last_bus(secondary, behind))
        function = _function(bdf, head, text[head.end() : end], bridge, name)
        first = found.setdefault(bdf, function)
        if first != function and not first.unread:
            # Lines of several VMs run into each other: then a BAR may be its neighbour's.
            told = "the PCI scans in the log show different BARs: the first one counts"
            found[bdf] = replace(first, unread=(told,))
    return tuple(found[bdf] for bdf in sorted(found))


def _last_bus(bus: int, behind: Mapping[tuple[int, ...], int]) -> int:
    """Return the last bus that was seen behind a bridge to `bus`; buses are numbered downwards."""
    reached = {bus}
    for bridge in sorted(behind):
        if bridge[0] in reached:
            reached.add(behind[bridge])
    return max(reached)


def _function(bdf: Bdf, head: re.Match[str], text: str, bridge: Bridge | None, name: str) -> Function:
    pin = int(head[7])
    bars: dict[int, Bar] = {}
    for match in _BAR.finditer(text):
        # libpci takes a bridge's bus numbers and windows for BARs 2 to 5.
        if bridge is None or int(match[1]) < 2:
            bars.setdefault(int(match[1]), _bar(match))
    values: dict[str, Any] = {
        "vendor": int(head[4], 16),
        "device": int(head[5], 16),
        "interrupt_line": int(head[6]) & 0xFF,
        "firmware_bars": tuple(bars[index] for index in sorted(bars)),
    }
    values["bars"] = values["firmware_bars"]
    if pin <= len(INTX_PINS):
        values["intx_pin"] = INTX_PINS[pin - 1] if pin else None
    if bridge is not None:
        values |= {"header_type": 1, "bridge": bridge}
    return Function(bdf, **values, provenance=dict.fromkeys(values, name))


def _bar(match: re.Match[str]) -> Bar:
    index, base, size = int(match[1]), int(match[3], 16), int(match[4], 16) or None
    if match[2] == "io":
        # x86 has 16 bits of ports; some devices show rubbish above (acrn-hypervisor#8372).
        return Bar(index, "io", base & 0xFFFC or None, size)
    words = match[5].split()
    return Bar(index, "mem", base or None, size, 64 if "64bit" in words else 32, "prefetch" in words)


def _madt(text: str) -> Madt | None:
    """Return the interrupt controllers in the table's order, which is seL4's numbering of IOAPICs."""
    told = dict.fromkeys((int(m[1]), int(m[2], 16), int(m[3])) for m in _IOAPIC.finditer(text))
    if not told:
        return None
    ioapics = tuple(IoApic(index, *values) for index, values in enumerate(list(told)[:_LIMIT]))
    overrides = dict.fromkeys(
        SourceOverride(int(m[1]), int(m[2]), int(m[3], 16)) for m in _OVERRIDE.finditer(text)
    )
    cpus = _CPUS.search(text)
    return Madt(ioapics, tuple(overrides)[:_LIMIT], None if cpus is None else int(cpus[1]))


def _platform(text: str) -> Platform:
    units = _IOMMUS.search(text)
    iommu = None if units is None else int(units[1]) > 0
    if "Boot config: disable_iommu = true" in text:
        # The kernel was told not to look.
        iommu = None
    elif _IOMMU_LOST.search(text):
        iommu = False
    return Platform(
        vtx=False if "vt-x: not supported" in text else None,
        vtx_locked_off=True if "vt-x: feature locked" in text else None,
        x2apic=True if "x2APIC enabled in BIOS but kernel does not support that" in text else None,
        iommu=iommu,
    )


def _missing(text: str, name: str) -> tuple[Missing, ...]:
    lost = _IOMMU_LOST.search(text)
    missing = (
        [] if lost is None else [Missing("the IOMMU under seL4", f"the kernel turned it off: {lost[1]}")]
    )
    places = dict.fromkeys((int(m[1], 16), int(m[2], 16), int(m[3])) for m in _RMRR.finditer(text))
    for bus, device, function in list(places)[:_LIMIT]:
        what = f"addresses of the RMRR of {bus:02x}:{device:02x}.{function}"
        missing.append(Missing(what, f"{name} names the device only: capture the ACPI tables"))
    return tuple(missing)
