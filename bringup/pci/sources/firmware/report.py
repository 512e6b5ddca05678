"""The firmware probe's report, as a console log or the bytes of a capture: the machine before any OS ran.

BARs are as the firmware left them, sizes from writing ones with decode off (PCI 3.0, 6.2.5.1), pins from
interrupts that were raised and seen to arrive. What was lost on the console is `missing`, with its numbers.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from bringup.base.errors import UsageError
from bringup.base.size import counted
from bringup.pci.acpi.tables import TABLES, read_acpi
from bringup.pci.config.space import decode_config
from bringup.pci.model import (
    Acpi,
    Bar,
    Bdf,
    Function,
    Machine,
    MeasuredPin,
    Missing,
    Platform,
    Rom,
    SourceInfo,
)
from bringup.pci.sources.firmware import KIND as KIND
from bringup.pci.sources.firmware import NOT_ASKED as NOT_ASKED
from bringup.pci.sources.firmware import records
from bringup.pci.sources.firmware.frames import BANNER, FrameReader, Record
from bringup.pci.tree.files import MemoryFiles

MAX_BYTES = 64 << 20
_SNIFFED_BYTES = 4 << 20
_ISA_PINS = 16

T = TypeVar("T")


def looks_like(data: bytes) -> bool:
    """Whether the probe speaks in the first 4 MiB: its first line, or frames that are whole."""
    start = data[:_SNIFFED_BYTES]
    if BANNER in start:
        return True
    reader = FrameReader()
    reader.feed(start)
    return reader.received > 1


def parse(data: bytes, name: str = KIND) -> Machine:
    """Return the machine that the log shows; raises UsageError when no frame of it is whole."""
    if len(data) > MAX_BYTES:
        raise UsageError(f"{name} has more than {MAX_BYTES >> 20} MiB: this is no log of one probe")
    reader = FrameReader()
    reader.feed(data)
    if not reader.received:
        raise UsageError(
            f"{name}: the firmware probe speaks, and not one frame of its report is whole",
            hint="capture its console again; every line that starts with # counts",
        )
    machine = machine_of(reader, name)
    return replace(machine, sources=(SourceInfo(name, KIND, hashlib.sha256(data).hexdigest()),))


def machine_of(reader: FrameReader, name: str = KIND) -> Machine:
    """Return what the whole records of a reader show, provenance `name`, without a SourceInfo."""
    report = _Report.of(reader.records())
    acpi, absent = read_acpi(MemoryFiles(table_files(report.tables)))
    functions = sorted((_function(probed, name) for probed in report.functions), key=lambda f: f.bdf)
    unique = {function.bdf: function for function in functions}
    measured = tuple(pin for result in report.pins if (pin := _measured(result, name)) is not None)
    return Machine(
        functions=tuple(unique.values()),
        platform=_platform(report),
        acpi=_with_pins(acpi, report.ioapics),
        missing=(*_lost(reader), *report.broken, *_absent(absent, report), *_told(report)),
        measured=measured,
    )


def table_files(tables: Sequence[records.Table]) -> dict[str, bytes]:
    """Return tables by the path that Linux gives each, but the first of one signature without a number.

    That first one counts: a second MADT is not looked at (Linux drivers/acpi/tables.c, acpi_parse_table).
    """
    seen: Counter[str] = Counter()
    files: dict[str, bytes] = {}
    for table in tables:
        seen[table.signature] += 1
        number = seen[table.signature]
        files[f"{TABLES}/{table.signature}{number if number > 1 else ''}"] = table.data
    return files


@dataclass(frozen=True, slots=True)
class _Report:
    """The records by type; `broken` are those that cannot be understood."""

    boot: records.Boot | None
    cpu: records.Cpu | None
    memory: tuple[records.Region, ...] | None
    functions: tuple[records.ProbedFunction, ...]
    tables: tuple[records.Table, ...]
    listed: tuple[records.ListedTable, ...] | None
    ioapics: tuple[records.ProbedIoApic, ...]
    pins: tuple[records.PinResult, ...]
    notes: tuple[str, ...]
    broken: tuple[Missing, ...]

    @classmethod
    def of(cls, found: Sequence[Record]) -> _Report:
        broken: list[Missing] = []

        def read(kind: int, decode: Callable[[bytes], T]) -> tuple[T, ...]:
            values: list[T] = []
            for record in found:
                if record.type != kind:
                    continue
                try:
                    values.append(decode(record.body))
                except ValueError as error:
                    broken.append(Missing(f"{records.NAMES[kind]} in frame {record.first}", str(error)))
            return tuple(values)

        return cls(
            boot=_first(read(records.BOOT, records.decode_boot)),
            cpu=_first(read(records.CPU, records.decode_cpu)),
            memory=_first(read(records.MEMORY, records.decode_memory)),
            functions=read(records.FUNCTION, records.decode_function),
            tables=read(records.TABLE, records.decode_table),
            listed=_first(read(records.TABLES, records.decode_tables)),
            ioapics=read(records.IOAPIC, records.decode_ioapic),
            pins=read(records.PIN, records.decode_pin),
            notes=read(records.NOTE, records.decode_note),
            broken=tuple(broken),
        )


def _first(values: Sequence[T]) -> T | None:
    return values[0] if values else None


def _bdf(value: int) -> Bdf:
    return Bdf(0, value >> 8, value >> 3 & 31, value & 7)


def _function(probed: records.ProbedFunction, name: str) -> Function:
    function = decode_config(_bdf(probed.bdf), probed.config, name)
    problems = list(function.problems)
    if probed.sizing == "no BARs":
        # Registers of another kind lie there; Linux shows no resources either (arch/x86/pci/fixup.c).
        provenance = {**function.provenance, "firmware_bars": name}
        function = replace(function, bars=(), firmware_bars=(), rom=None, provenance=provenance)
    elif function.observed("bars") and function.header_type == 0:
        bars = _sized_bars(function, probed, problems)
        function = replace(
            function,
            bars=bars,
            firmware_bars=bars,
            rom=_sized_rom(function.rom, probed.rom_probe),
            provenance={**function.provenance, "firmware_bars": name},
        )
    if probed.sizing == "unrestored":
        problems.append("a register does not read as before its size was taken")
    if probed.ecam == "stranger":
        problems.append("another device answers at its place in memory mapped config space")
    return replace(function, problems=tuple(problems))


def _sized_bars(
    function: Function, probed: records.ProbedFunction, problems: list[str]
) -> tuple[Bar, ...]:  # fmt: skip
    """Return the BARs with sizes; a BAR that takes ones and has no address is there, without a base."""
    if probed.bar_probe is None:
        return function.bars or ()
    known = {bar.index: bar for bar in function.bars or ()}
    found: list[Bar] = []
    index = 0
    while index < len(probed.bar_probe):
        low = probed.bar_probe[index]
        # An unassigned BAR shows its kind in what it reads after ones were written.
        wide = (low & 0b111) == 0b100 and index + 1 < len(probed.bar_probe)
        bar = known.get(index) or (_unassigned(index, low) if low else None)
        if bar is not None:
            high = probed.bar_probe[index + 1] if wide else 0xFFFFFFFF
            size = _size(bar, low, high)
            if size is not None and size & (size - 1):
                problems.append(f"BAR {index} takes {size:#x} bytes, which is no power of two")
            found.append(replace(bar, size=size))
        index += 2 if wide else 1
    return tuple(found)


def _unassigned(index: int, probe: int) -> Bar:
    if probe & 1:
        return Bar(index, "io", None)
    width = {0b00: 32, 0b01: 20, 0b10: 64}.get(probe >> 1 & 0b11, 32)
    return Bar(index, "mem", None, None, width, bool(probe & 8))


def _size(bar: Bar, low: int, high: int) -> int | None:
    """Return the bytes that a BAR takes (PCI 3.0, 6.2.5.1), None when it took no ones at all."""
    if bar.kind == "io":
        # x86 has 16 bits of ports, and devices need not keep the upper ones.
        mask = low & 0xFFFC
        return (~mask & 0xFFFF) + 1 if mask else None
    mask = high << 32 | low & 0xFFFFFFF0
    return (~mask & 0xFFFFFFFFFFFFFFFF) + 1 if low and mask else None


def _sized_rom(rom: Rom | None, probe: int | None) -> Rom | None:
    if not probe:
        return rom
    size = (~probe & 0xFFFFFFFF) + 1
    return Rom(None, size, enabled=False) if rom is None else replace(rom, size=size)


def _platform(report: _Report) -> Platform:
    cpu, memory = report.cpu, report.memory
    return Platform(
        cpu_model=(cpu.brand or None) if cpu else None,
        vtx=cpu.vtx if cpu else None,
        vtx_locked_off=cpu.vtx_locked_off if cpu else None,
        x2apic=cpu.x2apic if cpu else None,
        memory_bytes=sum(region.size for region in memory if region.type == 1) if memory else None,
        firmware=report.boot.firmware if report.boot else None,
    )


def _with_pins(acpi: Acpi, probed: Sequence[records.ProbedIoApic]) -> Acpi:
    """Return the MADT's IOAPICs with the number of pins that they say themselves."""
    if acpi.madt is None:
        return acpi
    pins = {ioapic.index: len(ioapic.entries) for ioapic in probed if ioapic.entries}
    ioapics = tuple(replace(ioapic, pins=pins.get(ioapic.index)) for ioapic in acpi.madt.ioapics)
    return replace(acpi, madt=replace(acpi.madt, ioapics=ioapics))


