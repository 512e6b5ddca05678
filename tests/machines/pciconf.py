"""`pciconf -lvbc` of FreeBSD on a made machine (usr.sbin/pciconf/pciconf.c, cap.c), both wordings of ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import singledispatch

from tests.machines import caps
from tests.machines.bars import MadeBar
from tests.machines.model import Made

_PORTS = {
    caps.ENDPOINT: "endpoint",
    caps.ROOT_PORT: "root port",
    caps.UPSTREAM: "upstream port",
    caps.DOWNSTREAM: "downstream port",
    caps.TO_CONVENTIONAL: "PCI bridge",
    caps.INTEGRATED: "root endpoint",
}
_SPEEDS = ("0.0", "2.5", "5.0", "8.0", "16.0", "32.0")
_PLAIN_WORDS = {0x03: "VPD", 0x12: "SATA Index-Data Pair"}
_EXTENDED_WORDS = {
    0x0001: "AER {} 0 fatal 0 non-fatal 0 corrected",
    0x0002: "VC {} max VC0",
    0x000B: "Vendor {} ID 2",
    0x000E: "ARI {}",
    0x0017: "TPH Requester {}",
    0x0018: "LTR {}",
    0x0019: "PCIe Sec {} lane errors 0",
}


def text(machine: Iterable[Made], *, old: bool = False) -> str:
    """Return the listing; `old` is the wording of ids before FreeBSD 13."""
    units: Counter[str] = Counter()
    found = []
    for made in machine:
        if made.physical is not None:
            continue  # those that Linux made
        name = made.bsd_driver or made.driver or "none"
        found.append("\n".join(_function(made, f"{name}{units[name]}", old)) + "\n")
        units[name] += 1
    return "\n".join(found)


def _function(made: Made, name: str, old: bool) -> Iterator[str]:
    place = f"pci{made.bdf.domain}:{made.bdf.bus}:{made.bdf.device}:{made.bdf.function}"
    shown = _subsystem(made)
    code = made.class_code << 8 | made.prog_if
    tail = f"rev=0x{made.revision:02x} hdr=0x{made.header:02x}"
    if old:
        ids = f"card=0x{shown[1]:04x}{shown[0]:04x} chip=0x{made.device:04x}{made.vendor:04x} {tail}"
    else:
        ids = f"{tail} vendor=0x{made.vendor:04x} device=0x{made.device:04x} "
        ids += f"subvendor=0x{shown[0]:04x} subdevice=0x{shown[1]:04x}"
    yield f"{name}@{place}:\tclass=0x{code:06x} {ids}"
    yield f"    vendor     = '{made.names[0]}'"
    yield f"    device     = '{made.names[1]}'"
    for bar in made.bars:
        yield f"    bar   [{0x10 + 4 * bar.index:02x}] = {_bar(bar)}"
    for cap in made.capabilities:
        number = caps.identity(cap)
        first, *rest = words(cap, made)
        if isinstance(cap, caps.EXTENDED):
            yield f"    ecap {number:04x}[{cap.at:x}] = {first}"
            yield from (" " * 21 + line for line in rest)
        else:
            yield f"    cap {number:02x}[{cap.at:x}] = {first}"
            yield from (" " * 17 + line for line in rest)


def _subsystem(made: Made) -> tuple[int, int]:
    """A bridge's is that of its capability, or zeros."""
    has_one = not made.bridge or made.capability(caps.BridgeSubsystem) is not None
    return made.subsystem if has_one else (0, 0)


def _bar(bar: MadeBar) -> str:
    memory = "Prefetchable Memory" if bar.prefetchable else "Memory"
    kind = "I/O Port" if bar.io else memory
    base = f"0x{bar.base:x}" if bar.base else "0"
    state = "enabled" if bar.base else "disabled"
    return f"type {kind}, range {64 if bar.wide else 32}, base {base}, size {bar.size}, {state}"


@singledispatch
def words(cap: caps.Capability, made: Made) -> list[str]:
    """Return the lines about a capability, the first one after its head."""
    raise TypeError(f"no text for {type(cap).__name__}")


@words.register
def _(cap: caps.Power, made: Made) -> list[str]:
    return [f"powerspec {cap.version}  supports D0 D3  current D{cap.state}"]


@words.register
def _(cap: caps.Msi, made: Made) -> list[str]:
    line = f"MSI supports {cap.vectors} message{'s' if cap.vectors > 1 else ''}"
    line += (", 64 bit" if cap.wide else "") + (", vector masks" if cap.maskable else "")
    return [f"{line} " + ("enabled with 1 message" if cap.enabled else "")]


@words.register
def _(cap: caps.MsiX, made: Made) -> list[str]:
    line = f"MSI-X supports {cap.vectors} message{'s' if cap.vectors > 1 else ''}"
    maps = [f"0x{0x10 + 4 * index:x}[0x{offset:x}]" for index, offset in (cap.table, cap.pba)]
    return [line + (", enabled" if cap.enabled else ""), f"Table in map {maps[0]}, PBA in map {maps[1]}"]


@words.register
def _(cap: caps.Express, made: Made) -> list[str]:
    lines = [f"PCI-Express {cap.version} {_PORTS[cap.port]} max data 128(128){' FLR' if cap.flr else ''} NS"]
    if cap.port != caps.INTEGRATED:
        (width, speed), (widest, fastest) = cap.link, cap.most
        link = f"link x{width}(x{widest}) speed {_SPEEDS[speed]}({_SPEEDS[fastest]})"
        lines.append(f"{link} ASPM disabled(L0s/L1)")
    if cap.slot is not None:
        lines.append(f"slot {cap.slot} power limit 0 mW")
    return lines


@words.register
def _(cap: caps.AdvancedFeatures, made: Made) -> list[str]:
    return [f"PCI Advanced Features:{' FLR' if cap.flr else ''} TP"]


@words.register
def _(cap: caps.BridgeSubsystem, made: Made) -> list[str]:
    return [f"PCI Bridge card=0x{made.subsystem[1]:04x}{made.subsystem[0]:04x}"]


@words.register
def _(cap: caps.Other, made: Made) -> list[str]:
    return [_PLAIN_WORDS.get(cap.id, "unknown")]


@words.register
def _(cap: caps.Serial, made: Made) -> list[str]:
    return [f"Serial 1 {cap.value.hex()}"]


@words.register
def _(cap: caps.AccessControl, made: Made) -> list[str]:
    return ["ACS 1 "]


@words.register
def _(cap: caps.VirtualFunctions, made: Made) -> list[str]:
    state = "enabled" if cap.now else "disabled"
    lines = [
        f"SR-IOV 1 IOV {state}, Memory Space {state}, ARI disabled",
        f"{cap.now} VFs configured out of {cap.total} supported",
        f"First VF RID Offset 0x{cap.offset:04x}, VF RID Stride 0x{cap.stride:04x}",
        f"VF Device ID 0x{cap.device:04x}",
        "Page Sizes: 4096 (enabled), 8192, 65536, 262144, 1048576, 4194304",
    ]
    # FreeBSD gives them addresses when it makes virtual functions.
    at = cap.at + 0x24
    return lines + [
        f"iov bar   [{at + 4 * bar.index:02x}] = {_bar(bar)}" for bar in cap.bars if cap.now and bar.base
    ]


@words.register
def _(cap: caps.OtherExtended, made: Made) -> list[str]:
    return [_EXTENDED_WORDS.get(cap.id, "unknown {}").format(cap.version)]
