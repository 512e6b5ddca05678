"""A Linux boot log: the addresses that the firmware had assigned, before the kernel moved any.

The first line about a BAR is what the firmware left in it. Three wordings exist (drivers/pci/probe.c,
pci_read_bases and __pci_read_base; drivers/pci/setup-res.c): `reg 10: […]`, `reg 0x10: […]`, and `BAR 0 […]`
since Linux 6.8 and in stable kernels it was taken back to; before 2.6.33 there was `reg 10 32bit mmio: […]`.
The line decides, not the kernel's version.
"""

from __future__ import annotations

import hashlib
import quopri
import re
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from bringup.base.errors import UsageError
from bringup.pci.acpi.places import places_in_log
from bringup.pci.model import (
    Bar,
    Bdf,
    Bridge,
    Function,
    Machine,
    Missing,
    NetInterface,
    Rom,
    RoutedPin,
    SourceInfo,
    Window,
)
from bringup.pci.names import ETHERNET_DRIVERS
from bringup.pci.sources.dmesg import KIND as KIND
from bringup.pci.sources.dmesg.platform import read_platform_lines

MAX_BYTES = 64 << 20
_SNIFFED_BYTES = 4 << 20
# Prefixes are whatever a console, syslog or a mail put before: searched for, never matched.
_LINE = re.compile(
    r"\bpci(?: ([0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]):"
    r"|: ([0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7])(?= reg )) ([^\r\n]{1,300})",
    re.IGNORECASE,
)
# What drivers print, with the name of a network port once it has one.
_DRIVER_LINE = re.compile(
    r"\b([a-z][a-z0-9_-]{1,31}) ([0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7])"
    r"(?: ([a-z][a-z0-9._-]{0,15}))?: ([^\r\n]{1,300})",
    re.IGNORECASE,
)
_IDS = re.compile(r"\[([0-9a-f]{4}):([0-9a-f]{4})\] type ([0-9a-f]{1,2}) class (?:0x)?([0-9a-f]{6})\b")
_PLACE = re.compile(
    r"\[(mem|io) +(?:0x([0-9a-f]{1,16})-0x([0-9a-f]{1,16})|size 0x([0-9a-f]{1,16}))([ a-z0-9]{0,40})\]"
)
_REGISTER = re.compile(r"reg (?:0x)?([0-9a-f]{2,3}): (\[[^\]]{1,100}\])")
_OLD_REGISTER = re.compile(
    r"reg ([0-9a-f]{2}) (io port|32bit mmio|64bit mmio)( pref)?: "
    r"\[(?:0x)?([0-9a-f]{1,16})(?:-0x|, )([0-9a-f]{1,16})\]"
)
_NAMED = re.compile(r"(BAR ([0-5])|ROM) (\[[^\]]{1,100}\])")
_BRIDGE = re.compile(r"PCI bridge to \[bus ([0-9a-f]{2})(?:-([0-9a-f]{2}))?\]")
_WINDOW = re.compile(
    r" {1,4}bridge window \[(io|mem) +0x([0-9a-f]{1,16})-0x([0-9a-f]{1,16})([ a-z0-9]{0,40})\]$"
)
# "BAR 0: assigned […]" and "BAR 0 […]: assigned": 6 is the ROM, from 7 on it is a bridge's window or virtual
# functions'. That the kernel gave those a place is its own affair; so is who draws into a BAR (efifb).
_CHANGED = re.compile(
    r"BAR ([0-5])(?: \[[^\]]{1,100}\])?: "
    r"(assigned (?!to )|assigned$|set to|can't assign|no space|failed to assign|releasing|can't claim"
    r"|no compatible)"
)
_CLAIM = re.compile(r"can't claim BAR ([0-5]) ")
_PLACED = re.compile(r"\bassigned\b|\bset to\b")
# drivers/acpi/pci_irq.c before Linux 3.x told of every function.
# drivers/iommu/iommu.c; before Linux 5.x "iommu: Adding device 0000:02:00.0 to group 7".
_GROUP = re.compile(r"Adding to iommu group (\d{1,5})$")
_OLD_GROUP = re.compile(
    r"\biommu: Adding device ([0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]) to group (\d{1,5})\s",
    re.IGNORECASE,
)
_ROUTED = re.compile(r"PCI INT ([A-D]) -> GSI (\d{1,4}) \(")
# The same before Linux 2.6.27 or so.
_OLD_ROUTED = re.compile(
    r"\bACPI: PCI Interrupt ([0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7])\[([A-D])\] -> GSI (\d{1,4}) \(",
    re.IGNORECASE,
)
# drivers/iommu/intel/iommu.c, until Linux 5.x: the RMRRs of a function, and the first 16 MiB for floppies.
_MAPPED = re.compile(
    r"\bSetting identity map for device ([0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]) "
    r"\[0x([0-9a-f]{1,16}) - 0x([0-9a-f]{1,16})\]",
    re.IGNORECASE,
)
# drivers/iommu/intel/iommu.c: functions that must keep their identity mapping.
_KEPT = re.compile(
    r"[^\r\n]{0,20}(?:Device is ineligible for IOMMU domain attach|requested this device have a 1:1)"
)
_ROM_REGISTERS = (0x30, 0x38)
_REMARK_LIMIT = 16
_GUESTS_OWN = frozenset({"pci", "acpi", "pcieport", "vfio-pci", "pci-stub", "pciehp", "shpchp"})


