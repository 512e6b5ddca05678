"""Machines that never were, and what sysfs, lspci and pciconf would write about them.

The writers follow the programs' own sources (Linux drivers/pci/pci-sysfs.c; pciutils lspci.c, ls-caps.c;
FreeBSD usr.sbin/pciconf), not the readers under test.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bringup.pci.model import Bdf

IO, MEM, PREFETCH, SIZEALIGN, MEM_64 = 0x100, 0x200, 0x2000, 0x40000, 0x100000
ROOT_PORT, UPSTREAM, DOWNSTREAM, TO_CONVENTIONAL, ENDPOINT, INTEGRATED = 4, 5, 6, 7, 0, 9
_LSPCI_PORTS = {
    ENDPOINT: "Endpoint",
    ROOT_PORT: "Root Port (Slot-)",
    UPSTREAM: "Upstream Port",
    DOWNSTREAM: "Downstream Port (Slot-)",
    TO_CONVENTIONAL: "PCI-Express to PCI/PCI-X Bridge",
    INTEGRATED: "Root Complex Integrated Endpoint",
}
_PCICONF_PORTS = {
    ENDPOINT: "endpoint",
    ROOT_PORT: "root port",
    UPSTREAM: "upstream port",
    DOWNSTREAM: "downstream port",
    TO_CONVENTIONAL: "PCI bridge",
    INTEGRATED: "root endpoint",
}
_SPEEDS = {0: "0.0", 1: "2.5", 2: "5.0", 3: "8.0"}
_COMMAND = ("I/O", "Mem", "BusMaster", "SpecCycle", "MemWINV", "VGASnoop", "ParErr", "Stepping", "SERR")
_COMMAND += ("FastB2B", "DisINTx")
_ACS = ("SrcValid", "TransBlk", "ReqRedir", "CmpltRedir", "UpstreamFwd", "EgressCtrl", "DirectTrans")


@dataclass(frozen=True)
class MadeBar:
    """A BAR: address 0 means that none was assigned."""

    index: int
    io: bool
    base: int
    size: int
    wide: bool = False
    prefetchable: bool = False

    @property
    def low_bits(self) -> int:
        return 1 if self.io else (4 if self.wide else 0) | (8 if self.prefetchable else 0)


@dataclass(frozen=True)
class Made:
    """One function: `express` is (port type, FLR, width, speed code), `msix` is (vectors, table, PBA)."""

    bdf: Bdf
    vendor: int
    device: int
    class_code: int
    prog_if: int = 0
    revision: int = 0
    subsystem: tuple[int, int] = (0x15D9, 0x0987)
    multifunction: bool = False
    command: int = 6
    pin: int = 0
    line: int = 0xFF
    bars: tuple[MadeBar, ...] = ()
    rom: tuple[int, int, bool] | None = None
    secondary: int = 0
    subordinate: int = 0
    power: int | None = None
    msi: tuple[int, bool, bool, bool] | None = None
    msix: tuple[int, bool, tuple[int, int], tuple[int, int]] | None = None
    express: tuple[int, bool, int, int] | None = None
    advanced_flr: bool | None = None
    serial: bytes | None = None
    acs: tuple[int, int] | None = None
    sriov: tuple[int, int, int, int] | None = None
    driver: str | None = None
    group: int | None = None
    irq: int = 0

    @property
    def bridge(self) -> bool:
        return bool(self.secondary)

    @property
    def header(self) -> int:
        return 1 if self.bridge else 0


def config(made: Made, size: int = 4096) -> bytes:
    """Return the function's config space."""
    raw = bytearray(4096)
    status = 0x10 if _chain(made) else 0
    struct.pack_into("<HHHH", raw, 0, made.vendor, made.device, made.command, status)
    struct.pack_into("<BBH", raw, 8, made.revision, made.prog_if, made.class_code)
    raw[0x0E] = made.header | (0x80 if made.multifunction else 0)
    for bar in made.bars:
        at = 0x10 + 4 * bar.index
        struct.pack_into("<I", raw, at, bar.base & 0xFFFFFFFF | bar.low_bits)
        if bar.wide:
            struct.pack_into("<I", raw, at + 4, bar.base >> 32)
    if made.bridge:
        raw[0x18:0x1B] = bytes((made.bdf.bus, made.secondary, made.subordinate))
        # All windows closed: bases above limits.
        struct.pack_into("<BB", raw, 0x1C, 0xF0, 0)
        struct.pack_into("<HHHH", raw, 0x20, 0xFFF0, 0, 0xFFF1, 1)
    else:
        struct.pack_into("<HH", raw, 0x2C, *made.subsystem)
    if made.rom:
        struct.pack_into("<I", raw, 0x38 if made.bridge else 0x30, made.rom[0] | made.rom[2])
    raw[0x3C], raw[0x3D] = made.line, made.pin
    _capabilities(made, raw)
    return bytes(raw[:size])


