"""The two chains of capabilities in a config space, and what the known ones hold; every walk ends."""

from __future__ import annotations

import struct
from collections.abc import Callable

from bringup.pci.model import (
    Acs,
    AdvancedFeatures,
    Bar,
    Capability,
    Decoded,
    Msi,
    MsiX,
    Pcie,
    PowerManagement,
    SerialNumber,
    Sriov,
)

_STATUS_HAS_LIST = 1 << 4
_EXTENDED_START = 0x100
# PCIe 4.0 7.5.3.2, device/port type.
_PORT_TYPES = {
    0: "endpoint",
    1: "legacy endpoint",
    4: "root port",
    5: "upstream port",
    6: "downstream port",
    7: "pci-express to pci/pci-x bridge",
    8: "pci/pci-x to pci-express bridge",
    9: "root complex integrated endpoint",
    10: "root complex event collector",
}
# PCIe 4.0 7.5.3.6 and 7.5.3.8: the supported speeds vector, by the speeds every generation has used, in GT/s.
_SPEEDS = {1: 2.5, 2: 5.0, 3: 8.0, 4: 16.0, 5: 32.0, 6: 64.0}


def read_capabilities(config: bytes, header_type: int, problems: list[str]) -> tuple[Capability, ...]:
    """Return both chains in the order they are linked; what is broken is added to `problems`."""
    found = _walk(config, header_type, problems)
    if len(config) > _EXTENDED_START and any(c.id == 0x10 for c in found):
        found += _walk_extended(config, problems)
    return tuple(found)


def _walk(config: bytes, header_type: int, problems: list[str]) -> list[Capability]:
    found: list[Capability] = []
    if not _u16(config, 0x06) & _STATUS_HAS_LIST:
        return found
    at = config[0x14 if header_type == 2 else 0x34] & ~3
    visited: set[int] = set()
    while at:
        if at in visited or at < 0x40 or at + 2 > len(config):
            problems.append(f"the capability list is broken: it leads to {at:#x}")
            break
        visited.add(at)
        identity = config[at]
        if identity == 0xFF:
            problems.append(f"the capability list is broken: nothing answers at {at:#x}")
            break
        found.append(Capability(identity, at, decoded=_decode(_PLAIN, identity, config, at)))
        at = config[at + 1] & ~3
    return found


def _walk_extended(config: bytes, problems: list[str]) -> list[Capability]:
    found: list[Capability] = []
    at = _EXTENDED_START
    visited: set[int] = set()
    while at:
        if at in visited or at < _EXTENDED_START or at + 4 > len(config):
            problems.append(f"the extended capability list is broken: it leads to {at:#x}")
            break
        visited.add(at)
        header = _u32(config, at)
        if header in (0, 0xFFFFFFFF):
            break
        identity = header & 0xFFFF
        decoded = _decode(_EXTENDED, identity, config, at)
        found.append(Capability(identity, at, True, header >> 16 & 0xF, decoded))
        at = header >> 20 & ~3
    return found


def _decode(
    table: dict[int, tuple[int, Callable[[bytes, int], Decoded]]], identity: int, config: bytes, at: int
) -> Decoded | None:
    length, decode = table.get(identity, (0, None))
    return decode(config, at) if decode is not None and at + length <= len(config) else None


def _power_management(config: bytes, at: int) -> PowerManagement:
    control = _u16(config, at + 4)
    return PowerManagement(("D0", "D1", "D2", "D3hot")[control & 3], bool(control & 8))


def _msi(config: bytes, at: int) -> Msi:
    control = _u16(config, at + 2)
    return Msi(1 << (control >> 1 & 7), bool(control & 1), bool(control & 0x80), bool(control & 0x100))


def _msix(config: bytes, at: int) -> MsiX:
    control, table, pba = _u16(config, at + 2), _u32(config, at + 4), _u32(config, at + 8)
    return MsiX((control & 0x7FF) + 1, bool(control & 0x8000), table & 7, table & ~7, pba & 7, pba & ~7)


def _pcie(config: bytes, at: int) -> Pcie:
    flags = _u16(config, at + 2)
    kind = flags >> 4 & 0xF
    # Bit 28 means function level reset for endpoints alone (PCIe 4.0 7.5.3.3).
    flr = bool(_u32(config, at + 4) & 1 << 28) if kind in (0, 1, 9) else None
    if kind in (9, 10):
        return Pcie(_PORT_TYPES[kind], flr)
    capability, status = _u32(config, at + 0x0C), _u16(config, at + 0x12)
    return Pcie(
        port_type=_PORT_TYPES.get(kind),
        flr=flr,
        max_speed=_SPEEDS.get(capability & 0xF),
        max_width=capability >> 4 & 0x3F,
        speed=_SPEEDS.get(status & 0xF),
        width=status >> 4 & 0x3F,
        slot=_u32(config, at + 0x14) >> 19 if flags & 0x100 else None,
    )


def _advanced_features(config: bytes, at: int) -> AdvancedFeatures:
    return AdvancedFeatures(bool(config[at + 3] & 2))


def _acs(config: bytes, at: int) -> Acs:
    return Acs(_u16(config, at + 4), _u16(config, at + 6))


def _serial(config: bytes, at: int) -> SerialNumber:
    raw = config[at + 4 : at + 12][::-1]
    return SerialNumber("-".join(f"{byte:02x}" for byte in raw))


def _sriov(config: bytes, at: int) -> Sriov:
    return Sriov(
        enabled=bool(_u16(config, at + 0x08) & 1),
        total_vfs=_u16(config, at + 0x0E),
        num_vfs=_u16(config, at + 0x10),
        first_offset=_u16(config, at + 0x14),
        stride=_u16(config, at + 0x16),
        vf_device=_u16(config, at + 0x1A),
        bars=_vf_bars(config, at + 0x24),
    )


def _vf_bars(config: bytes, at: int) -> tuple[Bar, ...]:
    bars = []
    index = 0
    while index < 6:
        low = _u32(config, at + 4 * index)
        wide = low & 0b111 == 0b100 and index < 5
        high = _u32(config, at + 4 * index + 4) if wide else 0
        if low or high:
            base = high << 32 | low & ~0xF
            bars.append(Bar(index, "mem", base or None, None, 64 if wide else 32, bool(low & 8)))
        index += 2 if wide else 1
    return tuple(bars)


# id -> (bytes it needs, decoder)
_PLAIN: dict[int, tuple[int, Callable[[bytes, int], Decoded]]] = {
    0x01: (8, _power_management),
    0x05: (4, _msi),
    0x10: (0x18, _pcie),
    0x11: (12, _msix),
    0x13: (6, _advanced_features),
}
_EXTENDED: dict[int, tuple[int, Callable[[bytes, int], Decoded]]] = {
    0x0003: (12, _serial),
    0x000D: (8, _acs),
    0x0010: (0x40, _sriov),
}


def _u16(data: bytes, at: int) -> int:
    return int(struct.unpack_from("<H", data, at)[0])


def _u32(data: bytes, at: int) -> int:
    return int(struct.unpack_from("<I", data, at)[0])