def looks_like(data: bytes) -> bool:
    """Whether a kernel's lines about PCI functions or host bridges are in the first 4 MiB."""
    text = data[:_SNIFFED_BYTES].decode("utf-8", "replace")
    return any(_tells(match[3]) for match in _LINE.finditer(text)) or bool(places_in_log(text))


_FIRST_WORDS = (_IDS, _REGISTER, _OLD_REGISTER, _NAMED, _BRIDGE, _CHANGED, _GROUP)


def _tells(rest: str) -> bool:
    return any(pattern.match(rest) for pattern in _FIRST_WORDS)


def parse(data: bytes, name: str = KIND) -> Machine:
    """Return the machine a log shows; raises UsageError for one that tells nothing, or too large."""
    if len(data) > MAX_BYTES:
        raise UsageError(f"{name}: {len(data)} bytes are too many for the boot log of one machine")
    machine = read_log(data, name)
    if not machine.functions and not machine.acpi.places:
        raise UsageError(
            f"{name}: no line about a PCI function",
            hint="a log that starts later than the boot has lost them: use /var/log or the serial console's",
        )
    return machine


def read_log(data: bytes, name: str) -> Machine:
    """Return what a log shows, without functions where it has lost the boot; provenance is `name`."""
    text = _unquoted(data[:MAX_BYTES]).decode("utf-8", "replace")
    drafts: dict[str, _Draft] = {}
    for match in _LINE.finditer(text):
        _draft_of(drafts, match[1] or match[2]).read(match[3].rstrip())
    for match in _OLD_GROUP.finditer(text):
        _draft_of(drafts, match[1]).known["iommu_group"] = int(match[2])
    for match in _OLD_ROUTED.finditer(text):
        _draft_of(drafts, match[1]).routed(match[2], match[3])
    for match in _MAPPED.finditer(text):
        if int(match[2], 16):
            _draft_of(drafts, match[1]).map(int(match[2], 16), int(match[3], 16))
    for match in _DRIVER_LINE.finditer(text):
        _draft_of(drafts, match[2]).hear(match[1], match[3], match[4].rstrip())
    functions = [function for draft in drafts.values() if (function := draft.function(name)) is not None]
    told = read_platform_lines(text)
    ordered = sorted(drafts.values(), key=lambda draft: draft.bdf)
    return replace(
        told,
        functions=tuple(sorted(functions, key=lambda function: function.bdf)),
        sources=(SourceInfo(name, KIND, hashlib.sha256(data).hexdigest()),),
        missing=(*told.missing, *(gap for draft in ordered for gap in draft.kept(name))),
        routed=tuple(
            RoutedPin(draft.bdf, draft.gsi, f"{name}: Linux used GSI {draft.gsi}")
            for draft in ordered
            if draft.gsi is not None
        ),
    )