def _chain(made: Made) -> list[tuple[int, bytes]]:
    """Return (offset, bytes) of the plain capabilities; bytes 1 is where the link goes."""
    chain: list[tuple[int, bytes]] = []
    if made.power is not None:
        chain.append((0x40, struct.pack("<BBHHH", 1, 0, 3, made.power | 8, 0)))
    if made.msi:
        vectors, enabled, wide, maskable = made.msi
        control = enabled | (vectors.bit_length() - 1) << 1 | wide << 7 | maskable << 8
        chain.append((0x50, struct.pack("<BBH", 5, 0, control) + bytes(20)))
    if made.msix:
        vectors, enabled, table, pba = made.msix
        words = (vectors - 1 | enabled << 15, table[1] | table[0], pba[1] | pba[0])
        chain.append((0x70, struct.pack("<BBHII", 0x11, 0, *words)))
    if made.advanced_flr is not None:
        chain.append((0x80, struct.pack("<BBBBBB", 0x13, 0, 6, 1 | made.advanced_flr << 1, 0, 0)))
    if made.express:
        kind, flr, width, speed = made.express
        head = struct.pack("<BBHI", 0x10, 0, 2 | kind << 4, flr << 28)
        link = 0 if kind == INTEGRATED else max(width, 1) << 4 | 3
        now = 0 if kind == INTEGRATED else width << 4 | speed
        chain.append((0xA0, head + struct.pack("<IIHH", 0, link, 0, now) + bytes(0x28)))
    return chain


def _capabilities(made: Made, raw: bytearray) -> None:
    chain = _chain(made)
    at = 0x34
    for offset, content in chain:
        raw[at] = offset
        raw[offset : offset + len(content)] = content
        at = offset + 1
    previous = None
    for offset, identity, content in _extended(made):
        raw[offset : offset + 4 + len(content)] = struct.pack("<I", identity | 1 << 16) + content
        if previous is not None:
            header = struct.unpack_from("<I", raw, previous)[0]
            struct.pack_into("<I", raw, previous, header | offset << 20)
        previous = offset


def _extended(made: Made) -> list[tuple[int, int, bytes]]:
    if not made.express:
        return []
    # The chain must begin at 0x100; AER is what real ones have there.
    found = [(0x100, 0x0001, bytes(0x3C))]
    if made.serial:
        found.append((0x140, 0x0003, made.serial[::-1]))
    if made.sriov:
        total, offset, stride, device = made.sriov
        body = bytes(8) + struct.pack("<HHHH", total, total, 0, 0)
        body += struct.pack("<HHHH", offset, stride, 0, device) + struct.pack("<II", 0x553, 1) + bytes(28)
        found.append((0x160, 0x0010, body))
    if made.acs:
        found.append((0x1D0, 0x000D, struct.pack("<HH", *made.acs)))
    return found


def resource(made: Made, lines: int = 13) -> bytes:
    """Return the kernel's `resource` file."""
    rows = [(0, 0, 0)] * lines
    for bar in made.bars:
        flags = (IO if bar.io else MEM) | SIZEALIGN | bar.low_bits
        flags |= (PREFETCH if bar.prefetchable else 0) | (MEM_64 if bar.wide else 0)
        if bar.base:
            rows[bar.index] = (bar.base, bar.base + bar.size - 1, flags)
        else:
            rows[bar.index] = (0, bar.size - 1, flags | 0x20000000)
    if made.rom:
        base, size, enabled = made.rom
        rows[6] = (base, base + size - 1, MEM | PREFETCH | 0x4000 | SIZEALIGN | enabled)
    return "".join(f"0x{a:016x} 0x{b:016x} 0x{c:016x}\n" for a, b, c in rows).encode()


