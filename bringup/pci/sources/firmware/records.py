"""What the firmware probe's records say (layouts: `probes/firmware/report.h` and `pins.h`); pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

BOOT, CPU, MEMORY, FUNCTION, TABLE, TABLES, IOAPIC, PIN, NOTE = range(2, 11)
"""Types of records after the hello."""

NAMES = {
    BOOT: "how it was loaded",
    CPU: "the processor",
    MEMORY: "the memory map",
    FUNCTION: "a PCI function",
    TABLE: "an ACPI table",
    TABLES: "the list of ACPI tables",
    IOAPIC: "an IOAPIC",
    PIN: "a pin measurement",
    NOTE: "a note",
}

OUTCOMES = (
    "measured",
    "fired, no interrupt seen",
    "not fired: no way is known for this device",
    "not fired: the function has no INTx pin",
    "not fired: BAR 0 has no address",
    "not fired: BAR 0 lies above 4 GiB",
    "not fired: its registers read as ones",
    "not fired: it is powered down",
    "fired, could not be silenced, so its INTx was turned off",
    "not fired: no local APIC or no IOAPIC to listen with",
    "the function is not there",
    "not fired: its BAR 0 holds an address of memory, so nobody assigned it",
)
TRIES = 3
"""How often each phase fires (`pins.h`)."""

I40E = 3
"""Family (`nic.h`) whose status bit never says that it asserts INTx (Linux quirk_broken_intx_masking)."""

_FIRMWARES: tuple[Literal["bios", "uefi"] | None, ...] = (None, "bios", "uefi")
_PLACES = ("nowhere", "from the loader", "in the EBDA", "in BIOS memory")
_SIZINGS = ("sized", "bridge", "display", "console", "not asked", "unrestored", "no BARs")
_BOOT = struct.Struct("<BBIBI")
_CPU = struct.Struct("<4IBQQ")
_REGION = struct.Struct("<QQI")
_FUNCTION = struct.Struct("<H4B7I")
_LISTED = struct.Struct("<4sIIB")
_IOAPIC = struct.Struct("<B4I")
_PIN = struct.Struct("<HBBBH")
_VALID_CONTROL, _VALID_BASE = 1, 2


@dataclass(frozen=True, slots=True)
class Boot:
    """How the probe came to run; `tsc_khz` are ticks of the time stamp counter per millisecond."""

    protocol: int
    firmware: Literal["bios", "uefi"] | None
    rsdp: int
    rsdp_found: str
    tsc_khz: int
    command_line: str


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPUID leaf 1 (a, b, c, d), and the MSRs where they could be read."""

    features: tuple[int, int, int, int]
    feature_control: int | None
    apic_base: int | None
    brand: str

    @property
    def vtx(self) -> bool:
        """CPUID.1:ECX.VMX (Intel SDM 2A)."""
        return bool(self.features[2] & 1 << 5)

    @property
    def vtx_locked_off(self) -> bool | None:
        """IA32_FEATURE_CONTROL locked without VMX outside SMX (Intel SDM 3C, 23.7); None: not read."""
        return None if self.feature_control is None else self.feature_control & 0b101 == 0b001

    @property
    def x2apic(self) -> bool | None:
        """Whether firmware left x2APIC on (IA32_APIC_BASE bit 10); None: not read."""
        return None if self.apic_base is None else bool(self.apic_base & 1 << 10)


@dataclass(frozen=True, slots=True)
class Region:
    """A range of the loader's memory map; type 1 is memory (ACPI 6.4, chapter 15)."""

    start: int
    size: int
    type: int


@dataclass(frozen=True, slots=True)
class ProbedFunction:
    """A function's config space as firmware left it.

    `bar_probe` are the BARs and `rom_probe` the ROM as they read after ones were written; None where that was
    not done, for the reason `sizing`. `ecam`: "absent", "equal", "differs" or "stranger".
    """

    bdf: int
    config: bytes
    sizing: str
    bar_probe: tuple[int, ...] | None
    rom_probe: int | None
    ecam: str
    differing_dwords: int


@dataclass(frozen=True, slots=True)
class Table:
    """One ACPI table as it lies in memory."""

    address: int
    data: bytes

    @property
    def signature(self) -> str:
        """Its four characters."""
        return self.data[:4].decode("latin-1")


@dataclass(frozen=True, slots=True)
class ListedTable:
    """One entry of the list of tables."""

    signature: str
    address: int
    length: int
    checksum_right: bool
    sent: bool


@dataclass(frozen=True, slots=True)
class ProbedIoApic:
    """One IOAPIC; `entries` as firmware left them, empty when nothing answered."""

    index: int
    address: int
    id: int
    version: int
    gsi_base: int
    entries: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Arrival:
    """An IOAPIC input that delivered `times` of the interrupts that were raised in a phase."""

    ioapic: int
    pin: int
    times: int


