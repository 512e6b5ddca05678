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
from bringup.base.size import counted
from bringup.pci.config.space import decode_config
from bringup.pci.model import REMARKS, Bdf, Capability, Function, Machine, Missing, SourceInfo
from bringup.pci.sources.common import cut_off, lines_of, told_elsewhere
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
_HEADER_BYTES = 64
_CONVENTIONAL_BYTES = 256
_CONFIG_BYTES = 4096
_WHOLE_CONFIGS = (0, _HEADER_BYTES, _CONVENTIONAL_BYTES, _CONFIG_BYTES)
_ROW = re.compile(r"([0-9a-f]{2,3}): ?(.*)")
# What lspci says on stderr, and the kernel on a console: it may begin in the middle of a line, which goes on
# behind it. Comments are in pciutils' own test files, `--` is what grep -A puts between its finds.
_CHATTER = re.compile(r"(?:pcilib|lspci): |\[ {0,8}\d{1,7}\.\d{6}\] ")
_KERNEL_SPEAKS = re.compile(rb"\[ {0,8}\d{1,7}\.\d{6}\] ")
_BETWEEN = ("#", "--")
# `IOMMU Group 7:` above its functions, or before each; a word that such scripts put before a function.
_GROUP = re.compile(r"(?:(?:IOMMU )?Group:?|IOMMU group) {1,4}(\d{1,5}):?[ \t]*")
_DRIVER = re.compile(r" {2,8}Driver: ([a-zA-Z0-9_-]{1,40})\s*$")
_CLOSING = re.compile(r"\[[0-9a-f]{4}:[0-9a-f]{4}\]|\(rev [0-9a-f]{2}\)$")
_IDS = re.compile(r"\[[0-9a-f]{4}:[0-9a-f]{4}\]")
_SPACES = frozenset(" \t")
_HEADER_STARTS = frozenset("0123456789abcdefIG[")
_MARK = re.compile(r"\[(?:RESET|R|NORESET)\][ \t]*")
# The OS corrects these or knows more: sizes, and addresses behind host bridges that translate.
_TEXT_FIRST = frozenset({"bars", "rom"})
# What the ids of a virtual function read as (PCIe 4.0, 9.3.4.1.1): the OS knows them from its physical one.
_NO_ID = 0xFFFF


def looks_like(data: bytes) -> bool:
    """Whether this is lspci's human text: a function's header is among its first lines.

    Further down, behind what a person wrote, a header counts that ends as one does or has lines below it.
    """
    lines = [line[:_MAX_LINE].rstrip() for _, line, _ in _without_chatter(data[:_SNIFFED_BYTES])]
    lines = [line for line in lines if line]
    for number, line in enumerate(lines):
        header = _header(line)
        if header is None:
            continue
        below = lines[number + 1] if number + 1 < len(lines) else ""
        if number < _SNIFFED_LINES or _CLOSING.search(header.title) or below.startswith(("\t", "   ")):
            return True
    return False


def _header(line: str) -> Paragraph | None:
    """Return a new record when the line starts a function, also in a listing of IOMMU groups."""
    text = line.lstrip(" \t") if line[:1] in _SPACES else line
    if text[:1] not in _HEADER_STARTS:
        return None
    group = _GROUP.match(text)
    if group is not None:
        text = text[group.end() :]
    record = read_header(_MARK.sub("", text, count=1) if text.startswith("[") else text)
    if record is not None and group is not None:
        record.iommu_group = int(group[1])
        if driver := _DRIVER.search(record.title):
            record.title = record.title[: driver.start()]
            record.lines.append(f"\tKernel driver in use: {driver[1]}")
            record.closed = True
    return record


def parse(data: bytes, name: str = KIND) -> Machine:
    """Return the machine that the text shows; provenance is `name:text` and `name:hex`.

    Raises UsageError for a text without functions, with two machines in it, with a damaged hex row, or too
    large.
    """
    if len(data) > MAX_BYTES:
        raise UsageError(f"{name}: {len(data)} bytes are too many for the text of one machine")
    strays = _Strays()
    records = list(_unique(_records(data, name, strays), name))
    functions = [_function(record, name) for record in records]
    surely: list[Function] = []
    cut: list[Function] = []
    for function, record in zip(functions, records, strict=True):
        (surely if _is_whole(record, records[-1]) else cut).append(function)
    if not functions:
        raise UsageError(f"{name}: no PCI function in this text", hint="write it with: lspci -nn -vvv -xxxx")
    return Machine(
        functions=_sorted([*told_elsewhere(surely, {"driver": None}), *cut]),
        sources=(SourceInfo(name, KIND, hashlib.sha256(data).hexdigest()),),
        missing=(
            *_without_ids(functions, name),
            *_without_numbers(functions, name),
            *strays.told(name),
            *_broken_off(records, name),
        ),
    )


def _is_whole(record: Paragraph, last: Paragraph) -> bool:
    """Whether a function's driver would be there if it had one: the last may be cut, or its lines."""
    return record.closed or not (record.lines or record is last)


def _broken_off(records: Sequence[Paragraph], name: str) -> tuple[Missing, ...]:
    """Return the gap of a listing that ends within its last function; headers alone have no such end."""
    last = records[-1]
    return () if last.closed or not (last.lines or last.config) else cut_off(name, last.bdf)