def sysfs(machine: Iterable[Made], config_bytes: int = 4096) -> tuple[dict[str, bytes], dict[str, str]]:
    """Return the files and links of a tree rooted at `/`."""
    files: dict[str, bytes] = {}
    links: dict[str, str] = {}
    for made in machine:
        folder = f"sys/bus/pci/devices/{made.bdf}"
        files |= {
            f"{folder}/config": config(made, config_bytes),
            f"{folder}/resource": resource(made, 17 if made.bridge else 13),
            f"{folder}/vendor": b"0x%04x\n" % made.vendor,
            f"{folder}/device": b"0x%04x\n" % made.device,
            f"{folder}/class": b"0x%06x\n" % (made.class_code << 8 | made.prog_if),
            f"{folder}/revision": b"0x%02x\n" % made.revision,
            f"{folder}/irq": b"%d\n" % made.irq,
            f"{folder}/numa_node": b"-1\n",
        }
        shown = (0, 0) if made.bridge else made.subsystem
        files[f"{folder}/subsystem_vendor"] = b"0x%04x\n" % shown[0]
        files[f"{folder}/subsystem_device"] = b"0x%04x\n" % shown[1]
        if made.driver:
            links[f"{folder}/driver"] = f"../../../../bus/pci/drivers/{made.driver}"
        if made.group is not None:
            links[f"{folder}/iommu_group"] = f"../../../../kernel/iommu_groups/{made.group}"
    return files, links


def write_tree(root: Path, files: dict[str, bytes], links: dict[str, str]) -> None:
    """Put a tree on disk."""
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    for path, target in links.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).symlink_to(target)


def lspci(machine: Iterable[Made]) -> str:
    """Return `lspci -nn -vvv -D`."""
    return "\n".join("\n".join(_lspci(made)) + "\n" for made in machine)


def _lspci(made: Made) -> Iterable[str]:
    title = f"{made.bdf} Thing [{made.class_code:04x}]: Maker Device [{made.vendor:04x}:{made.device:04x}]"
    title += f" (rev {made.revision:02x})" if made.revision else ""
    yield title + (f" (prog-if {made.prog_if:02x})" if made.prog_if else "")
    if not made.bridge:
        yield f"\tSubsystem: Board Device [{made.subsystem[0]:04x}:{made.subsystem[1]:04x}]"
    flags = " ".join(f"{n}{'+' if made.command >> b & 1 else '-'}" for b, n in enumerate(_COMMAND))
    yield f"\tControl: {flags}"
    yield f"\tStatus: Cap{'+' if _chain(made) else '-'} 66MHz- UDF- FastB2B- ParErr- DEVSEL=fast INTx-"
    if made.pin or made.irq:
        pin = "ABCD"[made.pin - 1] if made.pin else "?"
        yield f"\tInterrupt: pin {pin} routed to IRQ {made.irq}"
    if made.group is not None:
        yield f"\tIOMMU group: {made.group}"
    for bar in made.bars:
        yield f"\tRegion {bar.index}: {_region(bar)}"
    if made.bridge:
        numbers = (made.bdf.bus, made.secondary, made.subordinate)
        yield "\tBus: primary={:02x}, secondary={:02x}, subordinate={:02x}, sec-latency=0".format(*numbers)
        yield "\tI/O behind bridge: 0000f000-00000fff [disabled]"
        yield "\tMemory behind bridge: fff00000-000fffff [disabled]"
        yield "\tPrefetchable memory behind bridge: 00000000fff00000-00000000000fffff [disabled]"
    if made.rom:
        state = "" if made.rom[2] else " [disabled]"
        yield f"\tExpansion ROM at {made.rom[0]:08x}{state} [size={_size(made.rom[1])}]"
    yield from _lspci_capabilities(made)
    if made.driver:
        yield f"\tKernel driver in use: {made.driver}"


