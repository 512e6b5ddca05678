"""Commands of the BMC about itself: device, GUID, enables, watchdog (IPMI 2.0 chapters 20-22, 27)."""

from __future__ import annotations

from bringup.twin.bmc.request import Code, Command, NetFn, Privilege, RefusedError, Request, Shared, Table

MANUFACTURER = 10876  # SuperMicro's IANA enterprise number
PRODUCT = 0x0987  # this vendor answers with the board's PCI subsystem id
_DEVICE_ID, _DEVICE_REVISION = 0x20, 0x01
_FIRMWARE_MAJOR, _FIRMWARE_MINOR_BCD = 0x01, 0x74
_IPMI_2_0 = 0x02
_SUPPORTS = 0x80 | 0x04 | 0x02 | 0x01  # chassis, SEL, SDR repository, sensors
_SELF_TEST_PASSED = b"\x55\x00"

_TIMER_RUNNING, _DO_NOT_STOP = 0x40, 0x40
_NOT_INITIALISED = 0x80


def _device_id(_request: Request, _bmc: Shared) -> bytes:
    head = bytes([_DEVICE_ID, _DEVICE_REVISION, _FIRMWARE_MAJOR, _FIRMWARE_MINOR_BCD, _IPMI_2_0, _SUPPORTS])
    return head + MANUFACTURER.to_bytes(3, "little") + PRODUCT.to_bytes(2, "little") + bytes([0x13, 0, 0, 0])


def _cold_reset(_request: Request, bmc: Shared) -> bytes:
    for session in bmc.sessions():
        session.close()
    return b""


def _self_test(_request: Request, _bmc: Shared) -> bytes:
    return _SELF_TEST_PASSED


def _acpi_state(_request: Request, bmc: Shared) -> bytes:
    return bytes([0x00 if bmc.chassis.is_on() else 0x05, 0x00])  # S0/G0 or S5/G2; device power D0


def _guid(_request: Request, bmc: Shared) -> bytes:
    return bmc.state.guid.bytes_le  # the byte order of SMBIOS, as boards of this kind answer


def _accept(_request: Request, _bmc: Shared) -> bytes:
    return b""


def _set_global_enables(request: Request, bmc: Shared) -> bytes:
    bmc.state.global_enables = request.data[0]
    return b""


def _global_enables(_request: Request, bmc: Shared) -> bytes:
    return bytes([bmc.state.global_enables])


def _message_flags(_request: Request, _bmc: Shared) -> bytes:
    return b"\x00"


def _no_message(_request: Request, _bmc: Shared) -> bytes:
    raise RefusedError(0x80)  # 22.6: data not available, the queue is empty


def _reset_watchdog(_request: Request, bmc: Shared) -> bytes:
    state = bmc.state
    with state.lock:
        if not state.watchdog.configured:
            raise RefusedError(_NOT_INITIALISED)
        state.watchdog.start(state.now())
    return b""


def _set_watchdog(request: Request, bmc: Shared) -> bytes:
    use, action, pre_timeout, clear, low, high = request.data[:6]
    state = bmc.state
    with state.lock:
        timer = state.watchdog
        running = timer.expires_at is not None
        timer.use, timer.action, timer.pre_timeout_s = use & 0x87, action & 0x77, pre_timeout
        timer.expired_uses &= ~clear
        timer.initial_count = low | high << 8
        timer.configured = True
        timer.expires_at = None
        if running and use & _DO_NOT_STOP:
            timer.start(state.now())
    return b""


def _watchdog(_request: Request, bmc: Shared) -> bytes:
    state = bmc.state
    with state.lock:
        timer = state.watchdog
        use = timer.use | (_TIMER_RUNNING if timer.expires_at is not None else 0)
        head = bytes([use, timer.action, timer.pre_timeout_s, timer.expired_uses & 0xFF])
        counts = timer.initial_count.to_bytes(2, "little")
        return head + counts + timer.present_count(state.now()).to_bytes(2, "little")


def _lan_mode(request: Request, bmc: Shared) -> bytes:
    """Read or set which port the BMC listens on: 0 dedicated, 1 shared, 2 failover (vendor command)."""
    if request.data[0] != 0x0C:
        raise RefusedError(Code.INVALID_COMMAND)
    if request.data[1] == 0:
        return bytes([bmc.state.lan_mode])
    if len(request.data) < 3 or request.data[2] > 2:
        raise RefusedError(Code.INVALID_FIELD)
    with bmc.state.changing() as state:
        state.lan_mode = request.data[2]
    return b""


TABLE: Table = {
    (NetFn.APP, 0x01): Command(_device_id, Privilege.USER),
    (NetFn.APP, 0x02): Command(_cold_reset, Privilege.ADMINISTRATOR),
    (NetFn.APP, 0x03): Command(_accept, Privilege.ADMINISTRATOR),  # warm reset keeps sessions
    (NetFn.APP, 0x04): Command(_self_test, Privilege.USER),
    (NetFn.APP, 0x06): Command(_accept, Privilege.ADMINISTRATOR, minimum=2),
    (NetFn.APP, 0x07): Command(_acpi_state, Privilege.USER),
    (NetFn.APP, 0x08): Command(_guid, Privilege.USER),
    (NetFn.APP, 0x22): Command(_reset_watchdog, Privilege.OPERATOR),
    (NetFn.APP, 0x24): Command(_set_watchdog, Privilege.OPERATOR, minimum=6),
    (NetFn.APP, 0x25): Command(_watchdog, Privilege.USER),
    (NetFn.APP, 0x2E): Command(_set_global_enables, Privilege.ADMINISTRATOR, minimum=1),
    (NetFn.APP, 0x2F): Command(_global_enables, Privilege.USER),
    (NetFn.APP, 0x30): Command(_accept, Privilege.ADMINISTRATOR, minimum=1),
    (NetFn.APP, 0x31): Command(_message_flags, Privilege.ADMINISTRATOR),
    (NetFn.APP, 0x33): Command(_no_message, Privilege.ADMINISTRATOR),
    (NetFn.APP, 0x37): Command(_guid, Privilege.NONE),
    (NetFn.OEM_SUPERMICRO, 0x70): Command(_lan_mode, Privilege.ADMINISTRATOR, minimum=2),
}
