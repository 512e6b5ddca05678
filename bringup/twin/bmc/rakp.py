"""RMCP+ login from the BMC's side: open session and RAKP messages 1 to 4 (IPMI 2.0 13.17-13.24); pure."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from bringup.twin.bmc.access import SUITES
from bringup.twin.bmc.request import Privilege

Hash = Callable[..., Any]

# Suite -> hash of all keys, bytes of the integrity code of packets and of RAKP message 4 (13.28).
HASHES: dict[int, tuple[Hash, int]] = {3: (hashlib.sha1, 12), 17: (hashlib.sha256, 16)}
_NAME_LIMIT = 16
_KEY_CONSTANT = 20


class Status(IntEnum):
    """RMCP+ and RAKP status codes (table 13-15)."""

    OK = 0x00
    NO_RESOURCES = 0x01
    INVALID_SESSION = 0x02
    INVALID_ROLE = 0x09
    INVALID_NAME_LENGTH = 0x0C
    UNAUTHORIZED_NAME = 0x0D
    INVALID_INTEGRITY = 0x0F
    NO_SUITE = 0x11


class LoginRefusedError(Exception):
    """A login step failed with this status."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.name)
        self.status = status


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """An open session request (table 13-9): the console's session id and the suite both sides can do."""

    tag: int
    console_id: bytes
    suite: int

    @classmethod
    def parse(cls, payload: bytes, suites: Sequence[int]) -> OpenRequest:
        """Read it; LoginRefusedError NO_SUITE when no suite of `suites` is asked for. Needs 32 bytes."""
        asked = tuple(_algorithm(payload[start : start + 8]) for start in (8, 16, 24))
        for suite in sorted(suites, reverse=True):
            if all(want in (None, have) for want, have in zip(asked, SUITES[suite], strict=True)):
                return cls(payload[0], payload[4:8], suite)
        raise LoginRefusedError(Status.NO_SUITE)

    def answer(self, managed_id: bytes) -> bytes:
        """Return the open session response that accepts."""
        authentication, integrity, confidentiality = SUITES[self.suite]
        algorithms = b"".join(
            bytes([kind, 0, 0, 8, number, 0, 0, 0])
            for kind, number in enumerate((authentication, integrity, confidentiality))
        )
        head = bytes([self.tag, Status.OK, Privilege.ADMINISTRATOR, 0])
        return head + self.console_id + managed_id + algorithms


def _algorithm(record: bytes) -> int | None:
    # A record of length 0 is a wildcard: the BMC chooses (table 13-9).
    return record[4] & 0x3F if record[3] else None


def refusal(tag: int, status: Status, console_id: bytes) -> bytes:
    """Return the short form of any answer with a status other than OK."""
    return bytes([tag, status, 0, 0]) + console_id


@dataclass(frozen=True, slots=True)
class Account:
    """A user as the login needs it; the password stays out of every repr."""

    name: str
    password: str
    limit: Privilege

    def __repr__(self) -> str:
        return f"Account({self.name!r}, {self.limit.name})"


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """What a login leaves behind: integrity key K1 and the AES key, 16 bytes of K2."""

    k1: bytes
    aes: bytes


class Handshake:
    """One login attempt after its open session request."""

    def __init__(self, console_id: bytes, managed_id: bytes, guid: bytes, suite: int) -> None:
        self._console_id = console_id
        self._managed_id = managed_id
        self._guid = guid
        self.hash, self.code_length = HASHES[suite]
        self.account: Account | None = None
        self.limit = Privilege.NONE
        self._rm = self._rc = self._role_and_name = b""

    def rakp1(self, payload: bytes, find: Callable[[str], Account | None]) -> bytes:
        """Answer RAKP message 1 with message 2; raises LoginRefusedError. Needs 28 bytes."""
        role, length = payload[24], payload[27]
        if length > _NAME_LIMIT or len(payload) < 28 + length:
            raise LoginRefusedError(Status.INVALID_NAME_LENGTH)
        name = payload[28 : 28 + length]
        account = find(name.decode("utf-8", "replace"))
        if account is None:
            raise LoginRefusedError(Status.UNAUTHORIZED_NAME)
        wanted = role & 0x0F
        if wanted > account.limit or wanted == Privilege.CALLBACK:
            raise LoginRefusedError(Status.INVALID_ROLE)
        self.account = account
        self.limit = Privilege(wanted) if wanted else account.limit
        self._rm, self._rc = payload[8:24], secrets.token_bytes(16)
        self._role_and_name = bytes([role, length]) + name
        ids = self._console_id + self._managed_id
        code = self._sign(ids + self._rm + self._rc + self._guid + self._role_and_name)
        return refusal(payload[0], Status.OK, self._console_id) + self._rc + self._guid + code

    def rakp3(self, payload: bytes) -> tuple[bytes, Keys]:
        """Answer RAKP message 3 with message 4 and the session's keys; raises LoginRefusedError."""
        if self.account is None or payload[1] != Status.OK:
            raise LoginRefusedError(Status.INVALID_SESSION)
        expected = self._sign(self._rc + self._console_id + self._role_and_name)
        if not hmac.compare_digest(expected, payload[8:]):
            raise LoginRefusedError(Status.INVALID_INTEGRITY)
        sik = self._sign(self._rm + self._rc + self._role_and_name)  # no Kg is set, so K_UID takes its place
        keys = Keys(self._hmac(sik, b"\x01" * _KEY_CONSTANT), self._hmac(sik, b"\x02" * _KEY_CONSTANT)[:16])
        code = self._hmac(sik, self._rm + self._managed_id + self._guid)[: self.code_length]
        return refusal(payload[0], Status.OK, self._console_id) + code, keys

    def _sign(self, message: bytes) -> bytes:
        if self.account is None:
            raise LoginRefusedError(Status.INVALID_SESSION)
        return self._hmac(self.account.password.encode(), message)

    def _hmac(self, key: bytes, message: bytes) -> bytes:
        return hmac.new(key, message, self.hash).digest()
