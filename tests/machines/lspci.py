"""What lspci writes of a made machine: `-D -nn -vvv` with or without hex, `-Dvmmnnk`; an ids file.

The wording is that of pciutils 3.9 (lspci.c, ls-caps.c, ls-ecaps.c), less the details nobody reads here; the
real program is asked about the same tree in tests/unit/pci/test_formats_agree.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import singledispatch

from tests.machines import caps
from tests.machines.bars import MadeBar
from tests.machines.config import config
from tests.machines.model import Made
from tests.machines.names import CLASSES, VENDORS

_PORTS = {
    caps.ENDPOINT: "Endpoint",
    caps.ROOT_PORT: "Root Port",
    caps.UPSTREAM: "Upstream Port",
    caps.DOWNSTREAM: "Downstream Port",
    caps.TO_CONVENTIONAL: "PCI-Express to PCI/PCI-X Bridge",
    caps.INTEGRATED: "Root Complex Integrated Endpoint",
}
# At the upper end of a link nobody says whether the lower end can do better (ls-caps.c, link_compare).
_SHARED = (caps.ROOT_PORT, caps.DOWNSTREAM, caps.TO_CONVENTIONAL)
_SPEEDS = ("unknown", "2.5GT/s", "5GT/s", "8GT/s", "16GT/s", "32GT/s")
_COMMAND = ("I/O", "Mem", "BusMaster", "SpecCycle", "MemWINV", "VGASnoop", "ParErr", "Stepping", "SERR")
_COMMAND += ("FastB2B", "DisINTx")
_ACS = ("SrcValid", "TransBlk", "ReqRedir", "CmpltRedir", "UpstreamFwd", "EgressCtrl", "DirectTrans")
_PLAIN_WORDS = {0x03: "Vital Product Data", 0x12: "SATA HBA v0.0 BAR??0"}
_EXTENDED_WORDS = {
    0x0001: "Advanced Error Reporting",
    0x0002: "Virtual Channel",
    0x000B: "Vendor Specific Information: ID=0000 Rev=0 Len=000 <?>",
    0x000E: "Alternative Routing-ID Interpretation (ARI)",
    0x0017: "Transaction Processing Hints",
    0x0018: "Latency Tolerance Reporting",
    0x0019: "Secondary PCI Express",
    0x001E: "L1 PM Substates",
    0x0025: "Data Link Feature <?>",
    0x0026: "Physical Layer 16.0 GT/s <?>",
    0x0027: "Lane Margining at the Receiver <?>",
}


def ids_file(machine: Iterable[Made]) -> str:
    """Return a pci.ids of the machine's own names, for `lspci -i`."""
    vendors: dict[int, tuple[str, dict[int, str]]] = {each: (name, {}) for each, name in VENDORS.items()}
    for made in machine:
        _, devices = vendors.setdefault(made.vendor, (made.names[0], {}))
        devices[made.device] = made.names[1]
    lines = []
    for vendor, (name, devices) in sorted(vendors.items()):
        lines.append(f"{vendor:04x}  {name}\n")
        lines += [f"\t{device:04x}  {what}\n" for device, what in sorted(devices.items())]
    bases = sorted({code >> 8 for code in CLASSES})
    for base in bases:
        lines.append(f"C {base:02x}  {'Unassigned class' if base == 0xFF else f'Base class {base:02x}'}\n")
        lines += [f"\t{code & 0xFF:02x}  {name}\n" for code, name in CLASSES.items() if code >> 8 == base]
    return "".join(lines)


def text(machine: Iterable[Made], hex_bytes: int = 0) -> str:
    """Return the human text; `hex_bytes` of each config space below it (256 for -xxx, 4096 for -xxxx)."""
    return "".join("\n".join([*_function(made), *_hex(made, hex_bytes)]) + "\n\n" for made in machine)


