"""Channels, users, sessions and the SOL payload: who may reach the BMC (IPMI 2.0 chapters 22 and 24)."""

from __future__ import annotations

import socket

from bringup.twin.bmc.request import (
    LAN_CHANNEL,
    MAX_USERS,
    PRESENT_CHANNEL,
    SYSTEM_CHANNEL,
    BmcSession,
    Code,
    Command,
    NetFn,
    Privilege,
    RefusedError,
    Request,
    Shared,
    Table,
    require_lan_channel,
)

# Cipher suite -> authentication, integrity, confidentiality algorithm (table 22-20).
SUITES = {3: (1, 1, 1), 17: (3, 4, 1)}
SOL_PAYLOAD = 1
SOL_PAYLOAD_SIZE = 200
_RECORD_SLICE = 16
_IPMI_2_0_ONLY_AUTH_TYPE, _NON_NULL_NAMES, _IPMI_2_0 = 0x80, 0x04, 0x02

_PAYLOAD_ACTIVE, _PAYLOAD_DISABLED, _PAYLOAD_LIMIT = 0x80, 0x81, 0x82
_PAYLOAD_INACTIVE = 0x80
_LEVEL_EXCEEDS_LIMIT = 0x81
_INVALID_SESSION = 0x87


def _auth_capabilities(request: Request, _bmc: Shared) -> bytes:
    channel = require_lan_channel(request.data[0], request)
    return bytes([channel, _IPMI_2_0_ONLY_AUTH_TYPE, _NON_NULL_NAMES, _IPMI_2_0, 0, 0, 0, 0])


def cipher_suite_records(suites: tuple[int, ...] | list[int]) -> bytes:
    """Return the records of table 22-18 for standard suites, in rising order."""
    records = (
        bytes([0xC0, suite, SUITES[suite][0], 0x40 | SUITES[suite][1], 0x80 | SUITES[suite][2]])
        for suite in sorted(suites)
    )
    return b"".join(records)


def _cipher_suites(request: Request, bmc: Shared) -> bytes:
    channel = require_lan_channel(request.data[0], request)
    index = request.data[2] & 0x3F
    records = cipher_suite_records(list(bmc.suites))
    return bytes([channel]) + records[index * _RECORD_SLICE : (index + 1) * _RECORD_SLICE]


def _session_of(request: Request) -> BmcSession:
    if request.session is None:  # the board's own interface has no sessions
        raise RefusedError(Code.NOT_IN_PRESENT_STATE)
    return request.session


def _set_privilege(request: Request, _bmc: Shared) -> bytes:
    session, wanted = _session_of(request), request.data[0] & 0x0F
    if wanted:
        if wanted > Privilege.ADMINISTRATOR or wanted < Privilege.USER:
            raise RefusedError(Code.INVALID_FIELD)
        if wanted > session.max_privilege:
            raise RefusedError(_LEVEL_EXCEEDS_LIMIT)
        session.privilege = Privilege(wanted)
    return bytes([session.privilege])


def _close_session(request: Request, bmc: Shared) -> bytes:
    closing = next((s for s in bmc.sessions() if s.managed_id == request.data[:4]), None)
    if closing is None:
        raise RefusedError(_INVALID_SESSION)
    if closing is not request.session and request.privilege < Privilege.ADMINISTRATOR:
        raise RefusedError(Code.INSUFFICIENT_PRIVILEGE)
    closing.close()
    return b""


def _session_info(request: Request, bmc: Shared) -> bytes:
    sessions = list(bmc.sessions())
    index = request.data[0]
    if index == 0 and request.session is not None:
        index = sessions.index(request.session) + 1
    counts = bytes([0x3F, len(sessions)])
    if not 1 <= index <= len(sessions):
        return bytes([0]) + counts
    session = sessions[index - 1]
    user = list(bmc.users).index(session.username) + 2
    address, port = session.sockaddr
    where = socket.inet_aton(address) + bytes(6) + port.to_bytes(2, "little")
    return bytes([index]) + counts + bytes([user, session.privilege, 0x10 | LAN_CHANNEL]) + where


def _channel_access(request: Request, _bmc: Shared) -> bytes:
    require_lan_channel(request.data[0], request)
    return bytes([0x02, Privilege.ADMINISTRATOR])  # always available; alerting and user level login enabled


def _channel_info(request: Request, bmc: Shared) -> bytes:
    number = request.data[0] & 0x0F
    if number == PRESENT_CHANNEL:
        number = LAN_CHANNEL if request.session else SYSTEM_CHANNEL
    vendor = bytes([0xF2, 0x1B, 0x00])  # the IPMI forum's enterprise number 7154
    if number == SYSTEM_CHANNEL:
        return bytes([number, 0x0C, 0x05, 0x00]) + vendor + bytes(2)  # system interface, KCS, session-less
    require_lan_channel(number, request)
    return bytes([number, 0x04, 0x01, 0x80 | len(bmc.sessions())]) + vendor + bytes(2)  # 802.3, IPMB-1.0