def _region(bar: MadeBar) -> str:
    place = f"{bar.base:x}" if bar.io else f"{bar.base:08x}"
    place = place if bar.base else "<unassigned>"
    if bar.io:
        return f"I/O ports at {place} [size={_size(bar.size)}]"
    kind = f"({64 if bar.wide else 32}-bit, {'' if bar.prefetchable else 'non-'}prefetchable)"
    return f"Memory at {place} {kind} [size={_size(bar.size)}]"


def _size(size: int) -> str:
    for suffix in ("", "K", "M", "G"):
        if size < 1024:
            return f"{size}{suffix}"
        size //= 1024
    return f"{size}T"


def _sign(flag: bool) -> str:
    return "+" if flag else "-"


def _lspci_capabilities(made: Made) -> Iterable[str]:
    if made.power is not None:
        yield "\tCapabilities: [40] Power Management version 3"
        yield f"\t\tStatus: D{made.power} NoSoftRst+ PME-Enable- DSel=0 DScale=0 PME-"
    if made.msi:
        vectors, enabled, wide, maskable = made.msi
        words = f"Enable{_sign(enabled)} Count=1/{vectors} Maskable{_sign(maskable)} 64bit{_sign(wide)}"
        yield f"\tCapabilities: [50] MSI: {words}"
    if made.msix:
        vectors, enabled, table, pba = made.msix
        yield f"\tCapabilities: [70] MSI-X: Enable{_sign(enabled)} Count={vectors} Masked-"
        yield f"\t\tVector table: BAR={table[0]} offset={table[1]:08x}"
        yield f"\t\tPBA: BAR={pba[0]} offset={pba[1]:08x}"
    if made.advanced_flr is not None:
        yield "\tCapabilities: [80] PCI Advanced Features"
        yield f"\t\tAFCap: TP+ FLR{_sign(made.advanced_flr)}"
    if made.express:
        kind, flr, width, speed = made.express
        yield f"\tCapabilities: [a0] Express (v2) {_LSPCI_PORTS[kind]}, MSI 00"
        yield "\t\tDevCap:\tMaxPayload 128 bytes, PhantFunc 0"
        if kind in (ENDPOINT, INTEGRATED):
            yield f"\t\t\tExtTag- AttnBtn- AttnInd- PwrInd- RBE+ FLReset{_sign(flr)}"
        if kind != INTEGRATED:
            yield f"\t\tLnkCap:\tPort #0, Speed 8GT/s, Width x{max(width, 1)}, ASPM not supported"
            now = {0: "unknown", 1: "2.5GT/s", 2: "5GT/s", 3: "8GT/s"}[speed]
            yield f"\t\tLnkSta:\tSpeed {now}, Width x{width}"
    yield from _lspci_extended(made)


def _lspci_extended(made: Made) -> Iterable[str]:
    for offset, identity, content in _extended(made):
        head = f"\tCapabilities: [{offset:x} v1] "
        if identity == 0x0001:
            yield head + "Advanced Error Reporting"
        elif identity == 0x0003:
            yield head + "Device Serial Number " + "-".join(f"{b:02x}" for b in content[::-1])
        elif identity == 0x000D and made.acs:
            yield head + "Access Control Services"
            for label, word in zip(("ACSCap", "ACSCtl"), made.acs, strict=True):
                signs = " ".join(f"{n}{_sign(bool(word >> b & 1))}" for b, n in enumerate(_ACS))
                yield f"\t\t{label}:\t{signs}"
        elif made.sriov:
            total, first, stride, device = made.sriov
            yield head + "Single Root I/O Virtualization (SR-IOV)"
            yield "\t\tIOVCap:\tMigration-, Interrupt Message Number: 000"
            yield "\t\tIOVCtl:\tEnable- Migration- Interrupt- MSE- ARIHierarchy-"
            yield f"\t\tInitial VFs: {total}, Total VFs: {total}, Number of VFs: 0, Function Dep"
            yield f"\t\tVF offset: {first}, stride: {stride}, Device ID: {device:04x}"


