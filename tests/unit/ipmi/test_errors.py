"""What pyghmi and BMCs say, as errors by fault, each with one sentence and a next step."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyghmi.ipmi.private.constants import rmcp_codes

from bringup.base.errors import (
    AuthenticationError,
    BmcBusyError,
    BmcTimeoutError,
    CipherError,
    LabError,
    LoginUnfinishedError,
    NoSessionError,
)
from bringup.ipmi.errors import (
    NO_PRIVILEGE,
    NO_PRIVILEGE_YET,
    NOT_READY,
    OLD_BMC,
    login_failure,
    no_answer,
    refusal,
)
from bringup.ipmi.login import BmcAddress
from bringup.lab.secret import Secret

WHERE = "the BMC at 10.0.0.17 port 623"


def failure(message: str | None, *, heard: bool = True) -> LabError:
    return login_failure(message, where=WHERE, user="ADMIN", heard=heard, suites=(17, 3))


@pytest.mark.parametrize(
    ("message", "kind", "words"),
    [
        ("Incorrect password provided", AuthenticationError, "refused the password of user ADMIN"),
        ("Unauthorized name in RAKP2", AuthenticationError, "does not know the user ADMIN"),
        ("Invalid integrity check value in RAKP2", AuthenticationError, "refused the password"),
        (
            "No Cipher suite match with proposed security algorithms",
            CipherError,
            "neither cipher suite 17 nor 3",
        ),
        ("Invalid integrity algorithm", CipherError, "neither cipher suite"),
        ("Insufficient resources to create new session (wait ...)", BmcBusyError, "no free session"),
        ("Insufficient resources to create a session at the requested role", BmcBusyError, "no free session"),
        ("Unauthorized role or privilege level requested in RAKP2", AuthenticationError, "privilege"),
        ("Requested privilege refused", AuthenticationError, "privilege"),
        ("Session failed to initialize", LoginUnfinishedError, "did not finish the login"),
        ("timeout", LoginUnfinishedError, "did not finish the login"),
        ("something nobody has seen", NoSessionError, "something nobody has seen"),
        ("Invalid RAKP4 integrity code (wrong Kg?)", AuthenticationError, "accepts the password .* \\(K_G"),
        (
            "Illegal or unrecognized parameter in RAKP2",
            AuthenticationError,
            "refused the login of user ADMIN",
        ),
        ("Unauthorized GUID in RAKP2", AuthenticationError, "refused the login of user ADMIN"),
        ("Invalid Session ID in RAKP2", BmcBusyError, "forgets sessions"),
        (OLD_BMC, NoSessionError, "offers IPMI 1.5 only"),
        (f"{NOT_READY} (code 0xc0)", BmcBusyError, "busy or still starting"),
        (f"{NO_PRIVILEGE} (code 0xcc)", NoSessionError, "accepted the login of user ADMIN and refuses"),
        (f"{NO_PRIVILEGE_YET} (code 0xc0)", BmcBusyError, "began no session"),
        (
            "Invalid command while trying to get channel authentication capabalities",
            NoSessionError,
            "does not offer IPMI over LAN",
        ),
    ],
)
def test_login_messages(message: str, kind: type[LabError], words: str) -> None:
    error = failure(message)
    assert type(error) is kind
    assert re.search(words, error.message)
    assert WHERE in error.message
    assert error.hint
    assert error.exit_code == 10


def test_a_bmc_that_begins_no_session_was_never_told_a_user() -> None:
    error = login_failure("timeout", where=WHERE, user="ADMIN", heard=True, suites=(17, 3), opened=False)
    assert type(error) is LoginUnfinishedError
    assert "ADMIN" not in error.message
    assert "IPMI over LAN" in str(error.hint)


@pytest.mark.parametrize("status", sorted(rmcp_codes))
def test_every_status_of_a_login_has_a_meaning(status: int) -> None:
    """IPMI 2.0 table 13-15: none of them is left to pyghmi's words alone."""
    error = failure(f"{rmcp_codes[status]} in RAKP2")
    assert "ipmitool -v" not in str(error.hint)


def test_a_user_that_is_known_and_locked_out_is_thought_of() -> None:
    hint = str(failure("Unauthorized name in RAKP2").hint)
    assert "enabled" in hint
    assert "locked" in hint


def test_the_suites_that_were_tried_are_named() -> None:
    message = "No Cipher suite match with proposed security algorithms"
    error = login_failure(message, where=WHERE, user="ADMIN", heard=True, suites=(17,))
    assert error.message == f"{WHERE} does not accept cipher suite 17, the only one that was tried"
    error = login_failure(message, where=WHERE, user="ADMIN", heard=True, suites=(3, 17))
    assert "neither cipher suite 3 nor 17" in error.message


@pytest.mark.parametrize("message", [None, "", "timeout"])
def test_no_message_from_a_bmc_never_heard_is_no_answer(message: str | None) -> None:
    error = failure(message, heard=False)
    assert isinstance(error, BmcTimeoutError)
    assert error.message == f"no answer from {WHERE}"


@pytest.mark.parametrize(
    ("code", "busy"), [(0xC0, True), (0xC3, True), (0xD2, True), (0xC1, False), (0xCC, False)]
)
def test_only_transient_codes_count_as_busy(code: int, busy: bool) -> None:
    error = refusal(code, "power on", where=WHERE, user="ADMIN")
    assert isinstance(error, BmcBusyError) is busy
    assert "power on" in error.message and f"{code:#04x}" in error.message


def test_too_little_privilege_is_a_matter_of_credentials() -> None:
    error = refusal(0xD4, "power on", where=WHERE, user="guest")
    assert isinstance(error, AuthenticationError)
    assert "guest" in error.message and error.hint


@given(st.integers(1, 255))
def test_every_code_makes_one_sentence(code: int) -> None:
    error = refusal(code, "power on", where=WHERE, user="ADMIN")
    assert "\n" not in error.message and WHERE in error.message


@given(st.text(max_size=200))
def test_every_login_message_makes_an_error(message: str) -> None:
    assert failure(message).message


def test_silence_after_login_names_the_command() -> None:
    error = no_answer("chassis power status", where=WHERE, waited_s=6.0)
    assert isinstance(error, BmcTimeoutError)
    assert "'chassis power status' within 6 s" in error.message


def test_an_address_shows_no_password() -> None:
    bmc = BmcAddress("10.0.0.17", 623, "ADMIN", Secret("s3cret"))
    assert "s3cret" not in f"{bmc} {bmc!r}"
