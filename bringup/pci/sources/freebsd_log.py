"""FreeBSD's boot log: IOAPICs, where INTx arrives, and the tree of bridges, in FreeBSD's own names.

A device's line tells its place on a bus, and each bus the bridge it is behind (sys/kern/subr_bus.c,
device_print_prettyname; sys/dev/pci/pci.c, pci_print_child). `pci7` is the seventh bus that was found
and says nothing of its number: a log of `boot -v` tells that (sys/dev/pci/pci_pci.c), and the bus of the host
bridge with the configuration ports is 0. What is on other buses is `unplaced`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bringup.base.errors import UsageError
from bringup.pci.model import (
    Acpi,
    Bdf,
    Function,
    IoApic,
    Machine,
    Madt,
    Platform,
    RoutedPin,
    SourceInfo,
    Unplaced,
)

KIND = "freebsd-log"

MAX_BYTES = 64 << 20
_SNIFFED_BYTES = 4 << 20
_DEVICES_MAX = 1 << 14
# Prefixes are whatever a console or syslog put before: searched for, never matched.
_BRIDGE = re.compile(rb"\bpcib\d{1,4}: <[^\r\n]{1,100}(?:Host-PCI|PCI-PCI) bridge")
_ATTACHED = re.compile(
    r"\b([a-z][a-z_0-9]{0,30}?)(\d{1,4}): <([^\r\n]{1,200})>"
    r"([^<>\r\n]{0,300}) on ([a-z][a-z_]{0,30}\d{1,4})\s*$",
    re.MULTILINE,
)
# "pci0: <memory> at device 31.2 (no driver attached)"
_ALONE = re.compile(
    r"\b(pci\d{1,4}): <([^\r\n]{1,200})> at device (\d{1,2})\.(\d) [^\r\n]{0,60}\(no driver attached\)"
)
_AT = re.compile(r" at device (\d{1,2})\.([0-7])\b")
_IRQ = re.compile(r" irq (\d{1,5})\b")
_RANGES = re.compile(r" (?:port|mem|iomem) ((?:0x[0-9a-f]{1,16}(?:-0x[0-9a-f]{1,16})?,?){1,12})")
_CONFIG_PORTS = re.compile(r" port 0xcf8\b")
_SECONDARY = re.compile(r"\b(pcib\d{1,4}): +secondary bus +(\d{1,3})\b")
_DOMAIN = re.compile(r"\b(pcib\d{1,4}): +domain +(\d{1,5})\b")
_IOAPIC = re.compile(r"\bioapic(\d{1,3}) <Version [^>\r\n]{1,12}> irqs (\d{1,5})-(\d{1,5})\b")
_KERNEL = re.compile(r"^.{0,40}?\b(FreeBSD \d{1,2}\.\d[^\r\n]{0,200})", re.MULTILINE)
_CPU = re.compile(r"\bCPU: ([^\r\n]{1,96}?) \([0-9.]{1,12}-MHz")
_MEMORY = re.compile(r"\breal memory  ?= (\d{1,16}) \(")
# sys/x86/x86/identcpu.c, print_vmx_info and print_svm_info.
_VIRTUAL = re.compile(r"^[^\r\n]{0,60}\b(VT-x): (\(disabled in BIOS\))?", re.MULTILINE)


def looks_like(data: bytes) -> bool:
    """Whether FreeBSD's lines about PCI bridges are in the first 4 MiB."""
    return _BRIDGE.search(data[:_SNIFFED_BYTES]) is not None


def parse(data: bytes, name: str = KIND) -> Machine:
    """Return what a log shows: what is on buses whose numbers it tells as functions, all else as `unplaced`.

    Raises UsageError for a log that is too large.
    """
    if len(data) > MAX_BYTES:
        raise UsageError(f"{name}: {len(data)} bytes are too many for the boot log of one machine")
    # A line that breaks off may end in half a number.
    text = data[: data.rfind(b"\n") + 1].decode("utf-8", "replace")
    tree = _Tree.of(text)
    madt = _madt(text)
    gsis = range(0) if madt is None else range(madt.ioapics[0].gsi_base, _end(madt))
    functions: dict[Bdf, Function] = {}
    routed: list[RoutedPin] = []
    unplaced: list[Unplaced] = []
    for device in tree.devices:
        # From the last input of the last IOAPIC on numbers are those of messages.
        gsi = device.irq if device.irq in gsis else None
        source = f"{name}: FreeBSD used GSI {gsi} for {device.name}"
        bus = tree.numbers.get(device.on)
        if bus is None:
            unplaced.append(device.unplaced(gsi, tree.behind.get(device.name), source))
            continue
        function = device.function(Bdf(*bus, *device.at), name)
        functions[function.bdf] = function
        if gsi is not None:
            routed.append(RoutedPin(function.bdf, gsi, source))
    return Machine(
        tuple(functions[bdf] for bdf in sorted(functions)),
        platform=_platform(text),
        acpi=Acpi(madt=madt),
        sources=(SourceInfo(name, KIND, hashlib.sha256(data).hexdigest()),),
        routed=tuple(routed),
        unplaced=tuple(unplaced),
    )


