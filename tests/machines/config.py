"""The config space of a made function (PCI 3.0 chapter 6, PCI-to-PCI Bridge 1.2 chapter 3, PCIe 4.0)."""

from __future__ import annotations

import struct
from functools import singledispatch
from itertools import zip_longest

from tests.machines import caps
from tests.machines.bars import MadeBar
from tests.machines.model import Made, MadeWindow

WHOLE = 4096
_HAS_LIST = 1 << 4


def config(made: Made, size: int = WHOLE, *, moved: bool = True) -> bytes:
    """Return the first `size` bytes, with the BARs as they stand under Linux or as the firmware left them."""
    raw = bytearray(WHOLE)
    plain = [cap for cap in made.capabilities if not isinstance(cap, caps.EXTENDED)]
    # A virtual function's id registers read as ones (PCIe 4.0, 9.3.4.1.1).
    ids = (made.vendor, made.device) if made.physical is None else (0xFFFF, 0xFFFF)
    struct.pack_into("<HHHH", raw, 0, *ids, made.command, _HAS_LIST if plain else 0)
    struct.pack_into("<BBH", raw, 8, made.revision, made.prog_if, made.class_code)
    raw[0x0E] = made.header | (0x80 if made.multifunction else 0)
    if made.physical is None:
        _put_bars(raw, 0x10, made.bars_now if moved else made.bars)
    if made.bridge:
        raw[0x18:0x1B] = bytes((made.bdf.bus, made.secondary, made.subordinate))
        _put_windows(raw, made.windows)
    else:
        struct.pack_into("<HH", raw, 0x2C, *made.subsystem)
    if made.rom:
        struct.pack_into("<I", raw, 0x38 if made.bridge else 0x30, made.rom[0] | made.rom[2])
    raw[0x3C], raw[0x3D] = made.line, made.pin
    _chain_plain(made, raw)
    _chain_extended(made, raw)
    return bytes(raw[:size])


def _put_bars(raw: bytearray, at: int, bars: tuple[MadeBar, ...]) -> None:
    for bar in bars:
        struct.pack_into("<I", raw, at + 4 * bar.index, bar.base & 0xFFFFFFFF | bar.type_bits)
        if bar.wide:
            struct.pack_into("<I", raw, at + 4 * bar.index + 4, bar.base >> 32)


def _put_windows(raw: bytearray, windows: tuple[MadeWindow, ...]) -> None:
    """Write the windows; a closed one has its base above its limit."""
    struct.pack_into("<BB", raw, 0x1C, 0xF0, 0)
    struct.pack_into("<HHHH", raw, 0x20, 0xFFF0, 0, 0xFFF1, 1)
    for window in windows:
        if window.kind == "I/O":
            struct.pack_into("<BB", raw, 0x1C, window.base >> 8, window.last >> 8 & 0xF0)
        elif window.kind == "Memory":
            struct.pack_into("<HH", raw, 0x20, window.base >> 16, window.last >> 16 & 0xFFF0)
        else:
            low = (window.base >> 16 & 0xFFF0 | 1, window.last >> 16 & 0xFFF0 | 1)
            struct.pack_into("<HHII", raw, 0x24, *low, window.base >> 32, window.last >> 32)


def _chain_plain(made: Made, raw: bytearray) -> None:
    link = 0x34
    for cap in made.capabilities:
        if not isinstance(cap, caps.EXTENDED):
            body = encode(cap, made)
            raw[link] = cap.at
            raw[cap.at : cap.at + 2 + len(body)] = bytes((caps.identity(cap), 0)) + body
            link = cap.at + 1


def _chain_extended(made: Made, raw: bytearray) -> None:
    """Link the extended ones; the list must begin at 0x100."""
    chain = [cap for cap in made.capabilities if isinstance(cap, caps.EXTENDED)]
    assert not chain or chain[0].at == 0x100, made
    for cap, following in zip_longest(chain, chain[1:]):
        version = cap.version if isinstance(cap, caps.OtherExtended) else 1
        head = caps.identity(cap) | version << 16 | (following.at << 20 if following else 0)
        body = encode(cap, made)
        raw[cap.at : cap.at + 4 + len(body)] = struct.pack("<I", head) + body


@singledispatch
def encode(cap: caps.Capability, made: Made) -> bytes:
    """Return a capability's bytes after its header; of one nobody reads here, none."""
    return b""


@encode.register
def _(cap: caps.Power, made: Made) -> bytes:
    return struct.pack("<HHH", cap.version, cap.state | 8, 0)


@encode.register
def _(cap: caps.Msi, made: Made) -> bytes:
    control = cap.enabled | (cap.vectors.bit_length() - 1) << 1 | cap.wide << 7 | cap.maskable << 8
    return struct.pack("<H", control)


@encode.register
def _(cap: caps.MsiX, made: Made) -> bytes:
    words = (cap.vectors - 1 | cap.enabled << 15, cap.table[1] | cap.table[0], cap.pba[1] | cap.pba[0])
    return struct.pack("<HII", *words)


@encode.register
def _(cap: caps.Express, made: Made) -> bytes:
    flags = cap.version | cap.port << 4 | (cap.slot is not None) << 8
    most, now = (w << 4 | s for w, s in (cap.most, cap.link))
    if cap.port == caps.INTEGRATED:
        most = now = 0
    slot = 0 if cap.slot is None else cap.slot << 19
    return struct.pack("<HIIIHHI", flags, cap.flr << 28, 0, most, 0, now, slot)


@encode.register
def _(cap: caps.AdvancedFeatures, made: Made) -> bytes:
    return bytes((6, 1 | cap.flr << 1, 0, 0))


@encode.register
def _(cap: caps.BridgeSubsystem, made: Made) -> bytes:
    return struct.pack("<HHH", 0, *made.subsystem)


@encode.register
def _(cap: caps.Serial, made: Made) -> bytes:
    return cap.value[::-1]


@encode.register
def _(cap: caps.AccessControl, made: Made) -> bytes:
    return struct.pack("<HH", cap.capability, cap.control)


@encode.register
def _(cap: caps.VirtualFunctions, made: Made) -> bytes:
    body = struct.pack("<IHH", 0, (1 | 8) if cap.now else 0, 0)
    body += struct.pack("<HHHH", cap.total, cap.total, cap.now, 0)
    body += struct.pack("<HHHHII", cap.offset, cap.stride, 0, cap.device, 0x553, 1)
    raw = bytearray(body + bytes(28))
    _put_bars(raw, 0x20, cap.bars)
    return bytes(raw)
