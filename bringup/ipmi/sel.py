"""Entries of a BMC's system event log that say what befell its board (IPMI 2.0 chapter 32, table 42-3).

Of sixteen bytes a handful matter: which kind of sensor spoke, and what of. Only what explains a board that
stops or starts over has a `kind`; fans, doors and power that went as it was told to have none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

RECORD_BYTES = 16
FIRST, LAST = 0x0000, 0xFFFF
"""What stands for the first and the last entry of a log; the latter is also what follows the last one."""

Kind = Literal["watchdog", "power", "thermal", "memory", "processor", "bus", "button", "self-test", "restart"]

_SYSTEM_EVENT = 0x02
_DEASSERTED = 0x80
_THRESHOLD, _SENSOR_SPECIFIC = 0x01, 0x6F
_OFFSET_MASK = 0x0F

# By sensor type, then by offset: sensor-specific events.
_SPECIFIC: Mapping[int, Mapping[int, tuple[Kind, str]]] = {
    0x07: {
        0x0: ("processor", "processor: internal error (IERR)"),
        0x1: ("thermal", "processor: thermal trip"),
        0x2: ("self-test", "processor: failed its self-test"),
        0x3: ("self-test", "processor: hung in the self-test"),
        0x4: ("self-test", "processor: did not start"),
        0xB: ("processor", "processor: uncorrectable machine check"),
    },
    0x08: {
        0x1: ("power", "power supply: failed"),
        0x3: ("power", "power supply: its input was lost"),
        0x4: ("power", "power supply: its input was lost or out of range"),
        0x5: ("power", "power supply: its input is out of range"),
    },
    0x09: {
        0x2: ("power", "power unit: switched off by its 240 VA limit"),
        0x3: ("power", "power unit: switched off by an interlock"),
        0x4: ("power", "power unit: its input was lost"),
        0x5: ("power", "power unit: did not switch as it was asked to"),
        0x6: ("power", "power unit: failed"),
    },
    0x0C: {
        0x1: ("memory", "memory: uncorrectable ECC error"),
        0x2: ("memory", "memory: parity error"),
        0xA: ("thermal", "memory: too hot"),
    },
    0x0F: {0x0: ("self-test", "firmware: error in the self-test"), 0x1: ("self-test", "firmware: hangs")},
    0x11: {
        0x0: ("watchdog", "watchdog of the firmware: reset"),
        0x1: ("watchdog", "watchdog of the operating system: reset"),
        0x2: ("watchdog", "watchdog of the operating system: shut down"),
        0x3: ("watchdog", "watchdog of the operating system: power off"),
        0x4: ("watchdog", "watchdog of the operating system: power cycle"),
    },
    0x13: {
        0x4: ("bus", "PCI: parity error (PERR)"),
        0x5: ("bus", "PCI: system error (SERR)"),
        0x8: ("bus", "bus: uncorrectable error"),
        0xA: ("bus", "bus: fatal error"),
    },
    0x14: {0x0: ("button", "power button pressed"), 0x2: ("button", "reset button pressed")},
    0x1D: {
        0x1: ("restart", "restart: hard reset"),
        0x2: ("restart", "restart: warm reset"),
        0x5: ("restart", "restart: hard reset by software"),
        0x6: ("restart", "restart: warm reset by software"),
    },
    0x23: {
        0x1: ("watchdog", "watchdog: hard reset"),
        0x2: ("watchdog", "watchdog: power off"),
        0x3: ("watchdog", "watchdog: power cycle"),
    },
}
# Sensor types whose critical thresholds matter, and what passing one means.
_THRESHOLDS: Mapping[int, tuple[Kind, str]] = {
    0x01: ("thermal", "temperature: above its limit"),
    0x02: ("power", "voltage: outside of its limits"),
}
# Lower critical and lower non-recoverable going low; upper critical and upper non-recoverable going high.
_TOO_LOW, _TOO_HIGH = frozenset({0x2, 0x4}), frozenset({0x9, 0xB})
_TOO_COLD_IS_NO_FAULT = 0x01


@dataclass(frozen=True, slots=True)
class SelEntry:
    """One entry: its number in the log, and what it means where that is known."""

    number: int
    kind: Kind | None
    text: str


def decode_entry(record: bytes) -> SelEntry | None:
    """Return what an entry says, None for bytes that are none."""
    if len(record) < RECORD_BYTES:
        return None
    number = int.from_bytes(record[:2], "little")
    meaning = None
    if record[2] == _SYSTEM_EVENT and not record[12] & _DEASSERTED:
        meaning = _meaning(record[10], record[12], record[13] & _OFFSET_MASK)
    return SelEntry(number, None, "") if meaning is None else SelEntry(number, *meaning)


def _meaning(sensor: int, event_type: int, offset: int) -> tuple[Kind, str] | None:
    if event_type == _SENSOR_SPECIFIC:
        return _SPECIFIC.get(sensor, {}).get(offset)
    limits = _TOO_HIGH if sensor == _TOO_COLD_IS_NO_FAULT else _TOO_HIGH | _TOO_LOW
    return _THRESHOLDS.get(sensor) if event_type == _THRESHOLD and offset in limits else None