@dataclass(frozen=True, slots=True)
class Phase:
    """One round of firing: `tries` interrupts; `noisy` inputs were left out because they delivered before."""

    tries: int
    noisy: int
    arrivals: tuple[Arrival, ...]

    @property
    def sure(self) -> tuple[Arrival, ...]:
        """Inputs that delivered every time."""
        return tuple(arrival for arrival in self.arrivals if arrival.times == TRIES)


@dataclass(frozen=True, slots=True)
class PinResult:
    """The pin experiment of one function: with IOAPIC 0 alone, as under seL4, then with all of them."""

    bdf: int
    family: int
    outcome: str
    status_seen: int
    inputs_not_watched: int
    as_sel4: Phase
    with_all: Phase


def decode_boot(body: bytes) -> Boot:
    """Raises ValueError, as all decoders here do, when the body is cut or its values are unknown."""
    protocol, firmware, rsdp, found, khz = _unpack(_BOOT, body)
    command_line = decode_note(body[_BOOT.size :])
    who, where = _FIRMWARES[_known(firmware, _FIRMWARES)], _PLACES[_known(found, _PLACES)]
    return Boot(protocol, who, rsdp, where, khz, command_line)


def decode_cpu(body: bytes) -> Cpu:
    """Return the processor; raises ValueError."""
    a, b, c, d, valid, control, base = _unpack(_CPU, body)
    return Cpu(
        (a, b, c, d),
        control if valid & _VALID_CONTROL else None,
        base if valid & _VALID_BASE else None,
        decode_note(body[_CPU.size :]).strip(),
    )


def decode_note(body: bytes) -> str:
    """Return text of the probe; what is no character to print, and may command a terminal, becomes `?`."""
    return "".join(c if c.isprintable() else "?" for c in body.decode("utf-8", "replace"))


def decode_memory(body: bytes) -> tuple[Region, ...]:
    """Return the memory map; raises ValueError."""
    if len(body) % _REGION.size:
        raise ValueError(f"a memory map has no {len(body)} bytes")
    return tuple(Region(*entry) for entry in _REGION.iter_unpack(body))


def decode_function(body: bytes) -> ProbedFunction:
    """Return one function; raises ValueError."""
    bdf, ecam, differing, _, sizing, *probes = _unpack(_FUNCTION, body)
    states = ("absent", "equal", "differs", "stranger")
    word = _SIZINGS[_known(sizing, _SIZINGS)]
    sized = word in ("sized", "unrestored")
    return ProbedFunction(
        bdf,
        body[_FUNCTION.size :],
        word,
        tuple(probes[:6]) if sized else None,
        probes[6] if sized else None,
        states[_known(ecam, states)],
        differing,
    )


def decode_table(body: bytes) -> Table:
    """Return one ACPI table; raises ValueError."""
    if len(body) < 8:
        raise ValueError("an ACPI table without a signature")
    return Table(int.from_bytes(body[:4], "little"), body[4:])


def decode_tables(body: bytes) -> tuple[ListedTable, ...]:
    """Return the list of tables; raises ValueError."""
    if len(body) % _LISTED.size:
        raise ValueError(f"a list of tables has no {len(body)} bytes")
    return tuple(
        ListedTable(signature.decode("latin-1"), address, length, bool(flags & 1), bool(flags & 2))
        for signature, address, length, flags in _LISTED.iter_unpack(body)
    )


def decode_ioapic(body: bytes) -> ProbedIoApic:
    """Return one IOAPIC; raises ValueError."""
    index, address, number, version, gsi_base = _unpack(_IOAPIC, body)
    entries = body[_IOAPIC.size :]
    if len(entries) % 8:
        raise ValueError("an IOAPIC entry is cut")
    words = tuple(entry for (entry,) in struct.iter_unpack("<Q", entries))
    return ProbedIoApic(index, address, number, version, gsi_base, words)


def decode_pin(body: bytes) -> PinResult:
    """Return one measurement; raises ValueError."""
    bdf, family, outcome, status, unwatched = _unpack(_PIN, body)
    as_sel4, at = _phase(body, _PIN.size)
    with_all, _ = _phase(body, at)
    word = OUTCOMES[_known(outcome, OUTCOMES)]
    return PinResult(bdf, family, word, status, unwatched, as_sel4, with_all)


def _phase(body: bytes, at: int) -> tuple[Phase, int]:
    head = body[at : at + 3]
    if len(head) != 3:
        raise ValueError("a pin measurement is cut")
    tries, noisy, count = head
    end = at + 3 + 3 * count
    if end > len(body):
        raise ValueError("a pin measurement is cut")
    arrivals = tuple(Arrival(*body[place : place + 3]) for place in range(at + 3, end, 3))
    return Phase(tries, noisy, arrivals), end


def _unpack(layout: struct.Struct, body: bytes) -> tuple[int, ...]:
    if len(body) < layout.size:
        raise ValueError(f"a record of {len(body)} bytes, {layout.size} are the least")
    return layout.unpack_from(body)


def _known(value: int, names: tuple[object, ...]) -> int:
    if value >= len(names):
        raise ValueError(f"{value} is none of the {len(names)} values known here")
    return value
