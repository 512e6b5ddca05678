"""Listings of IOMMU groups that are not lspci's lines: ids before the address, or paths of sysfs.

`lspci`'s own lines under a heading of a group are read as lspci's. These are what desktop systems' pages and
`find /sys/kernel/iommu_groups` print.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from bringup.base.errors import UsageError
from bringup.pci.model import Bdf, Function, Machine, Missing, SourceInfo
from bringup.pci.sources.common import FUNCTION_LIMIT, lines_of

KIND = "iommu-groups"

MAX_BYTES = 16 << 20
_SNIFFED_BYTES = 64 << 10
_BDF = r"(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7]"
_PATH = re.compile(rf"/iommu_groups/(\d{{1,5}})/devices/({_BDF})/?(?=[\s'\"]|$)")
_ENTRY = re.compile(
    r"[ \t]{0,16}(?:(?:IOMMU )?[Gg]roup:? {1,4}(\d{1,5}):?[ \t]{0,16})?"
    rf"\[([0-9a-f]{{4}}):([0-9a-f]{{4}})\] {{1,8}}(?:\[[A-Z]+\] {{1,4}})?({_BDF}) {{1,4}}(\S[^\r\n]{{0,400}})"
)
_HEADING = re.compile(r"[ \t]{0,16}(?:IOMMU )?[Gg]roup:? {1,4}(\d{1,5}):?\s*")
_REVISION = re.compile(r" \(rev ([0-9a-f]{2})\)$")
_FIRST = re.compile(rf"(?:^|\n){_ENTRY.pattern}|{_PATH.pattern}")


def looks_like(data: bytes) -> bool:
    """Whether such a line is in the first 64 KiB."""
    return _FIRST.search(data[:_SNIFFED_BYTES].decode("utf-8", "replace")) is not None


def parse(data: bytes, name: str = KIND) -> Machine:
    """Return the functions with their groups; raises UsageError for a text that is too large or has none."""
    if len(data) > MAX_BYTES:
        raise UsageError(f"{name}: {len(data)} bytes are too many for one machine's groups")
    functions: dict[Bdf, Function] = {}
    group: int | None = None
    for line in lines_of(data):
        if heading := _HEADING.match(line):
            group = int(heading[1])
        found = [_function(entry, group, name)] if (entry := _ENTRY.match(line)) else []
        found += [_member(Bdf.parse(place), int(number), name) for number, place in _PATH.findall(line)]
        for function in found:
            if functions.setdefault(function.bdf, function) != function:
                raise UsageError(
                    f"{name}: two functions at {function.bdf.short}: this text holds more than one machine",
                    hint="keep one machine's listing in a file",
                )
        if len(functions) > FUNCTION_LIMIT:
            raise UsageError(f"{name} has more than {FUNCTION_LIMIT} functions: this is no machine")
    if not functions:
        raise UsageError(f"{name}: no PCI function in this text", hint="write it with: lspci -nn -vvv")
    return Machine(
        tuple(functions[bdf] for bdf in sorted(functions)),
        sources=(SourceInfo(name, KIND, hashlib.sha256(data).hexdigest()),),
        missing=(Missing(f"BARs and interrupts in {name}", "a list of groups has none: add lspci -nnvv"),),
    )


def _member(bdf: Bdf, group: int, name: str) -> Function:
    return Function(bdf, iommu_group=group, provenance={"iommu_group": name})


def _function(entry: re.Match[str], group: int | None, name: str) -> Function:
    known: dict[str, Any] = {"vendor": int(entry[2], 16), "device": int(entry[3], 16)}
    if group is not None:
        known["iommu_group"] = group
    words = entry[5].strip()
    if revision := _REVISION.search(words):
        known["revision"], words = int(revision[1], 16), words[: revision.start()]
    # Columns are apart by spaces, else class and name are by a colon.
    kind, parted, what = words.partition("  ") if "  " in words else words.partition(": ")
    if parted and what.strip():
        known |= {"class_name": kind, "device_name": what.strip()}
    return Function(Bdf.parse(entry[4]), **known, provenance=dict.fromkeys(known, name))
