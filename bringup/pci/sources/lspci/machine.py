"""The records of `lspci -vmmnnk`: ids, names, drivers and places; no BARs, interrupts or capabilities.

Format: pciutils lspci(8), "Machine readable output". The address is `Slot` in `-vmm` and `Device` in `-vm`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from bringup.base.errors import UsageError
from bringup.pci.model import Bdf, Function, Machine, SourceInfo
from bringup.pci.sources.common import cut_off, told_elsewhere
from bringup.pci.sources.lspci.text import MAX_BYTES

KIND = "lspci-machine"

_SNIFFED_BYTES = 64 << 10
_SNIFFED_LINES = 5
_MAX_LINE = 4096
_MAX_PAIRS = 1 << 12
_ADDRESS = re.compile(r"(?:Slot|Device):\t((?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7])\s*")
_ANOTHER = re.compile(rf"\n{_ADDRESS.pattern}")
_ADDRESS_KEYS = frozenset({"Slot", "Device"})
# Bare digits are an id only alone (-n): a name may end in four digits.
_ID = re.compile(r"(?:(.*) )?\[([0-9a-f]{4})\]|([0-9a-f]{4})")
_HEX = re.compile(r"[0-9a-f]{1,2}")
_DECIMAL = re.compile(r"-?\d{1,9}")
_IDS = {
    "Class": ("class_code", "class_name"),
    "Vendor": ("vendor", "vendor_name"),
    "Device": ("device", "device_name"),
}
_BYTES = {"Rev": "revision", "ProgIf": "prog_if"}
_NUMBERS = {"NUMANode": "numa_node", "IOMMUGroup": "iommu_group"}
_TEXTS = {"PhySlot": "slot", "Driver": "driver"}

_Pairs = list[list[str]]
_PAIR = 2


def looks_like(data: bytes) -> bool:
    """Whether this is lspci's machine readable text: a record's address is among its first lines."""
    lines = data[:_SNIFFED_BYTES].decode("utf-8", "replace").splitlines()
    first = [line for line in lines if line.strip()][:_SNIFFED_LINES]
    return any(_ADDRESS.fullmatch(line[:_MAX_LINE]) for line in first)


def parse(data: bytes, name: str = KIND) -> Machine:
    """Return the machine that the records show; provenance is `name`.

    Raises UsageError for a text without records, with two of one address, with a broken line, or too large.
    """
    if len(data) > MAX_BYTES:
        raise UsageError(f"{name}: {len(data)} bytes are too many for the text of one machine")
    # A line that breaks off is not told; nor is what would have stood behind it in its record.
    whole, end = data.endswith((b"\n\n", b"\n\r\n")), data.rfind(b"\n") + 1
    told = data[:end] if len(data) - end <= _MAX_LINE else data
    functions: dict[Bdf, Function] = {}
    for bdf, pairs in _records(told, name):
        if bdf in functions:
            raise UsageError(
                f"{name}: two functions at {bdf.short}: this text holds more than one machine",
                hint="keep one machine's listing in a file",
            )
        known = _known(pairs)
        functions[bdf] = Function(bdf=bdf, provenance=dict.fromkeys(known, name), **known)
    if not functions:
        raise UsageError(f"{name}: no PCI function in this text", hint="write it with: lspci -vmmnnk")
    cut = [] if whole else [functions.pop(next(reversed(functions)))]
    ordered = sorted(
        [*told_elsewhere([*functions.values(), *cut], "driver")[: len(functions)], *cut],
        key=lambda function: function.bdf,
    )
    return Machine(
        functions=tuple(ordered),
        sources=(SourceInfo(name, KIND, hashlib.sha256(data).hexdigest()),),
        missing=cut_off(name, cut[-1].bdf) if cut else (),
    )


def _records(data: bytes, name: str) -> Iterator[tuple[Bdf, _Pairs]]:
    text = data.decode("utf-8", "replace").replace("\r\n", "\n")
    first = 1
    for block in text.split("\n\n"):
        lines = block.split("\n")
        pairs = [line.split(":\t", 1) for line in lines]
        # As a rule a block is one record, and nothing else.
        address = _ADDRESS.fullmatch(lines[0])
        plain = min(map(len, pairs)) == _PAIR and len(pairs) <= _MAX_PAIRS and len(block) <= _MAX_LINE
        if address is not None and plain and _ANOTHER.search(block) is None:
            yield Bdf.parse(address[1]), pairs[1:]
        else:
            yield from _block(lines, first, name)
        first += len(lines) + 1


def _block(lines: Sequence[str], first: int, name: str) -> Iterator[tuple[Bdf, _Pairs]]:
    """Yield the records among any lines, until one is refused; `first` is the number of the first line."""
    bdf: Bdf | None = None
    pairs: _Pairs = []
    for number, raw in enumerate(lines, first):
        if len(raw) > _MAX_LINE:
            raise UsageError(f"{name}, line {number}: {len(raw)} characters are no line of lspci")
        key, colon, value = raw.partition(":\t")
        address = _ADDRESS.fullmatch(raw) if key in _ADDRESS_KEYS else None
        if address is not None or not raw.strip():
            if bdf is not None:
                yield bdf, pairs
            bdf, pairs = (Bdf.parse(address[1]), []) if address is not None else (None, [])
        elif bdf is not None and colon:
            if len(pairs) == _MAX_PAIRS:
                raise UsageError(f"{name}, line {number}: {bdf.short} has more lines than lspci writes")
            pairs.append([key, value])
        elif bdf is not None:
            raise UsageError(
                f'{name}, line {number}: not "key:<tab>value"', hint="write it with: lspci -vmmnnk"
            )
    if bdf is not None:
        yield bdf, pairs


def _known(pairs: _Pairs) -> dict[str, Any]:
    values: dict[str, str] = dict(pairs)
    known: dict[str, Any] = {}
    for key, (number_field, label_field) in _IDS.items():
        if (value := values.get(key)) is not None:
            label, number = _split(value)
            if number is not None:
                known[number_field] = number
            if label is not None:
                known[label_field] = label
    for key, field in _BYTES.items():
        if (value := values.get(key)) is not None and _HEX.fullmatch(value.strip()):
            known[field] = int(value, 16)
    for key, field in _NUMBERS.items():
        if (value := values.get(key)) is not None and _DECIMAL.fullmatch(value.strip()):
            known[field] = int(value)
    for key, field in _TEXTS.items():
        if text := values.get(key, "").strip():
            known[field] = text
    if "Module" in values:
        modules = tuple(value.strip() for key, value in pairs if key == "Module" and value.strip())
        if modules:
            known["modules"] = modules
    if "SVendor" in values:
        known.update(_subsystem(values["SVendor"], values.get("SDevice")))
    return known


@lru_cache(maxsize=4096)
def _subsystem(vendor_text: str, device_text: str | None) -> dict[str, Any]:
    if device_text is None:
        return {}
    vendor_name, vendor = _split(vendor_text)
    device_name, device = _split(device_text)
    known: dict[str, Any] = {}
    if vendor is not None and device is not None:
        known["subsystem"] = (vendor, device)
    names = " ".join(part for part in (vendor_name, device_name) if part)
    if names:
        known["subsystem_name"] = names
    return known


@lru_cache(maxsize=4096)  # a machine has few makers and many functions of one kind
def _split(value: str) -> tuple[str | None, int | None]:
    """Return name and id of `Intel Corporation [8086]`; either may be missing."""
    value = value.strip()
    match = _ID.fullmatch(value)
    return (value or None, None) if match is None else (match[1], int(match[2] or match[3], 16))
