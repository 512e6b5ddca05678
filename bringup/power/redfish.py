"""A Redfish service as a client sees it (DSP0266): JSON over HTTPS, one exchange at a time, faults sorted.

pyghmi's transport is used and its `redfish.Command` is not: that keeps answers for 30 s, so that what was set
cannot be read back, and waits a minute for each.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, Any

from pyghmi.exceptions import UnrecognizedCertificate
from pyghmi.util.webclient import SecureHTTPConnection

from bringup.base.errors import (
    AuthenticationError,
    BmcBusyError,
    BmcTimeoutError,
    LabError,
    NotOfferedError,
)

if TYPE_CHECKING:
    from bringup.lab.secret import Secret

ROOT = "/redfish/v1/"
TIMEOUT_S = 15.0
_MESSAGE_MAX = 200
# A service that starts or is at work answers any of these; the next answer may be another.
_BUSY = {409, 423, 429, 500, 502, 503, 504}
_NOT_OFFERED = {404, 405, 501}


class RedfishService:
    """One service. `certificate` is the SHA-256 of its certificate in hex, None where any is taken.

    Every call raises BmcTimeoutError where nobody answers, AuthenticationError for a refused login,
    BmcBusyError where it cannot do it just now, NotOfferedError where there is no such thing, and LabError
    for other refusals.
    """

    def __init__(
        self,
        address: str,
        port: int,
        user: str,
        password: Secret,
        *,
        certificate: str | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._address, self._port = address, port
        self._user, self._password = user, password
        self._certificate = certificate
        self._timeout_s = timeout_s

    def within(self, timeout_s: float) -> RedfishService:
        """Return the same service, whose answers are waited for no longer than this."""
        other = copy(self)
        other._timeout_s = timeout_s
        return other

    def __str__(self) -> str:
        return f"Redfish at {self._address} port {self._port}"

    def get(self, path: str, what: str) -> dict[str, Any]:
        """Return a resource; `what` names it for people."""
        return self._exchange("GET", path, None, what)

    def patch(self, path: str, body: Mapping[str, Any], what: str, *, etag: str | None = None) -> None:
        """Change members of a resource; `etag` is that of the answer which the change rests on."""
        self._exchange("PATCH", path, body, what, etag=etag)

    def post(self, path: str, body: Mapping[str, Any], what: str) -> None:
        """Start an action."""
        self._exchange("POST", path, body, what)

    def _exchange(
        self, method: str, path: str, body: Mapping[str, Any] | None, what: str, *, etag: str | None = None
    ) -> dict[str, Any]:
        connection = self._connection()
        if etag is not None:
            connection.set_header("If-Match", etag)
        text = None if body is None else json.dumps(body)
        try:
            answer, status = connection.grab_json_response_with_status(path, text, method=method)
        except UnrecognizedCertificate:
            raise LabError(
                f"{self} shows another certificate than lab.toml says; nothing was sent",
                hint="is the BMC's `address` right? was its certificate changed? `certificate` in lab.toml",
            ) from None
        except (OSError, http.client.HTTPException) as error:
            reason = str(error).strip() or type(error).__name__
            raise BmcTimeoutError(
                f"{self} gives no answer ({what}): {reason}",
                hint="is Redfish switched on, and reached from here?",
            ) from None
        except ValueError:
            raise LabError(f"{self} answers with something that is no JSON ({what})") from None
        if not 200 <= status < 300:
            raise self._refusal(status, answer, what)
        return answer if isinstance(answer, dict) else {}

    def _connection(self) -> Any:
        connection = SecureHTTPConnection(
            self._address, self._port, verifycallback=self._is_known, timeout=self._timeout_s
        )
        connection.set_basic_credentials(self._user, self._password.reveal())
        for name, value in (
            ("Accept", "application/json"),
            ("Content-Type", "application/json"),
            ("OData-Version", "4.0"),
        ):
            connection.set_header(name, value)
        return connection

    def _is_known(self, certificate: bytes) -> bool:
        if self._certificate is None:
            return True
        return hmac.compare_digest(hashlib.sha256(certificate).hexdigest(), self._certificate)

    def _refusal(self, status: int, answer: object, what: str) -> LabError:
        said = message_in(answer)
        told = f"{status}: {said}" if said else str(status)
        if status == 401:
            return AuthenticationError(f"{self} refused the user {self._user} or the password")
        if status == 403:
            return LabError(
                f"{self} does not let {self._user} do this ({what}, {told})",
                hint="give the user the role Operator or Administrator; some vendors ask for a licence",
            )
        if status in _BUSY:
            return BmcBusyError(f"{self} cannot do this just now ({what}, {told})")
        if status in _NOT_OFFERED:
            return NotOfferedError(f"{self} has no such thing ({what}, {told})")
        return LabError(f"{self} refused this ({what}, {told})")


def message_in(answer: object) -> str:
    """Return what an error answer says (DSP0266 8.6) in one short line: extended messages, else its own."""
    try:
        error = json.loads(answer)["error"]  # type: ignore[arg-type]
        extended = error.get("@Message.ExtendedInfo") or []
        texts = [str(each.get("Message") or each["MessageId"]) for each in extended]
        text = "; ".join(texts) or str(error.get("message", ""))
    except (ValueError, TypeError, KeyError, AttributeError):
        return ""
    return " ".join(text.split())[:_MESSAGE_MAX]


# Members of resources, which a service may leave out or fill with anything.


def member(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a member that is an object, an empty one for anything else."""
    return as_dict(body.get(name))


def as_dict(value: object) -> dict[str, Any]:
    """Return an object, an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """Return an array, an empty one for anything else."""
    return value if isinstance(value, list) else []


def linked(value: object) -> str | None:
    """Return where a link leads, None for what is none."""
    path = as_dict(value).get("@odata.id")
    return path if isinstance(path, str) else None


def linked_all(value: object) -> list[str]:
    """Return where the links of an array lead; what is none leads nowhere."""
    return [path for link in as_list(value) if (path := linked(link)) is not None]
