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
_MAX_LINES = 1 << 12
_ADDRESS = re.compile(r"(?:Slot|Device):\t((?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7])\s*")
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
_MODULE = "Module:\t"
_TEXTS = {"PhySlot": "slot", "Driver": "driver"}

# More different lines than that in one machine's listing are worked out anew.
_LINES_KEPT = 4096


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
    for bdf, known in _records(told, name):
        if bdf in functions:
            raise UsageError(
                f"{name}: two functions at {bdf.short}: this text holds more than one machine",
                hint="keep one machine's listing in a file",
            )
        functions[bdf] = Function(bdf=bdf, provenance=dict.fromkeys(known, name), **known)
    if not functions:
        raise UsageError(f"{name}: no PCI function in this text", hint="write it with: lspci -vmmnnk")
    cut = [] if whole else [functions.pop(next(reversed(functions)))]
    ordered = sorted(
        [*told_elsewhere([*functions.values(), *cut], {"driver": None})[: len(functions)], *cut],
        key=lambda function: function.bdf,
    )
    return Machine(
        functions=tuple(ordered),
        sources=(SourceInfo(name, KIND, hashlib.sha256(data).hexdigest()),),
        missing=cut_off(name, cut[-1].bdf) if cut else (),
    )


def _records(data: bytes, name: str) -> Iterator[tuple[Bdf, dict[str, Any]]]:
    text = data.decode("utf-8", "replace").replace("\r\n", "\n")
    first = 1
    for block in text.split("\n\n"):
        lines = block.split("\n")
        # As a rule a block is one record, and nothing else.
        address = _ADDRESS.fullmatch(lines[0]) if len(block) <= _MAX_LINE else None
        known = None if address is None else _known(lines[1:])
        if address is None or known is None:
            yield from _block(lines, first, name)
        else:
            yield Bdf.parse(address[1]), known
        first += len(lines) + 1


def _block(lines: Sequence[str], first: int, name: str) -> Iterator[tuple[Bdf, dict[str, Any]]]:
    """Yield the records among any lines, until one is refused; `first` is the number of the first line."""
    bdf: Bdf | None = None
    record: list[str] = []
    for number, raw in enumerate(lines, first):
        if len(raw) > _MAX_LINE:
            raise UsageError(f"{name}, line {number}: {len(raw)} characters are no line of lspci")
        address = _ADDRESS.fullmatch(raw)
        if address is not None or not raw.strip():
            if bdf is not None:
                yield bdf, _known(record) or {}
            bdf, record = (Bdf.parse(address[1]), []) if address is not None else (None, [])
        elif bdf is not None and ":\t" in raw:
            if len(record) == _MAX_LINES:
                raise UsageError(f"{name}, line {number}: {bdf.short} has more lines than lspci writes")
            record.append(raw)
        elif bdf is not None:
            raise UsageError(
                f'{name}, line {number}: not "key:<tab>value"', hint="write it with: lspci -vmmnnk"
            )
    if bdf is not None:
        yield bdf, _known(record) or {}


def _known(lines: Sequence[str]) -> dict[str, Any] | None:
    """Return what the lines of a record tell; None where one is an address, or no line of a record."""
    known: dict[str, Any] = {}
    for line in lines:
        told = _told(line)
        if told is None:
            return None
        known.update(told)
    if (vendor := known.pop("SVendor", None)) is not None:
        known.update(_subsystem(vendor, known.get("SDevice")))
    known.pop("SDevice", None)
    if "modules" in known:
        told_modules = (line.removeprefix(_MODULE).strip() for line in lines if line.startswith(_MODULE))
        known["modules"] = tuple(module for module in told_modules if module)
    return known


@lru_cache(maxsize=_LINES_KEPT)
def _told(line: str) -> dict[str, Any] | None:
    """Return the fields that one line tells; a listing repeats most of its lines from record to record.

    Of a subsystem's two lines it is their text, and of one of several modules that there are any.
    """
    key, colon, value = line.partition(":\t")
    if not colon or (key in _ADDRESS_KEYS and _ADDRESS.fullmatch(line)):
        return None
    text = value.strip()
    if key in _IDS:
        number_field, label_field = _IDS[key]
        label, number = _split(value)
        told = {number_field: number, label_field: label}
        return {field: each for field, each in told.items() if each is not None}
    if key in _BYTES and _HEX.fullmatch(text):
        return {_BYTES[key]: int(text, 16)}
    if key in _NUMBERS and _DECIMAL.fullmatch(text):
        return {_NUMBERS[key]: int(text)}
    if key in _TEXTS and text:
        return {_TEXTS[key]: text}
    if key in ("SVendor", "SDevice"):
        return {key: value}
    return {"modules": ()} if key == "Module" and text else {}


@lru_cache(maxsize=_LINES_KEPT)
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


def _split(value: str) -> tuple[str | None, int | None]:
    """Return name and id of `Intel Corporation [8086]`; either may be missing."""
    value = value.strip()
    match = _ID.fullmatch(value)
    return (value or None, None) if match is None else (match[1], int(match[2] or match[3], 16))