def _hex(made: Made, count: int) -> Iterator[str]:
    raw = config(made)[:count]
    for at in range(0, len(raw), 16):
        yield f"{at:02x}: {raw[at : at + 16].hex(' ')}"


def _function(made: Made) -> Iterator[str]:
    yield _title(made)
    if made.label:
        yield f"\tDeviceName: {made.label}"
    if not made.bridge and made.subsystem[0]:
        yield f"\tSubsystem: {_subsystem(made)}"
    if made.slot:
        yield f"\tPhysical Slot: {made.slot}"
    yield f"\tControl: {_flags(_COMMAND, made.command)}"
    listed = any(not isinstance(cap, caps.EXTENDED) for cap in made.capabilities)
    yield (
        f"\tStatus: Cap{_sign(listed)} 66MHz- UDF- FastB2B- ParErr- DEVSEL=fast "
        ">TAbort- <TAbort- <MAbort- >SERR- <PERR- INTx-"
    )
    if made.command & 4:
        yield "\tLatency: 0"
    if made.pin or made.irq:
        yield f"\tInterrupt: pin {'?ABCD'[made.pin]} routed to IRQ {made.irq}"
    if made.group is not None:
        yield f"\tIOMMU group: {made.group}"
    for bar in made.bars_now:
        yield f"\tRegion {bar.index}: {_region(bar, made)}"
    if made.bridge:
        yield from _bridge(made)
    if made.rom:
        state = " [disabled]" if not made.rom[2] else "" if made.command & 2 else " [disabled by cmd]"
        yield f"\tExpansion ROM at {made.rom[0]:08x}{state} [size={_size(made.rom[1])}]"
    for cap in made.capabilities:
        first, *rest = words(cap, made)
        version = ""
        if isinstance(cap, caps.EXTENDED):
            version = f" v{cap.version if isinstance(cap, caps.OtherExtended) else 1}"
        yield f"\tCapabilities: [{cap.at:02x}{version}] {first}"
        yield from rest
    if made.driver:
        yield f"\tKernel driver in use: {made.driver}"
    if made.modules:
        yield f"\tKernel modules: {', '.join(made.modules)}"


def _title(made: Made) -> str:
    kind = CLASSES.get(made.class_code, "Class")
    vendor, device = made.names
    title = (
        f"{made.bdf} {kind} [{made.class_code:04x}]: {vendor} {device} [{made.vendor:04x}:{made.device:04x}]"
    )
    title += f" (rev {made.revision:02x})" if made.revision else ""
    return title + (f" (prog-if {made.prog_if:02x})" if made.prog_if else "")


def _subsystem(made: Made) -> str:
    vendor, device = _subsystem_names(made)
    ids = f"[{made.subsystem[0]:04x}:{made.subsystem[1]:04x}]"
    return f"{vendor} {device} {ids}".strip()


def _subsystem_names(made: Made) -> tuple[str, str]:
    """Return what lspci makes of a subsystem that its ids file does not name (names.c, id_lookup_subsys)."""
    same = made.subsystem == (made.vendor, made.device)
    return VENDORS.get(made.subsystem[0], ""), made.names[1] if same else "Device"


def _flags(names: tuple[str, ...], word: int) -> str:
    return " ".join(f"{name}{_sign(bool(word >> bit & 1))}" for bit, name in enumerate(names))


def _sign(flag: bool) -> str:
    return "+" if flag else "-"


def _region(bar: MadeBar, made: Made) -> str:
    on = made.command & (1 if bar.io else 2)
    # The registers of a virtual function hold no address.
    state = " [virtual]" if made.physical else "" if on else " [disabled]"
    tail = f"{state} [size={_size(bar.size)}]"
    place = f"{bar.base:04x}" if bar.io else f"{bar.base:08x}"
    if not bar.base:
        # A register that holds its type alone is one the system did not use (lspci.c, show_bases).
        place = "<ignored>" if bar.type_bits else "<unassigned>"
    if bar.io:
        return f"I/O ports at {place}{tail}"
    kind = f"({64 if bar.wide else 32}-bit, {'' if bar.prefetchable else 'non-'}prefetchable)"
    return f"Memory at {place} {kind}{tail}"