@dataclass(frozen=True, slots=True)
class _Device:
    """A line about a device: `driver` is "" where it has none, `at` device and function on the bus `on`."""

    name: str
    driver: str
    what: str
    on: str
    at: tuple[int, int]
    bases: tuple[int, ...] = ()
    irq: int | None = None

    def function(self, bdf: Bdf, source: str) -> Function:
        """Return the function of a device whose bus is known."""
        if not self.driver:
            return Function(bdf)
        return Function(bdf, driver=self.driver, provenance={"driver": source})

    def unplaced(self, gsi: int | None, leads_to: str | None, source: str) -> Unplaced:
        """Return what is told of a device whose bus is not known."""
        return Unplaced(self.name, self.what, self.on, *self.at, self.bases, gsi, leads_to, source)


@dataclass(frozen=True, slots=True)
class _Tree:
    """The devices on PCI buses, the bus behind each bridge, and the (domain, bus) of buses that are told."""

    devices: tuple[_Device, ...]
    behind: Mapping[str, str]
    numbers: Mapping[str, tuple[int, int]]

    @classmethod
    def of(cls, text: str) -> _Tree:
        behind: dict[str, str] = {}
        found: dict[str, _Device] = {}
        told = {match[1]: int(match[2]) for match in _SECONDARY.finditer(text)}
        domains = {match[1]: int(match[2]) for match in _DOMAIN.finditer(text)}
        numbers = {bridge: (domains.get(bridge, 0), bus) for bridge, bus in told.items() if bus < 256}
        for match in _ATTACHED.finditer(text):
            driver, unit, what, rest, parent = match.groups()
            name = driver + unit
            if driver == "pci" and parent.startswith("pcib"):
                behind[parent] = name
            elif driver == "pcib" and _CONFIG_PORTS.search(rest):
                numbers[name] = (0, 0)
            if re.fullmatch(r"pci\d+", parent) and (at := _AT.search(rest)) and len(found) < _DEVICES_MAX:
                irq = _IRQ.search(rest)
                number = None if irq is None else int(irq[1])
                place = int(at[1]) & 31, int(at[2])
                found[name] = _Device(name, driver, what, parent, place, tuple(_bases(rest)), number)
        alone = [
            _Device(m[1], "", m[2], m[1], (int(m[3]) & 31, int(m[4]) & 7)) for m in _ALONE.finditer(text)
        ]
        return cls(
            (*found.values(), *alone[:_DEVICES_MAX]),
            behind,
            {behind[bridge]: bus for bridge, bus in numbers.items() if bridge in behind},
        )


def _bases(rest: str) -> Iterator[int]:
    for match in _RANGES.finditer(rest):
        yield from (int(each.partition("-")[0], 16) for each in match[1].split(",") if each)


def _madt(text: str) -> Madt | None:
    found = {int(m[1]): (int(m[2]), int(m[3])) for m in _IOAPIC.finditer(text)}
    if sorted(found) != list(range(len(found))) or not found:
        return None
    return Madt(
        tuple(IoApic(n, None, None, first, last - first + 1) for n, (first, last) in sorted(found.items()))
    )


def _end(madt: Madt) -> int:
    return max(ioapic.gsi_base + (ioapic.pins or 0) for ioapic in madt.ioapics)


def _platform(text: str) -> Platform:
    kernel, cpu, memory = (pattern.search(text) for pattern in (_KERNEL, _CPU, _MEMORY))
    virtual = _VIRTUAL.search(text)
    return Platform(
        cpu_model=None if cpu is None else cpu[1].strip(),
        vtx=None if virtual is None else virtual[2] is None,
        vtx_locked_off=None if virtual is None else virtual[2] is not None,
        memory_bytes=None if memory is None else int(memory[1]),
        kernel=None if kernel is None else kernel[1].strip(),
    )
