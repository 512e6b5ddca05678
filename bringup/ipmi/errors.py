"""What IPMI's refusals mean, as data: a login message or completion code -> whose fault, what, what to do.

Login messages are those of pyghmi 1.6.19 (session.py, constants.py), which follow the status codes of
IPMI 2.0 table 13-15; completion codes are those of IPMI 2.0 table 5-2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bringup.base.errors import (
    AuthenticationError,
    BmcBusyError,
    BmcTimeoutError,
    CipherError,
    LabError,
    LoginUnfinishedError,
    NoSessionError,
    NotOfferedError,
    UnclearStateError,
)

NO_PRIVILEGE_YET = "the session's privilege could not be set"
"""What a login says that the BMC accepted, and whose privilege it neither granted nor refused."""
NO_PRIVILEGE = "it sets no privilege for the session"
"""The same for good: the BMC's answer is none that a moment mends."""
OLD_BMC = "IPMI 1.5 only"
"""What a login says of a BMC that does not offer RMCP+."""
NOT_READY = "the BMC begins no session"
"""What a login says that a BMC held up for too long at its first step."""

_CHECK_USER = "check `user` and `password` of this board in the lab file"
_CHECK_RIGHTS = (
    "the user has to be enabled and allowed IPMI over LAN; wrong passwords may have locked it for minutes"
)
_LOOK = "ipmitool -v -I lanplus ... mc info says more; a BMC that has just started needs a minute"
_CHECK_ADDRESS = "check the BMC's power, its LAN cable, and `address` and `port` in the lab file"
_WAIT = "wait a minute and try again; a BMC that has just started needs that"


@dataclass(frozen=True, slots=True)
class _Meaning:
    kind: type[LabError]
    sentence: str
    hint: str | None = None


_WRONG_USER = _Meaning(
    AuthenticationError,
    "{where} does not know the user {user}, or does not let it in",
    f"{_CHECK_USER}; {_CHECK_RIGHTS}",
)
_NOT_LET_IN = _Meaning(
    AuthenticationError,
    "{where} refused the login of user {user}: {text}",
    f"in the BMC's web page: {_CHECK_RIGHTS}",
)
_BMC_KEY = _Meaning(
    AuthenticationError,
    "{where} accepts the password of user {user} and wants a second key (K_G, the BMC key) besides it",
    "clear the encryption key for IPMI over LAN in the BMC's settings (all zeros): it is not supported here",
)
_OLD = _Meaning(
    NoSessionError,
    "{where} offers IPMI 1.5 only, which has neither encryption nor a console",
    "enable IPMI 2.0 (RMCP+) in the BMC's LAN settings, or update its firmware; "
    "without that: another power driver, and a serial console",
)
_OUT_OF_STEP = _Meaning(
    BmcBusyError,
    "{where} forgets sessions while they begin (user {user})",
    "it may be restarting, or two BMCs may answer at this address: wait a minute and try again",
)
_NO_LAN = _Meaning(
    NoSessionError,
    "{where} answers and does not offer IPMI over LAN: {text}",
    "enable IPMI over LAN in the BMC's settings",
)
_WRONG_PASSWORD = _Meaning(AuthenticationError, "{where} refused the password of user {user}", _CHECK_USER)
_NO_CIPHER = _Meaning(
    CipherError,
    "{where} {suites}",
    "enable suite 17 or 3 in the BMC's LAN settings (ipmitool lan print 1 lists them)",
)
_FULL = _Meaning(
    BmcBusyError, "{where} has no free session left", "close other IPMI sessions, or wait a minute"
)
_PRIVILEGE = _Meaning(
    AuthenticationError,
    "{where} does not grant user {user} the privilege that was asked for",
    "give the user the privilege OPERATOR or ADMINISTRATOR on this LAN channel",
)
_LOGIN_BROKEN = _Meaning(
    LoginUnfinishedError,
    "{where} answered and did not finish the login of user {user}",
    "some BMCs fall silent for a wrong user or password, or for a cipher suite that they lack: "
    + _CHECK_USER
    + "; ipmitool lan print 1 lists the suites",
)
_NOT_OPENED = _Meaning(
    LoginUnfinishedError,
    "{where} answers, and not when it is asked to begin a session",
    "enable IPMI over LAN, and cipher suite 17 or 3, in the BMC's LAN settings; "
    "a BMC that has just started needs a minute",
)
_LEVEL_NOT_SET = _Meaning(
    NoSessionError,
    "{where} accepted the login of user {user} and refuses to work for it: {text}",
    "update the BMC's firmware, or reset the BMC: this is no matter of the user's rights",
)
_NOT_BEGUN = _Meaning(
    BmcBusyError, "{where} accepted the login of user {user} and began no session: {text}", _WAIT
)
_NOT_READY = _Meaning(BmcBusyError, "{where} is busy or still starting: {text}", _WAIT)
_SILENT = _Meaning(BmcTimeoutError, "no answer from {where}", _CHECK_ADDRESS)

