"""The commands about a BMC's console (IPMI 2.0 chapter 24): who has it, take it, leave it."""

from __future__ import annotations

import time
from collections.abc import Collection

from bringup.base.errors import LabError
from bringup.ipmi.client import REQUEST_TIMEOUT_S, Answer, IpmiClient
from bringup.ipmi.errors import NOT_TAKEN, UNSETTLED, refusal

APP, INSTANCE_INFO = 0x06, 0x4B
SOL_INSTANCE = bytes([0x01, 0x01])  # payload type SOL, instance 1
ACTIVE_ELSEWHERE = 0x80
NOBODY = 0
"""What owns a console that is not active."""
_ACTIVATE, _DEACTIVATE = 0x48, 0x49
_ENCRYPTED_AUTHENTICATED = 0xC0
_REFUSED = {  # Activate Payload, IPMI 2.0 24.1
    0x81: ("SOL is disabled on {who}", "enable it: ipmitool sol set enabled true 1"),
    0x82: ("{who} has its greatest number of SOL sessions", "end another one, or try --steal"),
    0x83: ("{who} does not allow SOL with encryption", "change the BMC's SOL settings"),
    0x84: ("{who} does not allow SOL without encryption", "change the BMC's SOL settings"),
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
            return LabError(sentence.format(who=bmc), hint=hint)
        return refusal(code, "activate SOL", where=str(bmc), user=bmc.user)

    def _send(
        self, command: int, data: bytes, what: str, timeout_s: float, again: Collection[int] = NOT_TAKEN
    ) -> Answer:
        return self._client.exchange(APP, command, data, what, timeout_s=timeout_s, again=again)


def owner_in(answer: Answer) -> int | None:
    """Return the session id of Get Payload Instance Info (IPMI 2.0 24.5), 0 for nobody, None if not told."""
    if answer.code or len(answer.data) < 4:
        return None
    return int.from_bytes(answer.data[:4], "little")


def _left(deadline_s: float) -> float:
    return max(0.1, min(REQUEST_TIMEOUT_S, deadline_s - time.monotonic()))
