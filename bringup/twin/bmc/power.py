"""Chassis commands of the BMC: status, control, identify, boot options (IPMI 2.0 chapter 28)."""

from __future__ import annotations

from bringup.twin.bmc.boot import BootOptions
from bringup.twin.bmc.request import Code, Command, NetFn, Privilege, RefusedError, Request, Shared, Table

DOWN, UP, CYCLE, RESET, DIAGNOSTIC, SOFT = range(6)
_NEEDS_POWER = (CYCLE, RESET)
_IDENTIFY_DEFAULT_S, _FOREVER_S = 15, 10**9
_IDENTIFY_SUPPORTED, _IDENTIFY_TIMED, _IDENTIFY_FOREVER = 0x40, 0x10, 0x20
_POWER_ON_BY_COMMAND = 0x10
_CAUSE_CHASSIS_CONTROL = 0x01
_ALL_POLICIES = 0x07
_NO_CHANGE = 0x03


def _capabilities(_request: Request, _bmc: Shared) -> bytes:
    return bytes([0x00, 0x20, 0x20, 0x20, 0x20])  # FRU, SDR, SEL and system management all at address 20h


def _status(_request: Request, bmc: Shared) -> bytes:
    on = bmc.chassis.is_on()
    with bmc.state.lock:
        state = bmc.state
        left = state.identify_until - state.now()
        forever = left > _FOREVER_S / 2
        identify = _IDENTIFY_FOREVER if forever else _IDENTIFY_TIMED if left > 0 else 0
        power = int(on) | state.power_restore_policy << 5
        return bytes([power, state.last_power_event, _IDENTIFY_SUPPORTED | identify, 0x00])


def _control(request: Request, bmc: Shared) -> bytes:
    action = request.data[0] & 0x0F
    chassis = bmc.chassis
    actions = {
        DOWN: chassis.power_off,
        UP: chassis.power_on,
        CYCLE: chassis.power_cycle,
        RESET: chassis.reset,
        DIAGNOSTIC: chassis.pulse_diag,
        SOFT: chassis.soft_off,
    }
    if action not in actions:
        raise RefusedError(Code.INVALID_FIELD)
    if action in _NEEDS_POWER and not chassis.is_on():
        raise RefusedError(Code.NOT_IN_PRESENT_STATE)
    with bmc.state.changing() as state:
        state.boot.chassis_control(state.now())
        if action in (UP, CYCLE, RESET):
            state.restart_cause = _CAUSE_CHASSIS_CONTROL
            state.last_power_event = _POWER_ON_BY_COMMAND
    # Outside the lock: a chassis that is just powering on asks for the boot flags, which need it.
    actions[action]()
    return b""


def _identify(request: Request, bmc: Shared) -> bytes:
    seconds = request.data[0] if request.data else _IDENTIFY_DEFAULT_S
    if len(request.data) > 1 and request.data[1] & 0x01:
        seconds = _FOREVER_S
    with bmc.state.lock:
        bmc.state.identify_until = bmc.state.now() + seconds
    return b""


def _set_restore_policy(request: Request, bmc: Shared) -> bytes:
    policy = request.data[0] & 0x07
    if policy > _NO_CHANGE:
        raise RefusedError(Code.INVALID_FIELD)
    if policy != _NO_CHANGE:
        with bmc.state.changing() as state:
            state.power_restore_policy = policy
    return bytes([_ALL_POLICIES])


def _restart_cause(_request: Request, bmc: Shared) -> bytes:
    return bytes([bmc.state.restart_cause, 0x01])


def _set_boot_options(request: Request, bmc: Shared) -> bytes:
    parameter, value = request.data[0] & 0x7F, request.data[1:]
    if not BootOptions.known(parameter):
        raise RefusedError(Code.PARAMETER_NOT_SUPPORTED)
    if not value:
        return b""  # only the "parameter valid" bit was written; every parameter here always is
    with bmc.state.changing() as state:
        if not state.boot.set(parameter, value, state.now()):
            raise RefusedError(Code.LENGTH_INVALID)
    return b""


def _boot_options(request: Request, bmc: Shared) -> bytes:
    with bmc.state.lock:
        answer = bmc.state.boot.get(request.data[0] & 0x7F, bmc.state.now())
    if answer is None:
        raise RefusedError(Code.PARAMETER_NOT_SUPPORTED)
    return answer


TABLE: Table = {
    (NetFn.CHASSIS, 0x00): Command(_capabilities, Privilege.USER),
    (NetFn.CHASSIS, 0x01): Command(_status, Privilege.USER),
    (NetFn.CHASSIS, 0x02): Command(_control, Privilege.OPERATOR, minimum=1),
    (NetFn.CHASSIS, 0x04): Command(_identify, Privilege.OPERATOR),
    (NetFn.CHASSIS, 0x06): Command(_set_restore_policy, Privilege.OPERATOR, minimum=1),
    (NetFn.CHASSIS, 0x07): Command(_restart_cause, Privilege.USER),
    (NetFn.CHASSIS, 0x08): Command(_set_boot_options, Privilege.OPERATOR, minimum=1),
    (NetFn.CHASSIS, 0x09): Command(_boot_options, Privilege.OPERATOR, minimum=3),
}