def pciconf(machine: Iterable[Made], old: bool = False) -> str:
    """Return `pciconf -lvbc`; `old` is the wording before FreeBSD 13."""
    return "\n".join("\n".join(_pciconf(made, unit, old)) + "\n" for unit, made in enumerate(machine))


def _pciconf(made: Made, unit: int, old: bool) -> Iterable[str]:
    place = f"pci{made.bdf.domain}:{made.bdf.bus}:{made.bdf.device}:{made.bdf.function}"
    shown = (0, 0) if made.bridge else made.subsystem
    code = made.class_code << 8 | made.prog_if
    tail = f"rev=0x{made.revision:02x} hdr=0x{made.header:02x}"
    if old:
        chip = f"card=0x{shown[1]:04x}{shown[0]:04x} chip=0x{made.device:04x}{made.vendor:04x} {tail}"
    else:
        chip = f"{tail} vendor=0x{made.vendor:04x} device=0x{made.device:04x} "
        chip += f"subvendor=0x{shown[0]:04x} subdevice=0x{shown[1]:04x}"
    yield f"{made.driver or 'none'}{unit}@{place}:\tclass=0x{code:06x} {chip}"
    yield "    vendor     = 'Maker'"
    for bar in made.bars:
        memory = "Prefetchable Memory" if bar.prefetchable else "Memory"
        kind = "I/O Port" if bar.io else memory
        base = f"0x{bar.base:x}" if bar.base else "0"
        width = 64 if bar.wide else 32
        where = f"[{0x10 + 4 * bar.index:02x}]"
        yield f"    bar   {where} = type {kind}, range {width}, base {base}, size {bar.size}, enabled"
    yield from _pciconf_capabilities(made)


def _pciconf_capabilities(made: Made) -> Iterable[str]:
    if made.power is not None:
        yield f"    cap 01[40] = powerspec 3  supports D0 D3  current D{made.power}"
    if made.msi:
        vectors, enabled, wide, maskable = made.msi
        words = f"MSI supports {vectors} message{'s' if vectors > 1 else ''}"
        words += (", 64 bit" if wide else "") + (", vector masks" if maskable else "")
        yield f"    cap 05[50] = {words} " + ("enabled with 1 message" if enabled else "")
    if made.msix:
        vectors, enabled, table, pba = made.msix
        words = f"MSI-X supports {vectors} message{'s' if vectors > 1 else ''}"
        yield f"    cap 11[70] = {words}{', enabled' if enabled else ''}"
        maps = [f"0x{0x10 + 4 * index:x}[0x{offset:x}]" for index, offset in (table, pba)]
        yield f"                 Table in map {maps[0]}, PBA in map {maps[1]}"
    if made.advanced_flr is not None:
        yield f"    cap 13[80] = PCI Advanced Features:{' FLR' if made.advanced_flr else ''} TP"
    if made.express:
        kind, flr, width, speed = made.express
        words = f"PCI-Express 2 {_PCICONF_PORTS[kind]} max data 128(128){' FLR' if flr else ''} NS"
        yield f"    cap 10[a0] = {words}"
        if kind != INTEGRATED:
            link = f"link x{width}(x{max(width, 1)}) speed {_SPEEDS[speed]}(8.0)"
            yield f"                 {link} ASPM disabled(L0s/L1)"
    for offset, identity, content in _extended(made):
        head = f"    ecap {identity:04x}[{offset:x}] = "
        if identity == 0x0001:
            yield head + "AER 1 0 fatal 0 non-fatal 0 corrected"
        elif identity == 0x0003:
            yield head + f"Serial 1 {content[::-1].hex()}"
        elif identity == 0x000D:
            yield head + "ACS 1 "
        elif made.sriov:
            total, first, stride, device = made.sriov
            yield head + "SR-IOV 1 IOV disabled, Memory Space disabled, ARI disabled"
            yield f"                     0 VFs configured out of {total} supported"
            yield f"                     First VF RID Offset 0x{first:04x}, VF RID Stride 0x{stride:04x}"
            yield f"                     VF Device ID 0x{device:04x}"
