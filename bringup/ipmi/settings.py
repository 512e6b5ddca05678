"""What a BMC is set to: Serial-over-LAN (IPMI 2.0 chapter 26) and its clock (31.10). Read, never written."""

from __future__ import annotations

from dataclasses import dataclass

from bringup.ipmi.client import IpmiClient

_TRANSPORT, _GET_SOL = 0x0C, 0x22
_STORAGE, _GET_SEL_TIME = 0x0A, 0x48
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


def bmc_time_s(client: IpmiClient) -> int | None:
    """Return the BMC's clock, seconds since 1970 of whatever zone it keeps; None where nobody has set it.

    Raises LabError.
    """
    seconds = int.from_bytes(client.request(_STORAGE, _GET_SEL_TIME, b"", "clock")[:4], "little")
    return seconds if _SET_FROM_S < seconds < 0xFFFFFFFF else None
