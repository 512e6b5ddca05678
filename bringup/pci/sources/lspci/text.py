"""The text of `lspci -nn -vvv`, with or without the config space in hex (`-x` to `-xxxx`).

Where the hex is there it is the truth about ids, class, pins and capabilities; the text then adds what no
config space has: sizes, names, the driver and the OS's numbers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bringup.base.errors import UsageError
from bringup.pci.config.space import decode_config
from bringup.pci.model import REMARKS, Bdf, Capability, Function, Machine, Missing, SourceInfo
from bringup.pci.sources.common import lines_of, told_elsewhere
from bringup.pci.sources.lspci.record import Paragraph, read_header, read_record

KIND = "lspci"

MAX_BYTES = 64 << 20
_SNIFFED_BYTES = 64 << 10
_SNIFFED_LINES = 5
_MAX_LINE = 4096
# Of one function; those with most have a few hundred.
_MAX_LINES = 1 << 14
_MAX_STRAYS = 1 << 20
_ROW_BYTES = 16
_CONFIG_BYTES = 4096
_CONVENTIONAL_BYTES = 256
_ROW = re.compile(r"([0-9a-f]{2,3}): ?(.*)")
# What lspci says on stderr, and comments in pciutils' own test files.
_CHATTER = ("lspci:", "pcilib:", "#")
# The OS corrects these or knows more: sizes, and addresses behind host bridges that translate.
_TEXT_FIRST = frozenset({"bars", "rom"})
# What the ids of a virtual function read as (PCIe 4.0, 9.3.4.1.1): the OS knows them from its physical one.
_NO_ID = 0xFFFF


def looks_like(data: bytes) -> bool:
    """Whether this is lspci's human text: a function's header is among its first lines."""
    lines = data[:_SNIFFED_BYTES].decode("utf-8", "replace").splitlines()
    first = [line.rstrip() for line in lines if line.strip()][:_SNIFFED_LINES]
    return any(read_header(line[:_MAX_LINE]) is not None for line in first)


def parse(data: bytes, name: str = KIND) -> Machine:
    """Return the machine that the text shows; provenance is `name:text` and `name:hex`.

    Raises UsageError for a text without functions, with two machines in it, with a damaged hex row, or too
    large.
    """
    if len(data) > MAX_BYTES:
        raise UsageError(f"{name}: {len(data)} bytes are too many for the text of one machine")
    strays = _Strays()
    functions = [_function(record, name) for record in _unique(_records(data, name, strays), name)]
    if not functions:
        raise UsageError(f"{name}: no PCI function in this text", hint="write it with: lspci -nn -vvv -xxxx")
    return Machine(
        functions=tuple(sorted(told_elsewhere(functions, "driver"), key=lambda function: function.bdf)),
        sources=(SourceInfo(name, KIND, hashlib.sha256(data).hexdigest()),),
        missing=(*_without_ids(functions, name), *strays.told(name)),
    )


def _without_ids(functions: Sequence[Function], name: str) -> tuple[Missing, ...]:
    count = sum(not function.observed("device") for function in functions)
    what = f"ids of {count} function{'s' if count > 1 else ''} in {name}"
    return (Missing(what, "the listing has names only: it was made without -nn"),) if count else ()


@dataclass(slots=True)
class _Strays:
    """How many lines belong to no function, and which is the first."""

    count: int = 0
    first: int = 0

    def add(self, number: int) -> None:
        self.count += 1
        self.first = self.first or number

    def told(self, name: str) -> tuple[Missing, ...]:
        if not self.count:
            return ()
        return (Missing(f"{self.count} lines of {name}", f"not lspci's, the first is line {self.first}"),)


def _records(data: bytes, name: str, strays: _Strays) -> Iterator[Paragraph]:
    """Cut the text into functions; lines that belong to none go to `strays`."""
    record: Paragraph | None = None
    for number, raw in enumerate(lines_of(data), 1):
        if len(raw) > _MAX_LINE:
            raise UsageError(f"{name}, line {number}: {len(raw)} characters are no line of lspci")
        line = raw.rstrip()
        started = read_header(line)
        if started is not None or not line:
            if record is not None:
                yield record
            record = started
        elif record is not None and line.startswith("\t"):
            if len(record.lines) == _MAX_LINES:
                raise UsageError(
                    f"{name}, line {number}: {record.bdf.short} has more lines than lspci writes"
                )
            record.lines.append(line)
        elif record is not None and (row := _ROW.fullmatch(line)):
            _add_row(record, row, f"{name}, line {number}")
        elif not line.startswith(_CHATTER):
            strays.add(number)
            if strays.count > _MAX_STRAYS:
                raise UsageError(f"{name} has more than {_MAX_STRAYS} lines that are not lspci's")
    if record is not None:
        yield record


def _add_row(record: Paragraph, row: re.Match[str], where: str) -> None:
    offset = int(row[1], 16)
    if offset != len(record.config) or offset >= _CONFIG_BYTES:
        raise UsageError(
            f"{where}: config row {row[1]} of {record.bdf.short} does not follow the one before it",
            hint="take the listing again: lines were lost, doubled or changed",
        )
    try:
        values = bytes.fromhex(row[2])
    except ValueError:
        values = b""
    if len(values) != _ROW_BYTES:
        raise UsageError(
            f"{where}: config row {row[1]} of {record.bdf.short} is not {_ROW_BYTES} bytes in hex",
            hint="take the listing again: lspci -nn -vvv -xxxx",
        )
    record.config += values


def _function(record: Paragraph, name: str) -> Function:
    text = read_record(record, f"{name}:text")
    if not record.config:
        return text
    return _overlay(decode_config(record.bdf, bytes(record.config), f"{name}:hex"), text)


def _overlay(config: Function, text: Function) -> Function:
    """Return what both tell, the config space first except for what the OS knows better."""
    better = _TEXT_FIRST | ({"vendor", "device"} if config.vendor == _NO_ID else frozenset())
    chosen = {field: text for field in text.provenance if field in better or not config.observed(field)}
    changes: dict[str, Any] = {field: getattr(side, field) for field, side in chosen.items()}
    provenance = {**config.provenance, **{field: text.provenance[field] for field in chosen}}
    if "capabilities" not in chosen and config.observed("capabilities"):
        changes["capabilities"] = (*(config.capabilities or ()), *_beyond(config, text))
    remarks: dict[str, Any] = {kind: (*getattr(config, kind), *getattr(text, kind)) for kind in REMARKS}
    return replace(config, **changes, **remarks, provenance=provenance)


def _beyond(config: Function, text: Function) -> tuple[Capability, ...]:
    """Return the extended capabilities that only the text has: -xxx stops before them."""
    if (config.config_bytes or 0) > _CONVENTIONAL_BYTES:
        return ()
    return tuple(capability for capability in text.capabilities or () if capability.extended)


def _unique(records: Iterable[Paragraph], name: str) -> Iterator[Paragraph]:
    seen: set[Bdf] = set()
    for record in records:
        if record.bdf in seen:
            raise UsageError(
                f"{name}: two functions at {record.bdf.short}: this text holds more than one machine",
                hint="keep one machine's listing in a file",
            )
        seen.add(record.bdf)
        yield record
