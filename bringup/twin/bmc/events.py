"""SEL commands of the BMC (IPMI 2.0 chapter 31)."""

from __future__ import annotations

from bringup.twin.bmc.request import Code, Command, NetFn, Privilege, RefusedError, Request, Shared, Table
from bringup.twin.bmc.sel import CAPACITY, RECORD_SIZE, Sel

_VERSION = 0x51
_SUPPORTS_RESERVE_AND_DELETE = 0x0A
_OVERFLOW = 0x80
_ERASE, _ERASE_STATUS = 0xAA, 0x00
_ERASED = 0x01
_OUT_OF_SPACE = 0xC4


def _info(_request: Request, bmc: Shared) -> bytes:
    with bmc.state.lock:
        sel = bmc.state.sel
        free = (CAPACITY - len(sel.records)) * RECORD_SIZE
        flags = _SUPPORTS_RESERVE_AND_DELETE | (_OVERFLOW if sel.overflowed else 0)
        counts = len(sel.records).to_bytes(2, "little") + free.to_bytes(2, "little")
        times = sel.added_at_s.to_bytes(4, "little") + sel.erased_at_s.to_bytes(4, "little")
        return bytes([_VERSION]) + counts + times + bytes([flags])


def _reserve(_request: Request, bmc: Shared) -> bytes:
    with bmc.state.lock:
        return bmc.state.sel.reserve().to_bytes(2, "little")


def _position(sel: Sel, raw: bytes) -> int:
    position = sel.find(int.from_bytes(raw, "little"))
    if position is None:
        raise RefusedError(Code.NOT_PRESENT)
    return position


def _check_reservation(sel: Sel, raw: bytes) -> None:
    if int.from_bytes(raw, "little") != sel.reservation or not sel.reservation:
        raise RefusedError(Code.RESERVATION_CANCELED)


def _get(request: Request, bmc: Shared) -> bytes:
    offset, count = request.data[4], request.data[5]
    with bmc.state.lock:
        sel = bmc.state.sel
        if offset:
            _check_reservation(sel, request.data[:2])
        position = _position(sel, request.data[2:4])
        part = sel.records[position][offset : offset + count]
        if not part:
            raise RefusedError(Code.OUT_OF_RANGE)
        return sel.id_after(position).to_bytes(2, "little") + part


def _add(request: Request, bmc: Shared) -> bytes:
    with bmc.state.changing() as state:
        record = request.data[:RECORD_SIZE]
        if record[2] == 0x02:  # a system event gets the BMC's own time (32.1)
            record = record[:3] + int(state.now()).to_bytes(4, "little") + record[7:]
        number = state.sel.add(record, state.now())
    if number is None:
        raise RefusedError(_OUT_OF_SPACE)
    return number.to_bytes(2, "little")


def _delete(request: Request, bmc: Shared) -> bytes:
    with bmc.state.changing() as state:
        _check_reservation(state.sel, request.data[:2])
        return state.sel.delete(_position(state.sel, request.data[2:4]), state.now()).to_bytes(2, "little")


def _clear(request: Request, bmc: Shared) -> bytes:
    action = request.data[5]
    if request.data[2:5] != b"CLR" or action not in (_ERASE, _ERASE_STATUS):
        raise RefusedError(Code.INVALID_FIELD)
    with bmc.state.changing() as state:
        _check_reservation(state.sel, request.data[:2])
        if action == _ERASE:
            state.sel.clear(state.now())
    return bytes([_ERASED])


def _time(_request: Request, bmc: Shared) -> bytes:
    return int(bmc.state.now()).to_bytes(4, "little")


def _set_time(_request: Request, _bmc: Shared) -> bytes:
    return b""  # accepted and ignored: this BMC's clock is the host's


def _time_offset(_request: Request, _bmc: Shared) -> bytes:
    return b"\x00\x00"  # UTC


TABLE: Table = {
    (NetFn.STORAGE, 0x40): Command(_info, Privilege.USER),
    (NetFn.STORAGE, 0x42): Command(_reserve, Privilege.USER),
    (NetFn.STORAGE, 0x43): Command(_get, Privilege.USER, minimum=6),
    (NetFn.STORAGE, 0x44): Command(_add, Privilege.OPERATOR, minimum=RECORD_SIZE),
    (NetFn.STORAGE, 0x46): Command(_delete, Privilege.OPERATOR, minimum=4),
    (NetFn.STORAGE, 0x47): Command(_clear, Privilege.OPERATOR, minimum=6),
    (NetFn.STORAGE, 0x48): Command(_time, Privilege.USER),
    (NetFn.STORAGE, 0x49): Command(_set_time, Privilege.OPERATOR, minimum=4),
    (NetFn.STORAGE, 0x5C): Command(_time_offset, Privilege.USER),
}