def _draft_of(drafts: dict[str, _Draft], place: str) -> _Draft:
    draft = drafts.get(place)
    if draft is None:
        draft = drafts[place] = _Draft(Bdf.parse(place))
    return draft


def _unquoted(data: bytes) -> bytes:
    """Undo a mail's quoted-printable: `=` at line ends, and bytes as `=3D`."""
    return quopri.decodestring(data) if b"=\n" in data.replace(b"\r", b"") and b"=3D" in data else data


@dataclass(slots=True)
class _Draft:
    """What the lines of one function told so far."""

    bdf: Bdf
    known: dict[str, Any] = field(default_factory=dict)
    firmware: dict[int, Bar] = field(default_factory=dict)
    now: dict[int, Bar] = field(default_factory=dict)
    placed: dict[int, Bar] = field(default_factory=dict)
    windows: list[Window] | None = None
    in_bridge: bool = False
    moves: list[str] = field(default_factory=list)
    gsi: int | None = None
    has_reserved_memory: bool = False
    mapped: list[tuple[int, int]] = field(default_factory=list)

    def read(self, rest: str) -> None:
        """Read a line of the PCI core without its prefix."""
        if (window := _WINDOW.match(rest)) and self.in_bridge:
            self._window(window)
            return
        self.in_bridge = False
        if match := _IDS.match(rest):
            self._identity(match)
        elif match := _REGISTER.fullmatch(rest):
            self._register(int(match[1], 16), match[2])
        elif match := _OLD_REGISTER.fullmatch(rest):
            self._register(int(match[1], 16), _in_brackets(match))
        elif match := _NAMED.fullmatch(rest):
            self._first(0x30 if match[2] is None else 0x10 + 4 * int(match[2]), match[3])
        elif match := _BRIDGE.match(rest):
            secondary = int(match[1], 16)
            # The last word counts: the kernel renumbers what the firmware left wrong. Of the windows the
            # first does: they are read from the registers before the kernel opens more.
            self.known["bridge"] = Bridge(self.bdf.bus, secondary, int(match[2] or match[1], 16))
            self.in_bridge = self.windows is None
        elif (match := _CHANGED.match(rest)) or (match := _CLAIM.match(rest)):
            self._changed(int(match[1]), rest)
        elif match := _ROUTED.match(rest):
            self.routed(match[1], match[2])
        elif match := _GROUP.match(rest):
            self.known["iommu_group"] = int(match[1])

    def hear(self, driver: str, port: str | None, rest: str) -> None:
        """Read a line of a driver about its function."""
        if _KEPT.match(rest):
            self.has_reserved_memory = True
        elif match := _ROUTED.match(rest):
            self.routed(match[1], match[2])
        if driver.lower() in _GUESTS_OWN:
            return
        if port is not None or driver in ETHERNET_DRIVERS:
            self.known.setdefault("driver", driver)
        if port is not None and driver in ETHERNET_DRIVERS:
            self.known["net"] = (NetInterface(port),)

    def _identity(self, match: re.Match[str]) -> None:
        code = int(match[4], 16)
        self.known.setdefault("vendor", int(match[1], 16))
        self.known.setdefault("device", int(match[2], 16))
        self.known.setdefault("header_type", int(match[3], 16))
        if len(match[3]) == 1:
            # Before Linux 3.5 the class was printed without its last byte (drivers/pci/probe.c).
            self.known.setdefault("class_code", code & 0xFFFF)
            return
        self.known.setdefault("class_code", code >> 8)
        self.known.setdefault("prog_if", code & 0xFF)

    def routed(self, pin: str, gsi: str) -> None:
        """Take the GSI that Linux had the function's INTx pin at."""
        self.known["intx_pin"] = pin
        self.gsi = int(gsi)

    def map(self, base: int, limit: int) -> None:
        """Take a range that Linux mapped for the function as the firmware wants it."""
        if len(self.mapped) < _REMARK_LIMIT and (base, limit) not in self.mapped:
            self.mapped.append((base, limit))

    def _window(self, match: re.Match[str]) -> None:
        base, limit = int(match[2], 16), int(match[3], 16)
        kind: Literal["io", "mem", "prefetchable"] = "mem"
        if match[1] == "io":
            kind = "io"
        elif "pref" in match[4].split():
            kind = "prefetchable"
        self.windows = self.windows or []
        if base <= limit and len(self.windows) < _REMARK_LIMIT:
            self.windows.append(Window(kind, base, limit))

    def _register(self, offset: int, text: str) -> None:
        # From 0x100 on these are the SR-IOV capability's, of virtual functions.
        if (0x10 <= offset <= 0x24 and offset % 4 == 0) or offset in _ROM_REGISTERS:
            self._first(offset, text)

    def _first(self, offset: int, text: str) -> None:
        index = (offset - 0x10) // 4
        bar = _bar(index, text)
        if bar is None:
            return
        if offset in _ROM_REGISTERS:
            # A ROM without an address reads as its size mask: it seems to end at 4 GiB.
            base = None if bar.end == 1 << 32 else bar.base
            self.known.setdefault("rom", Rom(base, bar.size))
        else:
            self.firmware.setdefault(index, bar)
            self.now.setdefault(index, bar)

    def _changed(self, index: int, rest: str) -> None:
        bar = _bar(index, rest) if _PLACED.search(rest) else None
        if bar is not None and self.now.get(index, bar).base == bar.base and index in self.now:
            # It was given what it had.
            return
        if len(self.moves) < _REMARK_LIMIT:
            self.moves.append(f'boot log: "{rest[:160]}"')
        if bar is not None:
            self.placed[index] = bar
            self.now[index] = bar

    def kept(self, name: str) -> tuple[Missing, ...]:
        """Return that the firmware keeps memory for the function, where a log says so."""
        what = f"addresses of the RMRR of {self.bdf.short}"
        if self.mapped:
            told = " and ".join(f"{base:#x} to {limit:#x}" for base, limit in self.mapped)
            return (Missing(what, f"{name} tells of {told}, perhaps of some only: capture the ACPI tables"),)
        if self.has_reserved_memory:
            return (Missing(what, f"{name} names the device only: capture the ACPI tables"),)
        return ()

    def function(self, name: str) -> Function | None:
        """Return the function; None where the log has only lines of no account about it."""
        if not self.known and not self.firmware and not self.moves:
            return None
        values = dict(self.known)
        if self.windows is not None and "bridge" in values:
            values["bridge"] = replace(values["bridge"], windows=tuple(self.windows))
        if "vendor" in values or self.firmware:
            values["firmware_bars"] = tuple(self.firmware[index] for index in sorted(self.firmware))
        if values.get("header_type", 0) == 0 and "firmware_bars" in values:
            values.setdefault("rom", None)
        if "firmware_bars" in values:
            values["bars"] = tuple(self.now[index] for index in sorted(self.now))
        if self.placed:
            values["os_placed"] = tuple(self.placed[index] for index in sorted(self.placed))
        moves = tuple(dict.fromkeys(self.moves))
        return Function(self.bdf, **values, moves=moves, provenance=dict.fromkeys(values, name))


def _in_brackets(old: re.Match[str]) -> str:
    """Return an old kernel's register in the words of those since."""
    _, kind, pref, start, end = old.groups(default="")
    flags = ("" if kind[:2] != "64" else " 64bit") + pref
    return f"[{'io' if kind == 'io port' else 'mem'} 0x{start}-0x{end}{flags}]"


def _bar(index: int, text: str) -> Bar | None:
    """Return the range in brackets as a BAR; None where there is none that is understood."""
    match = _PLACE.search(text)
    if match is None:
        return None
    kind, start, end, size, flags = match.groups()
    if size is not None:
        base, length = None, int(size, 16)
    else:
        base, length = int(start, 16) or None, int(end, 16) - int(start, 16) + 1
    if length <= 0:
        return None
    if kind == "io":
        return Bar(index, "io", base, length)
    words = flags.split()
    return Bar(index, "mem", base, length, 64 if "64bit" in words else 32, "pref" in words)
