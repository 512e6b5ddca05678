"""Sensors of the virtual board, their records and commands (IPMI 2.0 chapters 33, 35 and 43)."""

from __future__ import annotations

from dataclasses import dataclass

from bringup.twin.bmc.request import Code, Command, NetFn, Privilege, RefusedError, Request, Shared, Table

_SDR_VERSION = 0x51
_FULL_SENSOR, _MC_LOCATOR = 0x01, 0x12
_BMC_ADDRESS = 0x20
_TEMPERATURE, _VOLTAGE, _FAN = 0x01, 0x02, 0x04
_DEGREES_C, _VOLTS, _RPM = 1, 4, 18
_THRESHOLD_EVENTS = 0x01
_READABLE_THRESHOLDS_NO_EVENTS = 0x47
_ALL_THRESHOLDS = 0x3F
_SCANNING, _UNAVAILABLE = 0xC0, 0x20
_LAST_RECORD = 0xFFFF


@dataclass(frozen=True, slots=True)
class Sensor:
    """A threshold sensor. Raw values r stand for `r * factor * 10**exponent` in its unit (36.3).

    `thresholds` are raw values: lower non-recoverable, critical, non-critical; upper the same order outwards
    (non-critical, critical, non-recoverable). A sensor on standby power reads while the board is off.
    """

    number: int
    name: str
    kind: int
    unit: int
    entity: int
    raw: int
    thresholds: tuple[int, int, int, int, int, int]
    factor: int = 1
    exponent: int = 0
    standby: bool = False

    def record(self, number: int) -> bytes:
        """Return the full sensor record, type 01h (43.1)."""
        lnr, lc, lnc, unc, uc, unr = self.thresholds
        body = bytes([_BMC_ADDRESS, 0, self.number, self.entity, 1, 0x7F, _READABLE_THRESHOLDS_NO_EVENTS])
        body += bytes([self.kind, _THRESHOLD_EVENTS, 0, 0, 0, 0, _ALL_THRESHOLDS, 0])
        body += bytes([0, self.unit, 0, 0])  # unsigned, base unit, no modifier, linear
        body += bytes([self.factor, 0, 0, 0, 0, (self.exponent & 0x0F) << 4])
        body += bytes([0x07, self.raw, unc, lnc, 0xFF, 0x00, unr, uc, unc, lnr, lc, lnc, 0, 0, 0, 0, 0])
        return _record(number, _FULL_SENSOR, body, self.name)

    def reading(self, on: bool) -> bytes:
        """Return what Get Sensor Reading answers (35.14)."""
        if not (on or self.standby):
            return bytes([0, _SCANNING | _UNAVAILABLE, 0xC0])
        lnr, lc, lnc, unc, uc, unr = self.thresholds
        low = (self.raw <= lnc) | (self.raw <= lc) << 1 | (self.raw <= lnr) << 2
        high = (self.raw >= unc) << 3 | (self.raw >= uc) << 4 | (self.raw >= unr) << 5
        return bytes([self.raw, _SCANNING, 0xC0 | low | high])


def _record(number: int, kind: int, body: bytes, name: str) -> bytes:
    body += bytes([0xC0 | len(name)]) + name.encode("ascii")
    return number.to_bytes(2, "little") + bytes([_SDR_VERSION, kind, len(body)]) + body


SENSORS = (
    Sensor(1, "CPU Temp", _TEMPERATURE, _DEGREES_C, 3, 47, (5, 5, 10, 85, 90, 95)),
    Sensor(2, "System Temp", _TEMPERATURE, _DEGREES_C, 7, 34, (5, 5, 10, 80, 85, 90), standby=True),
    Sensor(10, "12V", _VOLTAGE, _VOLTS, 20, 200, (169, 173, 177, 220, 224, 228), factor=6, exponent=-2),
    Sensor(11, "5VCC", _VOLTAGE, _VOLTS, 20, 167, (142, 145, 148, 184, 187, 190), factor=3, exponent=-2),
    Sensor(20, "FAN1", _FAN, _RPM, 29, 52, (3, 5, 7, 253, 254, 255), factor=1, exponent=2),
    Sensor(21, "FAN2", _FAN, _RPM, 29, 51, (3, 5, 7, 253, 254, 255), factor=1, exponent=2),
)
_BY_NUMBER = {sensor.number: sensor for sensor in SENSORS}


