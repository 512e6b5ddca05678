"""What a BMC is and is set to: its firmware (IPMI 2.0 20.1), cipher suites (22.15), LAN (23.2),
Serial-over-LAN (chapter 26) and clock (31.10). Read, never written.
"""

from __future__ import annotations

from dataclasses import dataclass

from bringup.ipmi.client import IpmiClient

_TRANSPORT, _GET_SOL = 0x0C, 0x22
_STORAGE, _GET_SEL_TIME = 0x0A, 0x48
_APP, _GET_DEVICE_ID, _GET_SUITES = 0x06, 0x01, 0x54
_GET_LAN, _ADDRESS_SOURCE = 0x02, 4
_SOURCES = {1: "static", 2: "DHCP", 3: "BIOS", 4: "other"}
_IPMI_PAYLOAD, _LIST_BY_SUITE = 0x00, 0x80
_RECORD_SLICE, _SLICES_MAX = 16, 64
# A record's first byte, and how many bytes stand before its algorithms: an OEM's has a number of three bytes.
_HEADS = {0xC0: 2, 0xC1: 5}
SUPERMICRO = 10876
"""Its enterprise number, as a BMC tells its manufacturer."""
_SUPERMICRO_OEM, _LAN_MODE = 0x30, 0x70
_READ_LAN_MODE = bytes([0x0C, 0x00])
LAN_MODES = {0: "dedicated", 1: "shared", 2: "failover"}
"""Which port a Supermicro BMC uses (raw 0x30 0x70 0x0c, the same on X9 to X11)."""
_THIS_CHANNEL = 0x0E
_ENABLE, _BIT_RATE = 1, 6
BAUD_OF = {6: 9600, 7: 19200, 8: 38400, 9: 57600, 10: 115200}
"""Bit rates by the low four bits of parameters 5 and 6 (table 26-5); 0 is that of the serial channel."""
# Up to this a SEL time counts from the BMC's start: nobody has set it (IPMI 2.0 37.1).
_SET_FROM_S = 0x20000000


@dataclass(frozen=True, slots=True)
class SolSettings:
    """Whether SOL is enabled, and how fast it speaks to the board; None is not told, or left to the UART."""

    enabled: bool
    baud: int | None


def sol_settings(client: IpmiClient) -> SolSettings:
    """Return how SOL is set now; raises LabError."""
    enabled = bool(_parameter(client, _ENABLE, "SOL enabled?") & 1)
    return SolSettings(enabled, BAUD_OF.get(_parameter(client, _BIT_RATE, "SOL bit rate") & 0x0F))


def _parameter(client: IpmiClient, number: int, what: str) -> int:
    answer = client.request(_TRANSPORT, _GET_SOL, bytes([_THIS_CHANNEL, number, 0, 0]), what)
    return answer[1] if len(answer) > 1 else 0


@dataclass(frozen=True, slots=True)
class DeviceId:
    """Who made a BMC (IANA enterprise number) and which firmware it runs, such as "1.74"."""

    manufacturer: int
    firmware: str


def device_id(client: IpmiClient) -> DeviceId:
    """Return what a BMC says of itself; raises LabError."""
    answer = client.request(_APP, _GET_DEVICE_ID, b"", "device id").ljust(9, b"\0")
    return DeviceId(int.from_bytes(answer[6:9], "little"), f"{answer[2] & 0x7F}.{answer[3]:02x}")


def cipher_suites(client: IpmiClient) -> tuple[int, ...]:
    """Return the cipher suites that a BMC lists for this channel, in its order; raises LabError."""
    records = b""
    for index in range(_SLICES_MAX):
        data = bytes([_THIS_CHANNEL, _IPMI_PAYLOAD, _LIST_BY_SUITE | index])
        part = client.request(_APP, _GET_SUITES, data, "cipher suites")[1:]
        records += part
        if len(part) < _RECORD_SLICE:
            break
    return suites_of(records)


def suites_of(records: bytes) -> tuple[int, ...]:
    """Return the suite ids of cipher suite records (table 22-19); pure.

    A record begins with a byte of two set top bits that no algorithm number has.
    """
    suites = []
    at = 0
    while at < len(records) - 1:
        head = _HEADS.get(records[at])
        if head is None:  # an algorithm of the record before, or no record at all
            at += 1
            continue
        suites.append(records[at + 1])
        at += head
    return tuple(suites)


def address_source(client: IpmiClient) -> str | None:
    """Return how a BMC has its address, "static" or "DHCP", None where it is not told; raises LabError."""
    data = bytes([_THIS_CHANNEL, _ADDRESS_SOURCE, 0, 0])
    answer = client.request(_TRANSPORT, _GET_LAN, data, "LAN address source")
    return _SOURCES.get(answer[1] & 0x0F) if len(answer) > 1 else None


def lan_mode(client: IpmiClient) -> str | None:
    """Return which port a Supermicro BMC uses, None where it says another number; raises LabError.

    Not for others: to them the same bytes may be a command that does something.
    """
    answer = client.request(_SUPERMICRO_OEM, _LAN_MODE, _READ_LAN_MODE, "LAN mode")
    return LAN_MODES.get(answer[0]) if answer else None


def bmc_time_s(client: IpmiClient) -> int | None:
    """Return the BMC's clock, seconds since 1970 of whatever zone it keeps; None where nobody has set it.

    Raises LabError.
    """
    seconds = int.from_bytes(client.request(_STORAGE, _GET_SEL_TIME, b"", "clock")[:4], "little")
    return seconds if _SET_FROM_S < seconds < 0xFFFFFFFF else None
