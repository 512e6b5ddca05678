"""LAN and SOL configuration parameters of the BMC (IPMI 2.0 chapters 23 and 26)."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from bringup.twin.bmc.access import SOL_PAYLOAD_SIZE
from bringup.twin.bmc.request import (
    LAN_CHANNEL,
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

_REVISION = 0x11
_ONLY_REVISION = 0x80
_READ_ONLY = 0x82
_SOURCE_STATIC = 0x01
_BIT_RATES = (0, 6, 7, 8, 9, 10)  # that of the serial channel, 9600 to 115200
_SOL_ENABLE = 1


def lan_parameters(bmc: Shared) -> Mapping[int, bytes]:
    """Return the LAN configuration parameters this BMC has (table 23-4)."""
    address = ipaddress.IPv4Address(bmc.identity.address)
    network = ipaddress.IPv4Network((address, 24), strict=False)
    suites = sorted(bmc.suites)
    return {
        0: b"\x00",
        1: b"\x00",  # IPMI 1.5 authentication types: none, logins are RMCP+ only
        2: bytes(5),
        3: address.packed,
        4: bytes([_SOURCE_STATIC]),
        5: bmc.identity.mac,
        6: network.netmask.packed,
        7: bytes([0x40, 0x40, 0x10]),
        8: (623).to_bytes(2, "little"),
        10: b"\x02",
        11: b"\x00",
        12: bytes(4),
        13: bytes(6),
        14: bytes(4),
        15: bytes(6),
        16: b"public".ljust(18, b"\0"),
        20: bytes(2),
        21: bytes(1),
        22: bytes([len(suites)]),
        23: bytes([0, *suites]).ljust(17, b"\0"),
        24: b"\x00" + b"\x44" * 8,  # administrator for every suite
        26: bytes(6),
    }


def sol_parameters(bmc: Shared) -> Mapping[int, bytes]:
    """Return the SOL configuration parameters (table 26-5); the retry policy is what `bmc_sol` does."""
    return {
        0: b"\x00",
        1: bytes([int(bmc.state.sol_enabled)]),
        2: bytes([0xC0 | Privilege.USER]),  # encryption and authentication are forced
        3: bytes([1, SOL_PAYLOAD_SIZE]),
        4: bytes([8, 50]),  # tries; 10 ms units
        **{number: bytes([rate]) for number, rate in bmc.state.sol_bit_rates.items()},
        7: bytes([LAN_CHANNEL]),
        8: bmc.identity.port.to_bytes(2, "little"),
    }


def _get(request: Request, parameters: Mapping[int, bytes]) -> bytes:
    require_lan_channel(request.data[0], request)
    if request.data[0] & _ONLY_REVISION:
        return bytes([_REVISION])
    value = parameters.get(request.data[1])
    if value is None:
        raise RefusedError(Code.PARAMETER_NOT_SUPPORTED)
    return bytes([_REVISION]) + value


def _lan_get(request: Request, bmc: Shared) -> bytes:
    return _get(request, lan_parameters(bmc))


def _sol_get(request: Request, bmc: Shared) -> bytes:
    return _get(request, sol_parameters(bmc))


def _refuse_write(request: Request, parameters: Mapping[int, bytes]) -> None:
    if request.data[1] not in parameters:
        raise RefusedError(Code.PARAMETER_NOT_SUPPORTED)
    if request.data[1] != 0:  # "set in progress" may be written; there is nothing it has to hold together
        raise RefusedError(_READ_ONLY)


def _lan_set(request: Request, bmc: Shared) -> bytes:
    require_lan_channel(request.data[0], request)
    _refuse_write(request, lan_parameters(bmc))
    return b""


def _sol_set(request: Request, bmc: Shared) -> bytes:
    require_lan_channel(request.data[0], request)
    if request.data[1] == _SOL_ENABLE:
        bmc.state.sol_enabled = bool(request.data[2] & 0x01)
        return b""
    if request.data[1] in bmc.state.sol_bit_rates:
        rate = request.data[2] & 0x0F
        if rate not in _BIT_RATES:
            raise RefusedError(Code.INVALID_FIELD)
        bmc.state.sol_bit_rates[request.data[1]] = rate
        return b""
    _refuse_write(request, sol_parameters(bmc))
    return b""


TABLE: Table = {
    (NetFn.TRANSPORT, 0x01): Command(_lan_set, Privilege.ADMINISTRATOR, minimum=3),
    (NetFn.TRANSPORT, 0x02): Command(_lan_get, Privilege.OPERATOR, minimum=4),
    (NetFn.TRANSPORT, 0x21): Command(_sol_set, Privilege.ADMINISTRATOR, minimum=3),
    (NetFn.TRANSPORT, 0x22): Command(_sol_get, Privilege.USER, minimum=4),
}
