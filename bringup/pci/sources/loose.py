"""Single files that people add to a listing: interrupts, iomem, ioports, cpuinfo of /proc; acpidump's text.

They tell no functions; beside a view that does, they count as if they lay in the machine's own tree.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import replace

from bringup.base.errors import UsageError
from bringup.pci.acpi.tables import TABLES, read_acpi, read_code
from bringup.pci.model import Machine, SourceInfo
from bringup.pci.sources.platform import CPUINFO, read_platform
from bringup.pci.sources.proc import INTERRUPTS, read_interrupts, read_ranges
from bringup.pci.tree.files import MemoryFiles

KIND = "loose"

MAX_BYTES = 64 << 20
_SNIFFED_BYTES = 64 << 10
_CPUS = re.compile(rb"[ \t]+CPU0(?:[ \t]+CPU\d{1,4}){0,4096}[ \t]*\r?\n")
_CPUINFO = re.compile(rb"processor\t: 0\r?\nvendor_id\t: ")
_RANGES = re.compile(rb"(?: {0,32}[0-9a-f]{4,16}-[0-9a-f]{4,16} : [^\n]{1,200}\n){2}")
_TABLE = re.compile(rb"^([A-Z0-9_]{4}) @ 0x[0-9A-Fa-f]{1,16}[ \t]*\r?\n", re.MULTILINE)
_ROW = re.compile(rb"^[ \t]+([0-9A-Fa-f]{4,8}): ((?:[0-9A-Fa-f]{2} ){1,16})", re.MULTILINE)
_TABLES_MAX = 256


def looks_like(data: bytes) -> bool:
    """Whether the bytes are one of these files: by its heading, or its first lines."""
    return any(start.match(data) for start in (_CPUS, _CPUINFO, _RANGES)) or _is_dump(data)


def _is_dump(data: bytes) -> bool:
    table = _TABLE.search(data[:_SNIFFED_BYTES])
    return table is not None and _ROW.match(data, table.end()) is not None


def parse(data: bytes, name: str = KIND) -> Machine:
    """Return a machine without functions; raises UsageError for a file that tells nothing."""
    if len(data) > MAX_BYTES:
        raise UsageError(f"{name}: {len(data)} bytes are too many for a file of one machine")
    source = SourceInfo(name, KIND, hashlib.sha256(data).hexdigest())
    if _is_dump(data):
        # What is not in a dump of some tables was not asked for, as far as anybody knows.
        tables = MemoryFiles(_tables(data), {})
        acpi, missing = read_acpi(tables)
        code, no_code = read_code(tables)
        told = tuple(gap for gap in (*missing, *no_code) if not gap.why.startswith("absent"))
        return Machine((), acpi=replace(acpi, code=code), sources=(source,), missing=told)
    if _CPUINFO.match(data):
        platform = read_platform(MemoryFiles({CPUINFO: data.replace(b"\r", b"")}, {}))
        return Machine((), platform=platform, sources=(source,))
    if _CPUS.match(data):
        rows, missing = read_interrupts(MemoryFiles({INTERRUPTS: data}, {}))
        return Machine((), interrupts=rows, sources=(source,), missing=missing)
    ranges, missing = read_ranges(MemoryFiles({name: data}, {}), name)
    # Memory has addresses of eight digits and more, ports of four (kernel/resource.c, r_show).
    if re.match(rb" {0,32}[0-9a-f]{4}-", data):
        return Machine((), ioports=ranges, sources=(source,), missing=missing)
    return Machine((), iomem=ranges, sources=(source,), missing=missing)


def _tables(data: bytes) -> dict[str, bytes]:
    """Return the tables of acpidump's text, as they lie in a machine's tree."""
    heads = list(_TABLE.finditer(data))[:_TABLES_MAX]
    ends = [head.start() for head in heads[1:]] + [len(data)] * bool(heads)
    found: dict[str, bytes] = {}
    seen: Counter[str] = Counter()
    for head, end in zip(heads, ends, strict=True):
        table = bytearray()
        for row in _ROW.finditer(data, head.end(), end):
            if int(row[1], 16) != len(table):
                break
            table += bytes.fromhex(row[2].decode("ascii"))
        name = head[1].decode("ascii")
        seen[name] += 1
        # Linux numbers the tables of one signature; those that a machine has once are the others.
        found.setdefault(f"{TABLES}/{name}{seen[name] if name == 'SSDT' else ''}", bytes(table))
    return found