def _user_access(request: Request, bmc: Shared) -> bytes:
    require_lan_channel(request.data[0], request)
    number = request.data[1] & 0x3F
    if not 1 <= number <= MAX_USERS:
        raise RefusedError(Code.INVALID_FIELD)
    name = bmc.user_name(number)
    # Bits 5 and 4: link authentication and IPMI messaging. 0xF is "no access".
    access = 0x0F if name is None else 0x30 | bmc.users[name]
    return bytes([MAX_USERS, 0x40 | len(bmc.users), 0x01, access])


def _user_name(request: Request, bmc: Shared) -> bytes:
    number = request.data[0] & 0x3F
    if not 1 <= number <= MAX_USERS:
        raise RefusedError(Code.INVALID_FIELD)
    return (bmc.user_name(number) or "").encode()[:16].ljust(16, b"\0")


def _require_sol_instance(request: Request) -> None:
    kind, instance = request.data[0] & 0x3F, request.data[1] & 0x0F
    if kind != SOL_PAYLOAD:
        raise RefusedError(_PAYLOAD_DISABLED)
    if instance != 1:
        raise RefusedError(_PAYLOAD_LIMIT)


def _activate_payload(request: Request, bmc: Shared) -> bytes:
    session = _session_of(request)
    _require_sol_instance(request)
    if not bmc.state.sol_enabled:
        raise RefusedError(_PAYLOAD_DISABLED)
    if bmc.sol.owner is not None:
        raise RefusedError(_PAYLOAD_ACTIVE)
    bmc.sol.activate(session)
    sizes = SOL_PAYLOAD_SIZE.to_bytes(2, "little") * 2
    return bytes(4) + sizes + bmc.identity.port.to_bytes(2, "little") + b"\xff\xff"  # no VLAN


def _deactivate_payload(request: Request, bmc: Shared) -> bytes:
    _require_sol_instance(request)
    if bmc.sol.owner is None:
        raise RefusedError(_PAYLOAD_INACTIVE)
    bmc.sol.deactivate()
    return b""


def _payload_status(request: Request, bmc: Shared) -> bytes:
    if request.data[0] & 0x3F != SOL_PAYLOAD:
        return bytes([0, 0, 0])
    return bytes([1, 0 if bmc.sol.owner is None else 1, 0])


def _payload_instance(request: Request, bmc: Shared) -> bytes:
    _require_sol_instance(request)
    owner = bmc.sol.owner
    return bytes(12) if owner is None else owner.managed_id + bytes([1]) + bytes(7)


def _user_payload_access(_request: Request, _bmc: Shared) -> bytes:
    return bytes([1 << SOL_PAYLOAD, 0, 0, 0])


def _channel_payloads(request: Request, _bmc: Shared) -> bytes:
    require_lan_channel(request.data[0], request)
    return bytes([0x03, 0x00, 0x3F, 0, 0, 0, 0, 0])  # IPMI message and SOL; all session set-up payloads


def _payload_version(request: Request, _bmc: Shared) -> bytes:
    require_lan_channel(request.data[0], request)
    if request.data[1] & 0x3F not in (0, SOL_PAYLOAD):
        raise RefusedError(0x80)  # payload type not available on given channel
    return bytes([0x10])


def _accept(_request: Request, _bmc: Shared) -> bytes:
    return b""


TABLE: Table = {
    (NetFn.APP, 0x38): Command(_auth_capabilities, Privilege.NONE, minimum=2),
    (NetFn.APP, 0x3B): Command(_set_privilege, Privilege.NONE, minimum=1),
    (NetFn.APP, 0x3C): Command(_close_session, Privilege.CALLBACK, minimum=4),
    (NetFn.APP, 0x3D): Command(_session_info, Privilege.USER, minimum=1),
    (NetFn.APP, 0x41): Command(_channel_access, Privilege.USER, minimum=2),
    (NetFn.APP, 0x42): Command(_channel_info, Privilege.USER, minimum=1),
    (NetFn.APP, 0x44): Command(_user_access, Privilege.OPERATOR, minimum=2),
    (NetFn.APP, 0x46): Command(_user_name, Privilege.OPERATOR, minimum=1),
    (NetFn.APP, 0x48): Command(_activate_payload, Privilege.USER, minimum=6),
    (NetFn.APP, 0x49): Command(_deactivate_payload, Privilege.USER, minimum=6),
    (NetFn.APP, 0x4A): Command(_payload_status, Privilege.USER, minimum=1),
    (NetFn.APP, 0x4B): Command(_payload_instance, Privilege.USER, minimum=2),
    (NetFn.APP, 0x4C): Command(_accept, Privilege.ADMINISTRATOR, minimum=6),
    (NetFn.APP, 0x4D): Command(_user_payload_access, Privilege.OPERATOR, minimum=2),
    (NetFn.APP, 0x4E): Command(_channel_payloads, Privilege.USER, minimum=1),
    (NetFn.APP, 0x4F): Command(_payload_version, Privilege.USER, minimum=2),
    (NetFn.APP, 0x54): Command(_cipher_suites, Privilege.NONE, minimum=3),
}