def _measured(result: records.PinResult, name: str) -> MeasuredPin | None:
    """Return the input that delivered each time: as under seL4 if any did, a PCI input before an ISA one.

    A chipset may hand an INTx to the ISA input too that its legacy routing names (QEMU's does): the input
    that is PCI's alone is the one that ACPI names.
    """
    if result.outcome != "measured":
        return None
    phase = result.as_sel4 if result.as_sel4.sure else result.with_all
    arrivals = sorted(phase.sure, key=lambda a: (a.ioapic == 0 and a.pin < _ISA_PINS, a.ioapic, a.pin))
    if not arrivals:
        return None
    best = arrivals[0]
    how = (
        "IOAPIC 0 alone listening, as under seL4" if phase is result.as_sel4 else "all IOAPICs listening only"
    )
    source = f"{name}: {best.times} of {phase.tries} interrupts raised arrived there, {how}"
    others = [f"ioapic {a.ioapic} pin {a.pin}" for a in arrivals[1:]]
    if others:
        source += f"; also at {', '.join(others)}"
    elsewhere = [
        a for a in result.with_all.sure if (a.ioapic, a.pin) not in {(b.ioapic, b.pin) for b in arrivals}
    ]
    if phase is result.as_sel4 and elsewhere:
        places = ", ".join(f"ioapic {a.ioapic} pin {a.pin}" for a in elsewhere)
        source += f"; with all IOAPICs listening at {places}"
    return MeasuredPin(_bdf(result.bdf), best.ioapic, best.pin, source)


