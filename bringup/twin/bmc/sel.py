"""The system event log of a BMC (IPMI 2.0 chapters 31 and 32): sixteen-byte records, pure data."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

CAPACITY = 512
RECORD_SIZE = 16
FIRST_ID, LAST_ID = 0x0000, 0xFFFF
_SYSTEM_EVENT = 0x02
_BMC_GENERATOR = b"\x20\x00"
_EVENT_MESSAGE_REVISION = 0x04
_SENSOR_SPECIFIC = 0x6F


class SensorType(IntEnum):
    """Sensor types the BMC itself logs about (table 42-3)."""

    SYSTEM_BOOT = 0x1D
    ACPI_POWER_STATE = 0x22
    WATCHDOG = 0x23


def event_record(sensor_type: int, offset: int, *, at_s: float) -> bytes:
    """Return a record of type 02h: a sensor-specific event was asserted. Adding it gives it its number."""
    head = bytes(2) + bytes([_SYSTEM_EVENT]) + int(at_s).to_bytes(4, "little") + _BMC_GENERATOR
    return head + bytes([_EVENT_MESSAGE_REVISION, sensor_type, 0, _SENSOR_SPECIFIC, offset, 0xFF, 0xFF])


@dataclass
class Sel:
    """Records in the order they came; a full log refuses new ones and remembers that it did."""

    records: list[bytes] = field(default_factory=list)
    overflowed: bool = False
    added_at_s: int = 0
    erased_at_s: int = 0
    reservation: int = 0
    next_id: int = 1

    def add(self, record: bytes, at_s: float) -> int | None:
        """Append a 16-byte record under the next free number and return it; None when the log is full."""
        if len(self.records) >= CAPACITY:
            self.overflowed = True
            return None
        number = self.next_id
        self.next_id = number + 1 if number + 1 < LAST_ID else 1
        self.records.append(number.to_bytes(2, "little") + record[2:RECORD_SIZE])
        self.added_at_s = int(at_s)
        return number

    def find(self, number: int) -> int | None:
        """Return the position of a record; 0 names the first one and 0xFFFF the last one."""
        if not self.records:
            return None
        if number in (FIRST_ID, LAST_ID):
            return 0 if number == FIRST_ID else len(self.records) - 1
        wanted = number.to_bytes(2, "little")
        return next((i for i, record in enumerate(self.records) if record[:2] == wanted), None)

    def id_after(self, position: int) -> int:
        """Return the number of the record that follows, 0xFFFF after the last."""
        if position + 1 >= len(self.records):
            return LAST_ID
        return int.from_bytes(self.records[position + 1][:2], "little")

    def reserve(self) -> int:
        """Return a new reservation; older ones are cancelled."""
        self.reservation = self.reservation % LAST_ID + 1
        return self.reservation

    def delete(self, position: int, at_s: float) -> int:
        """Remove one record and return its number."""
        record = self.records.pop(position)
        self.erased_at_s = int(at_s)
        self.reservation = 0
        return int.from_bytes(record[:2], "little")

    def clear(self, at_s: float) -> None:
        """Remove every record."""
        self.records.clear()
        self.overflowed = False
        self.erased_at_s = int(at_s)
        self.reservation = 0