def _repository() -> tuple[bytes, ...]:
    # 43.9: address, channel, no power state notification, capabilities as in Get Device ID, entity 6.1.
    locator = bytes([_BMC_ADDRESS, 0, 0, 0x87, 0, 0, 0, 6, 1, 0])
    records = [sensor.record(number) for number, sensor in enumerate(SENSORS, start=1)]
    return (*records, _record(len(records) + 1, _MC_LOCATOR, locator, "BMC"))


REPOSITORY = _repository()


def _sensor(request: Request) -> Sensor:
    sensor = _BY_NUMBER.get(request.data[0])
    if sensor is None:
        raise RefusedError(Code.NOT_PRESENT)
    return sensor


def _reading(request: Request, bmc: Shared) -> bytes:
    return _sensor(request).reading(bmc.chassis.is_on())


def _thresholds(request: Request, _bmc: Shared) -> bytes:
    lnr, lc, lnc, unc, uc, unr = _sensor(request).thresholds
    return bytes([_ALL_THRESHOLDS, lnc, lc, lnr, unc, uc, unr])


def _hysteresis(request: Request, _bmc: Shared) -> bytes:
    _sensor(request)
    return bytes(2)


def _factors(request: Request, _bmc: Shared) -> bytes:
    sensor = _sensor(request)
    return bytes([0, sensor.factor, 0, 0, 0, 0, (sensor.exponent & 0x0F) << 4])


def _event_enable(request: Request, _bmc: Shared) -> bytes:
    _sensor(request)
    return bytes([_SCANNING, 0, 0, 0, 0])


def _type(request: Request, _bmc: Shared) -> bytes:
    return bytes([_sensor(request).kind, _THRESHOLD_EVENTS])


def _repository_info(_request: Request, _bmc: Shared) -> bytes:
    # Free space 0, never changed since it was made, reservation supported.
    return bytes([_SDR_VERSION]) + len(REPOSITORY).to_bytes(2, "little") + bytes(10) + b"\x02"


def _reserve(_request: Request, bmc: Shared) -> bytes:
    with bmc.state.lock:
        bmc.state.sdr_reservation = bmc.state.sdr_reservation % 0xFFFF + 1
        return bmc.state.sdr_reservation.to_bytes(2, "little")


def _get_record(request: Request, bmc: Shared) -> bytes:
    reservation = int.from_bytes(request.data[:2], "little")
    number = int.from_bytes(request.data[2:4], "little")
    offset, count = request.data[4], request.data[5]
    if offset and reservation != bmc.state.sdr_reservation:
        raise RefusedError(Code.RESERVATION_CANCELED)
    position = {0: 0, _LAST_RECORD: len(REPOSITORY) - 1}.get(number, number - 1)
    if not 0 <= position < len(REPOSITORY):
        raise RefusedError(Code.NOT_PRESENT)
    record = REPOSITORY[position]
    if offset >= len(record):
        raise RefusedError(Code.OUT_OF_RANGE)
    following = position + 2 if position + 1 < len(REPOSITORY) else _LAST_RECORD
    return following.to_bytes(2, "little") + record[offset : offset + count]


TABLE: Table = {
    (NetFn.SENSOR, 0x23): Command(_factors, Privilege.USER, minimum=1),
    (NetFn.SENSOR, 0x25): Command(_hysteresis, Privilege.USER, minimum=1),
    (NetFn.SENSOR, 0x27): Command(_thresholds, Privilege.USER, minimum=1),
    (NetFn.SENSOR, 0x29): Command(_event_enable, Privilege.USER, minimum=1),
    (NetFn.SENSOR, 0x2B): Command(_event_enable, Privilege.USER, minimum=1),
    (NetFn.SENSOR, 0x2D): Command(_reading, Privilege.USER, minimum=1),
    (NetFn.SENSOR, 0x2F): Command(_type, Privilege.USER, minimum=1),
    (NetFn.STORAGE, 0x20): Command(_repository_info, Privilege.USER),
    (NetFn.STORAGE, 0x22): Command(_reserve, Privilege.USER),
    (NetFn.STORAGE, 0x23): Command(_get_record, Privilege.USER, minimum=6),
}