def _lost(reader: FrameReader) -> Iterator[Missing]:
    """Say which frames did not come, and what the probe itself had no room for."""
    total = "an unknown number" if reader.total is None else str(reader.total)
    if reader.missing:
        ranges = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in reader.missing)
        yield Missing(f"frames {ranges} of {total} of the firmware probe", "lost on the console")
    if reader.dropped:
        yield Missing(f"{counted(reader.dropped, 'record')} of the firmware probe", "it had no room for them")


def _absent(absent: Sequence[Missing], report: _Report) -> Iterator[Missing]:
    """Tell tables that the machine has and that were not sent from those it does not have."""
    sent = {table.signature for table in report.tables}
    kept = {table.signature for table in report.listed or () if table.signature not in sent}
    for missing in absent:
        if missing.what.rpartition("/")[2] not in kept:
            yield missing
    for signature in sorted(kept & {"DSDT", "SSDT"}):
        yield Missing(f"{TABLES}/{signature}", NOT_ASKED)


def _status_bit(result: records.PinResult) -> str:
    if result.family == records.I40E:
        return "its status bit tells nothing, in this family it does not work"
    return f"its status bit {'did' if result.status_seen else 'never did'} say that it asserts INTx"


def _told(report: _Report) -> Iterator[Missing]:
    """What is told beside the facts: pins that stayed unknown, notes, ACPI that seL4 will not find."""
    for result in report.pins:
        if _measured(result, "") is None:
            why = result.outcome
            if why == "fired, no interrupt seen":
                why += f"; {_status_bit(result)}"
            yield Missing(f"INTx pin of {_bdf(result.bdf).short}", why)
    for note in report.notes:
        yield Missing("a note of the firmware probe", note)
    if report.boot and report.boot.rsdp_found == "in the EBDA":
        yield Missing(
            "ACPI under seL4", "the root pointer lies in the EBDA, where seL4 does not look (seL4#178)"
        )
