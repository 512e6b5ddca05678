"""The commands about a BMC's console (IPMI 2.0 chapter 24): who has it, take it, leave it."""

from __future__ import annotations

import time
from collections.abc import Collection

from bringup.base.errors import AuthenticationError, LabError
from bringup.ipmi.client import REQUEST_TIMEOUT_S, Answer, IpmiClient
from bringup.ipmi.errors import NOT_TAKEN, UNSETTLED, refusal

APP, INSTANCE_INFO = 0x06, 0x4B
SOL_INSTANCE = bytes([0x01, 0x01])  # payload type SOL, instance 1
ACTIVE_ELSEWHERE = 0x80
_IPMI_PORT = 623
NOBODY = 0
"""What owns a console that is not active."""
_ACTIVATE, _DEACTIVATE = 0x48, 0x49
_ENCRYPTED_AUTHENTICATED = 0xC0
_INSUFFICIENT = 0xD4
_REFUSED = {  # Activate Payload, IPMI 2.0 24.1
    0x81: ("SOL is disabled on {who}", "enable it: ipmitool sol set enabled true 1"),
    0x82: ("{who} has its greatest number of SOL sessions", "end another one, or try --steal"),
    0x83: (
        "{who} does not allow SOL with encryption, and without it this tool has no console",
        "ipmitool sol set force-encryption true 1, or the like in the BMC's web page",
    ),
    0x84: (
        "{who} says that it allows no SOL without encryption, and was asked for it with encryption",
        "ipmitool sol set force-encryption false 1; a BMC that says so all the same needs other firmware",
    ),
    _INSUFFICIENT: (
        "{who} does not let user {user} have the console",
        "ipmitool sol info 1 shows the privilege that SOL asks for; the user needs that and the SOL payload: "
        "ipmitool sol payload enable 1 USER-NUMBER",
    ),
    **dict.fromkeys(
        (0xC1, 0xC2, 0xCC, 0xD6),
        (
            "{who} has no SOL for anybody (activate SOL, completion code {code:#04x})",
            "enable it in the BMC's settings if it has it; else a serial cable: `serial` of this board in "
            "the lab file",
        ),
    ),
}


class SolCommands:
    """The commands as one client sends them; each may raise BmcTimeoutError."""

    def __init__(self, client: IpmiClient) -> None:
        self._client = client

    def activate(self, deadline_s: float) -> Answer:
        """Ask for the console; the packet size is in the answer's bytes 4 and 5."""
        data = SOL_INSTANCE + bytes([_ENCRYPTED_AUTHENTICATED, 0, 0, 0])
        return self._send(_ACTIVATE, data, "activate SOL", _left(deadline_s), again=NOT_TAKEN | UNSETTLED)

    def deactivate(self, timeout_s: float) -> None:
        """End the console, whoever has it; the BMC throws away what it had not sent yet."""
        self._send(_DEACTIVATE, SOL_INSTANCE + bytes(4), "deactivate SOL", timeout_s)

    def free(self, deadline_s: float) -> None:
        """End the console before it is taken."""
        self.deactivate(_left(deadline_s))

    def owner(self, deadline_s: float) -> int | None:
        """Return the session that has the console, 0 for nobody, None where the BMC does not tell."""
        return owner_in(self._send(INSTANCE_INFO, SOL_INSTANCE, "SOL owner", _left(deadline_s)))

    def refused(self, code: int) -> LabError:
        """Return the error for an activation that was refused."""
        bmc = self._client.bmc
        if code in _REFUSED:
            sentence, hint = _REFUSED[code]
            kind = AuthenticationError if code == _INSUFFICIENT else LabError
            return kind(sentence.format(who=bmc, user=bmc.user, code=code), hint=hint)
        return refusal(code, "activate SOL", where=str(bmc), user=bmc.user)

    def _send(
        self, command: int, data: bytes, what: str, timeout_s: float, again: Collection[int] = NOT_TAKEN
    ) -> Answer:
        return self._client.exchange(APP, command, data, what, timeout_s=timeout_s, again=again)


def other_port(activation: bytes, dialled: int) -> int | None:
    """Return the UDP port that an answer to Activate Payload names for SOL (24.1), None where it is no other.

    That is the one that was dialled, IPMI's own (which it is behind a port forward), or none at all; some
    BMCs swap its bytes.
    """
    told = activation[8:10]
    ports = {int.from_bytes(told, "little"), int.from_bytes(told, "big")}
    if len(told) < 2 or ports & {0, 0xFFFF, _IPMI_PORT, dialled}:
        return None
    return int.from_bytes(told, "little")


def owner_in(answer: Answer) -> int | None:
    """Return the session id of Get Payload Instance Info (IPMI 2.0 24.5), 0 for nobody, None if not told."""
    if answer.code or len(answer.data) < 4:
        return None
    return int.from_bytes(answer.data[:4], "little")


def _left(deadline_s: float) -> float:
    return max(0.1, min(REQUEST_TIMEOUT_S, deadline_s - time.monotonic()))