def _without_ids(functions: Sequence[Function], name: str) -> tuple[Missing, ...]:
    count = sum(not function.observed("device") for function in functions)
    what = f"ids of {counted(count, 'function')} in {name}"
    return (Missing(what, "the listing has names only: it was made without -nn"),) if count else ()


def _without_numbers(functions: Sequence[Function], name: str) -> tuple[Missing, ...]:
    if all(bar.numbered for function in functions for bar in function.bars or ()):
        return ()
    return (Missing(f"the numbers of the BARs in {name}", "`lspci -v` tells addresses only: take -vv"),)


@dataclass(slots=True)
class _Strays:
    """How many lines belong to no function, and which is the first."""

    count: int = 0
    first: int = 0

    def add(self, number: int, name: str) -> None:
        self.count += 1
        self.first = self.first or number
        if self.count > _MAX_STRAYS:
            raise UsageError(f"{name} has more than {_MAX_STRAYS} lines that are not lspci's")

    def told(self, name: str) -> tuple[Missing, ...]:
        if not self.count:
            return ()
        return (
            Missing(
                f"{counted(self.count, 'line')} of {name}", f"not lspci's, the first is line {self.first}"
            ),
        )


def _as_far_as_whole(title: str) -> str:
    """Return what is certain of a header in which the text breaks off: up to its ids, else its class."""
    ids = _IDS.search(title)
    return title.partition(": ")[0] + ": " if ids is None else title[: ids.end()]


def _records(data: bytes, name: str, strays: _Strays) -> Iterator[Paragraph]:
    """Cut the text into functions; lines that belong to none go to `strays`."""
    record: Paragraph | None = None
    group: int | None = None
    for number, raw, whole in _without_chatter(data):
        if len(raw) > _MAX_LINE:
            raise UsageError(f"{name}, line {number}: {len(raw)} characters are no line of lspci")
        line = raw.rstrip()
        if record is not None and whole and _takes_row(record, line):
            continue
        started = _header(line)
        if started is not None:
            if record is not None:
                yield record
            record = started
            record.iommu_group = group if record.iommu_group is None else record.iommu_group
            if not whole:
                record.title = _as_far_as_whole(record.title)
        elif "roup" in line and (alone := _GROUP.fullmatch(line.strip())) is not None:
            group = int(alone[1])
        elif not line and not whole:
            continue
        elif not line:
            if record is not None:
                record.closed = True
        elif record is not None and (row := _ROW.fullmatch(line)):
            record.closed = False
            if whole or len(row[2]) == 3 * _ROW_BYTES - 1:
                _add_row(record, row, f"{name}, line {number}")
        elif line.startswith(_BETWEEN):
            continue
        elif record is not None and not whole:
            record.closed = False
            record.end(line)
        elif record is not None and record.add(line):
            record.closed = False
            if len(record.lines) > _MAX_LINES:
                raise UsageError(
                    f"{name}, line {number}: {record.bdf.short} has more lines than lspci writes"
                )
        else:
            if record is not None and not record.closed:
                record.damaged = True
            strays.add(number, name)
    if record is not None:
        yield record


def _without_chatter(data: bytes) -> Iterator[tuple[int, str, bool]]:
    """Yield the lines, what other programs said in between cut out and the line joined.

    With each come its number and whether it has an end: the text may break off in the last one.
    """
    begun, count = "", data.count(b"\n")
    # Most texts have none: one look at the whole is cheaper than one at every line.
    chatty = b"pcilib: " in data or b"lspci: " in data or _KERNEL_SPEAKS.search(data) is not None
    for number, line in enumerate(lines_of(data), 1):
        chatter = _CHATTER.search(line) if chatty else None
        if chatter is None:
            yield number, begun + line, number <= count
            begun = ""
        elif len(begun) < _MAX_LINE:
            begun += line[: chatter.start()]
    if begun:
        yield count, begun, False


def _takes_row(record: Paragraph, line: str) -> bool:
    """Take the config row that comes next, as nearly all lines of a listing with -xxxx are."""
    if line[2:4] == ": ":
        digits = 2
    elif line[3:5] == ": ":
        digits = 3
    else:
        return False
    if len(line) != digits + 1 + 3 * _ROW_BYTES or line[0] in _SPACES:
        return False
    try:
        offset, values = int(line[:digits], 16), bytes.fromhex(line[digits + 2 :])
    except ValueError:
        return False
    if offset != len(record.config) or offset >= _CONFIG_BYTES or len(values) != _ROW_BYTES:
        return False
    record.config += values
    record.closed = False
    return True


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
    config = bytes(record.config)
    if record.closed or len(config) in _WHOLE_CONFIGS:
        return _overlay(decode_config(record.bdf, config, f"{name}:hex"), text) if config else text
    # The text ends among the rows: what is behind the last one is not known to be nothing.
    if len(config) < _HEADER_BYTES:
        return text
    header = decode_config(record.bdf, config[:_HEADER_BYTES], f"{name}:hex")
    return _overlay(header, text)


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


def _sorted(functions: Iterable[Function]) -> tuple[Function, ...]:
    return tuple(sorted(functions, key=lambda function: function.bdf))


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
