"""What config space bytes say, all but sizes (PCI 3.0 chapter 6, PCI-to-PCI Bridge 1.2 chapter 3).

A function that is off reads as ones, an unprivileged reader gets 64 bytes without capabilities: both are
reported as such, never filled up with zeros.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from bringup.pci.config.capabilities import read_capabilities
from bringup.pci.model import INTX_PINS, Bar, Bdf, Bridge, Capability, Function, PowerManagement, Rom, Window

HEADER_BYTES = 64
CONFIG_BYTES_MAX = 4096
_BAR_SLOTS = {0: 6, 1: 2, 2: 1}
_SUBSYSTEM_ID = 0x0D
_ROM_AT = {0: 0x30, 1: 0x38}


def decode_config(bdf: Bdf, config: bytes, source: str) -> Function:
    """Return a function as its config space shows it; `source` becomes the provenance of every field.

    Broken bytes become sentences in `problems`; nothing is raised, and every walk ends.
    """
    config = config[:CONFIG_BYTES_MAX]
    bare = Function(bdf, config_bytes=len(config), provenance={"config_bytes": source})
    if len(config) < HEADER_BYTES:
        return replace(bare, problems=(f"config space of {len(config)} bytes: the header has 64",))
    if config.count(0xFF) == len(config):
        return replace(bare, problems=("config space reads as ones: the function is off or not there",))
    problems: list[str] = []
    values = {"config_bytes": len(config), **_header(config)}
    kind = int(values["header_type"])
    values["bars"] = _bars(config, _BAR_SLOTS.get(kind, 0), problems)
    if kind in _ROM_AT:
        values["rom"] = _rom(_u32(config, _ROM_AT[kind]))
    if kind == 0:
        values["subsystem"] = (_u16(config, 0x2C), _u16(config, 0x2E))
    elif kind == 1:
        values["bridge"] = _bridge(config)
    elif kind == 2:
        values["bridge"] = Bridge(config[0x18], config[0x19], config[0x1A])
    else:
        problems.append(f"header type {kind:#x} is not known")
    # 64 bytes are what Linux shows without privilege: no word on capabilities then.
    if len(config) > HEADER_BYTES:
        values["capabilities"] = read_capabilities(config, kind, problems)
        if kind == 1 and (subsystem := _bridge_subsystem(config, values["capabilities"])):
            values["subsystem"] = subsystem
    function = Function(bdf, **values, problems=tuple(problems), provenance=dict.fromkeys(values, source))
    power = function.capability(PowerManagement)
    if power is None or power.state is None:
        return function
    return replace(
        function, power_state=power.state, provenance={**function.provenance, "power_state": source}
    )


def _header(config: bytes) -> dict[str, Any]:
    pin = config[0x3D]
    return {
        "vendor": _u16(config, 0x00),
        "device": _u16(config, 0x02),
        "command": _u16(config, 0x04),
        "status": _u16(config, 0x06),
        "revision": config[0x08],
        "prog_if": config[0x09],
        "class_code": _u16(config, 0x0A),
        "header_type": config[0x0E] & 0x7F,
        "multifunction": bool(config[0x0E] & 0x80),
        "interrupt_line": config[0x3C],
        "intx_pin": INTX_PINS[pin - 1] if 1 <= pin <= 4 else None,
    }


def _bars(config: bytes, slots: int, problems: list[str]) -> tuple[Bar, ...]:
    bars = []
    index = 0
    while index < slots:
        low = _u32(config, 0x10 + 4 * index)
        wide = low & 0b111 == 0b100
        if wide and index + 1 == slots:
            problems.append(f"BAR {index} is 64 bits wide and there is no register for its upper half")
        high = _u32(config, 0x14 + 4 * index) if wide and index + 1 < slots else 0
        if low or high:
            bars.append(_bar(index, low, high))
        index += 2 if wide else 1
    return tuple(bars)


def _bar(index: int, low: int, high: int) -> Bar:
    if low & 1:
        # x86 has 16 bits of ports; some devices show rubbish above (acrn-hypervisor#8372).
        return Bar(index, "io", low & 0xFFFC or None)
    width = {0b00: 32, 0b01: 20, 0b10: 64}.get(low >> 1 & 0b11, 32)
    return Bar(index, "mem", (high << 32 | low & ~0xF) or None, None, width, bool(low & 8))


def _rom(register: int) -> Rom | None:
    if not register:
        return None
    return Rom(register & 0xFFFFF800 or None, enabled=bool(register & 1))


def _bridge(config: bytes) -> Bridge:
    windows = (_io_window(config), _memory_window(config), _prefetchable_window(config))
    opened = tuple(window for window in windows if window is not None and window.base <= window.limit)
    return Bridge(config[0x18], config[0x19], config[0x1A], opened)


def _bridge_subsystem(config: bytes, capabilities: Iterable[Capability]) -> tuple[int, int] | None:
    """Return a bridge's subsystem, which is a capability, not registers (PCI-to-PCI Bridge 1.2, 3.2.5.13)."""
    for capability in capabilities:
        at = capability.offset or len(config)
        if capability.id == _SUBSYSTEM_ID and not capability.extended and at + 8 <= len(config):
            return _u16(config, at + 4), _u16(config, at + 6)
    return None


def _io_window(config: bytes) -> Window | None:
    base, limit = config[0x1C], config[0x1D]
    # A bridge without I/O window reads both as zero (PCI-to-PCI Bridge 1.2, 3.2.5.6).
    if not base and not limit:
        return None
    upper = (_u16(config, 0x30) << 16, _u16(config, 0x32) << 16) if base & 0xF == 1 else (0, 0)
    return Window("io", upper[0] | (base & 0xF0) << 8, upper[1] | (limit & 0xF0) << 8 | 0xFFF)


def _memory_window(config: bytes) -> Window | None:
    base, limit = _u16(config, 0x20), _u16(config, 0x22)
    if not base and not limit:
        return None
    return Window("mem", (base & 0xFFF0) << 16, (limit & 0xFFF0) << 16 | 0xFFFFF)


def _prefetchable_window(config: bytes) -> Window | None:
    base, limit = _u16(config, 0x24), _u16(config, 0x26)
    if not base and not limit:
        return None
    upper = (_u32(config, 0x28) << 32, _u32(config, 0x2C) << 32) if base & 0xF == 1 else (0, 0)
    return Window(
        "prefetchable", upper[0] | (base & 0xFFF0) << 16, upper[1] | (limit & 0xFFF0) << 16 | 0xFFFFF
    )


def _u16(data: bytes, at: int) -> int:
    return int(struct.unpack_from("<H", data, at)[0])


def _u32(data: bytes, at: int) -> int:
    return int(struct.unpack_from("<I", data, at)[0])