def _size(size: int) -> str:
    for suffix in ("", "K", "M", "G"):
        if size < 1024:
            return f"{size}{suffix}"
        size //= 1024
    return f"{size}T"


def _bridge(made: Made) -> Iterator[str]:
    numbers = (made.bdf.bus, made.secondary, made.subordinate)
    yield "\tBus: primary={:02x}, secondary={:02x}, subordinate={:02x}, sec-latency=0".format(*numbers)
    closed = {
        "I/O": "f000-0fff [disabled] [16-bit]",
        "Memory": "fff00000-000fffff [disabled] [32-bit]",
        "Prefetchable memory": "00000000fff00000-00000000000fffff [disabled] [64-bit]",
    }
    opened = {window.kind: window for window in made.windows}
    for kind, shown in closed.items():
        window = opened.get(kind)
        if window is not None:
            bits = {"I/O": 16, "Memory": 32}.get(kind, 64)
            size = _size(window.last - window.base + 1)
            digits = min(bits // 4, 8)
            shown = f"{window.base:0{digits}x}-{window.last:0{digits}x} [size={size}] [{bits}-bit]"
        yield f"\t{kind} behind bridge: {shown}"


@singledispatch
def words(cap: caps.Capability, made: Made) -> list[str]:
    """Return the lines about a capability, the first one after its head."""
    raise TypeError(f"no text for {type(cap).__name__}")


@words.register
def _(cap: caps.Power, made: Made) -> list[str]:
    status = f"\t\tStatus: D{cap.state} NoSoftRst+ PME-Enable- DSel=0 DScale=0 PME-"
    return [f"Power Management version {cap.version}", status]


@words.register
def _(cap: caps.Msi, made: Made) -> list[str]:
    flags = f"Maskable{_sign(cap.maskable)} 64bit{_sign(cap.wide)}"
    return [f"MSI: Enable{_sign(cap.enabled)} Count=1/{cap.vectors} {flags}"]


@words.register
def _(cap: caps.MsiX, made: Made) -> list[str]:
    return [
        f"MSI-X: Enable{_sign(cap.enabled)} Count={cap.vectors} Masked-",
        f"\t\tVector table: BAR={cap.table[0]} offset={cap.table[1]:08x}",
        f"\t\tPBA: BAR={cap.pba[0]} offset={cap.pba[1]:08x}",
    ]


@words.register
def _(cap: caps.Express, made: Made) -> list[str]:
    slot = f" (Slot{_sign(cap.slot is not None)})" if cap.port in (caps.ROOT_PORT, caps.DOWNSTREAM) else ""
    lines = [f"Express (v{cap.version}) {_PORTS[cap.port]}{slot}, MSI 00"]
    payload, buttons, power = "\t\tDevCap:\tMaxPayload 128 bytes, PhantFunc 0", "", ""
    if cap.port == caps.ENDPOINT:
        payload += ", Latency L0s <64ns, L1 <1us"
        buttons, power = "AttnBtn- AttnInd- PwrInd- ", " SlotPowerLimit 0W"
    lines.append(payload)
    if cap.port in (caps.ENDPOINT, caps.INTEGRATED):
        lines.append(f"\t\t\tExtTag- {buttons}RBE- FLReset{_sign(cap.flr)}{power}")
    if cap.port != caps.INTEGRATED:
        (width, speed), (widest, fastest) = cap.link, cap.most
        lines.append(f"\t\tLnkCap:\tPort #0, Speed {_SPEEDS[fastest]}, Width x{widest}, ASPM not supported")
        slower = " (downgraded)" if 0 < speed < fastest and cap.port not in _SHARED else ""
        narrower = " (downgraded)" if 0 < width < widest and cap.port not in _SHARED else ""
        lines.append(f"\t\tLnkSta:\tSpeed {_SPEEDS[speed]}{slower}, Width x{width}{narrower}")
    if cap.slot is not None:
        lines.append(f"\t\t\tSlot #{cap.slot}, PowerLimit 0W; Interlock- NoCompl-")
    return lines


@words.register
def _(cap: caps.AdvancedFeatures, made: Made) -> list[str]:
    return ["PCI Advanced Features", f"\t\tAFCap: TP+ FLR{_sign(cap.flr)}"]


@words.register
def _(cap: caps.BridgeSubsystem, made: Made) -> list[str]:
    return [f"Subsystem: {_subsystem(made)}"]


@words.register
def _(cap: caps.Other, made: Made) -> list[str]:
    return [_PLAIN_WORDS.get(cap.id, f"#{cap.id:02x}")]


@words.register
def _(cap: caps.Serial, made: Made) -> list[str]:
    return [f"Device Serial Number {cap.value.hex('-')}"]


@words.register
def _(cap: caps.AccessControl, made: Made) -> list[str]:
    return [
        "Access Control Services",
        f"\t\tACSCap:\t{_flags(_ACS, cap.capability)}",
        f"\t\tACSCtl:\t{_flags(_ACS, cap.control)}",
    ]


@words.register
def _(cap: caps.VirtualFunctions, made: Made) -> list[str]:
    on = _sign(bool(cap.now))
    lines = [
        "Single Root I/O Virtualization (SR-IOV)",
        "\t\tIOVCap:\tMigration- 10BitTagReq- Interrupt Message Number: 000",
        f"\t\tIOVCtl:\tEnable{on} Migration- Interrupt- MSE{on} ARIHierarchy- 10BitTagReq-",
        f"\t\tInitial VFs: {cap.total}, Total VFs: {cap.total}, Number of VFs: {cap.now}, "
        "Function Dependency Link: 00",
        f"\t\tVF offset: {cap.offset}, stride: {cap.stride}, Device ID: {cap.device:04x}",
    ]
    for bar in cap.bars:
        place = f"{bar.base:016x}" if bar.wide else f"{bar.base:08x}"
        kind = f"({64 if bar.wide else 32}-bit, {'' if bar.prefetchable else 'non-'}prefetchable)"
        lines.append(f"\t\tRegion {bar.index}: Memory at {place} {kind}")
    return lines


@words.register
def _(cap: caps.OtherExtended, made: Made) -> list[str]:
    return [_EXTENDED_WORDS.get(cap.id, f"Extended Capability ID {cap.id:#x}")]


def machine_text(machine: Iterable[Made]) -> str:
    """Return `lspci -Dvmmnnk`."""
    return "\n".join("".join(f"{key}:\t{value}\n" for key, value in _pairs(made)) for made in machine) + "\n"


def _pairs(made: Made) -> Iterator[tuple[str, str]]:
    yield "Slot", str(made.bdf)
    yield "Class", f"{CLASSES.get(made.class_code, 'Class')} [{made.class_code:04x}]"
    yield "Vendor", f"{made.names[0]} [{made.vendor:04x}]"
    yield "Device", f"{made.names[1]} [{made.device:04x}]"
    if not made.bridge and made.subsystem[0]:
        vendor, device = _subsystem_names(made)
        yield "SVendor", f"{vendor or 'Vendor'} [{made.subsystem[0]:04x}]"
        yield "SDevice", f"{device} [{made.subsystem[1]:04x}]"
    if made.slot:
        yield "PhySlot", made.slot
    if made.revision:
        yield "Rev", f"{made.revision:02x}"
    yield "ProgIf", f"{made.prog_if:02x}"
    if made.driver:
        yield "Driver", made.driver
    for module in made.modules:
        yield "Module", module
    if made.group is not None:
        yield "IOMMUGroup", str(made.group)