# The first line whose text is contained in the message holds.
_LOGIN = (
    ("Incorrect password", _WRONG_PASSWORD),
    ("Invalid integrity check value", _WRONG_PASSWORD),
    ("Unauthorized name", _WRONG_USER),
    ("Invalid username length", _WRONG_USER),
    ("Invalid user name", _WRONG_USER),
    ("Invalid RAKP4 integrity code", _BMC_KEY),  # the password was proven by message 2
    ("No Cipher suite match", _NO_CIPHER),
    ("Invalid authentication algorithm", _NO_CIPHER),
    ("Invalid integrity algorithm", _NO_CIPHER),
    ("Invalid confidentiality algorithm", _NO_CIPHER),
    ("No matching integrity payload", _NO_CIPHER),
    ("Insufficient resources", _FULL),
    ("No available login slots", _FULL),
    ("No slot available", _FULL),
    ("Unauthorized role", _PRIVILEGE),
    ("Invalid role", _PRIVILEGE),
    ("privelege level", _PRIVILEGE),  # sic
    ("Requested privilege", _PRIVILEGE),
    (NO_PRIVILEGE_YET, _NOT_BEGUN),
    (NO_PRIVILEGE, _LEVEL_NOT_SET),
    (NOT_READY, _NOT_READY),
    (OLD_BMC, _OLD),
    ("MD5 required", _OLD),
    ("channel authentication", _NO_LAN),
    ("Invalid Session ID", _OUT_OF_STEP),
    ("Inactive Session ID", _OUT_OF_STEP),
    ("Unauthorized GUID", _NOT_LET_IN),
    ("Illegal or unrecognized parameter", _NOT_LET_IN),
    ("Invalid payload type", _NOT_LET_IN),
    ("timeout", _SILENT),
    ("failed to initialize", _LOGIN_BROKEN),
    ("no longer connected", _LOGIN_BROKEN),
)

_TRANSIENT_CODES = {
    0xC0: "is busy",
    0xC3: "ran out of time on the command",
    0xC4: "has no space left for the command",
    0xCF: "cannot take the command twice",
    0xD0: "is updating its sensor records",
    0xD2: "is still starting",
}
NOT_TAKEN = frozenset({0xC0, 0xC4, 0xD0, 0xD2})
"""The BMC did not take the command: whatever it is, it may be sent again."""
UNSETTLED = frozenset({0xC3, 0xCE, 0xCF, 0xD3, 0xD5, 0xFF})
"""What BMCs say that are starting, or whose parts are: the same command may get another answer later."""
UNKNOWN_COMMANDS = frozenset({0xC1, 0xC2})
PERHAPS_DONE = frozenset({0xC3, 0xCE})
"""The answer failed, and the command may have been carried out."""

_CODES = {
    0xC1: "does not know this command",
    0xC2: "does not know this command",
    0xC6: "found the request cut off",
    0xC7: "found the request's length wrong",
    0xC8: "found the request too long",
    0xC9: "found a parameter out of range",
    0xCB: "has no such sensor, data or record",
    0xCC: "found an invalid field in the request",
    0xCE: "could not give an answer",
    0xD1: "is updating its firmware",
    0xD3: "could not reach the part this is meant for",
    0xD5: "does not allow this in its present state",
    0xD6: "has this function disabled",
    0xFF: "refused without saying why",
}


_BEYOND = "asking again changes nothing; other firmware of the BMC may know it"
_CODE_HINTS = {
    0xD1: "wait until the update is over, which takes minutes, and try again",
    0xD6: "enable it in the BMC's settings; some makers ask for a licence",
}


def login_failure(
    message: str | None,
    *,
    where: str,
    user: str,
    heard: bool,
    suites: Sequence[int],
    opened: bool = True,
) -> LabError:
    """Return the error for a login that ended with pyghmi's `message`; None stands for no message at all.

    `heard` says whether the BMC answered anything before that, `opened` whether it began a session, `suites`
    which cipher suites were tried.
    """
    text = message or "timeout"
    meaning = next((meaning for part, meaning in _LOGIN if part in text), None)
    if meaning is None:
        return NoSessionError(f"{where} refused the login of user {user}: {text}", hint=_LOOK)
    if meaning in (_SILENT, _LOGIN_BROKEN) and heard:
        meaning = _LOGIN_BROKEN if opened else _NOT_OPENED
    told = meaning.sentence.format(where=where, user=user, suites=_none_of(suites), text=text)
    return meaning.kind(told, hint=meaning.hint)


def _none_of(suites: Sequence[int]) -> str:
    if len(suites) == 1:
        return f"does not accept cipher suite {suites[0]}, the only one that was tried"
    return f"accepts neither cipher suite {' nor '.join(map(str, suites))}, the two that are safe"


def no_answer(what: str, *, where: str, waited_s: float) -> BmcTimeoutError:
    """Return the error for a command to a logged-in BMC that got no answer."""
    return BmcTimeoutError(
        f"{where} gave no answer to {what!r} within {waited_s:.0f} s",
        hint="the BMC hangs or the LAN is cut; try again",
    )


def refusal(code: int, what: str, *, where: str, user: str, own: Mapping[int, str] | None = None) -> LabError:
    """Return the error for a completion code other than 0 (IPMI 2.0 table 5-2).

    `own` is what the codes 0x80 to 0xBE mean that belong to this command.
    """
    if code == 0xD4:
        return AuthenticationError(f"{where} does not let user {user} do {what!r}", hint=_PRIVILEGE.hint)
    if code in _TRANSIENT_CODES:
        return BmcBusyError(f"{where} {_TRANSIENT_CODES[code]} ({what}, code {code:#04x})", hint=_WAIT)
    meaning = (own or {}).get(code) or _CODES.get(code, "refused")
    told = f"{where} {meaning} ({what}, completion code {code:#04x})"
    if code in UNSETTLED:
        return UnclearStateError(told, hint=_WAIT)
    kind = NotOfferedError if code in UNKNOWN_COMMANDS else LabError
    return kind(told, hint=_CODE_HINTS.get(code, _BEYOND))
