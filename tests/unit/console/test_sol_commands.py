"""Activations of SOL that are refused: a cause and a way on for every code (IPMI 2.0 24.1 and table 5-2)."""

from __future__ import annotations

import pytest

from bringup.base.errors import AuthenticationError, LabError
from bringup.console.sol.commands import SolCommands, other_port
from bringup.ipmi.client import IpmiClient
from bringup.ipmi.login import BmcAddress
from bringup.lab.secret import Secret


def refused(code: int) -> LabError:
    client = IpmiClient(BmcAddress("10.0.0.17", 623, "tester", Secret("x")))
    return SolCommands(client).refused(code)


@pytest.mark.parametrize(("code", "words", "way"), [
    (0x81, "SOL is disabled", "sol set enabled true"),
    (0x82, "greatest number of SOL sessions", "--steal"),
    (0x83, "does not allow SOL with encryption", "force-encryption true"),
    (0x84, "no SOL without encryption", "force-encryption false"),
    (0xC1, "has no SOL for anybody", "serial cable"),
    (0xCC, "has no SOL for anybody", "serial cable"),
    (0xD4, "does not let user tester have the console", "sol payload enable"),
    (0xD5, "in its present state", "try again"),
])  # fmt: skip
def test_a_refused_console_has_a_cause_and_a_way_on(code: int, words: str, way: str) -> None:
    error = refused(code)
    assert words in error.message and "10.0.0.17" in error.message
    assert way in str(error.hint)


@pytest.mark.parametrize("code", range(0x80, 0x100))
def test_every_code_has_one_sentence_and_a_hint(code: int) -> None:
    error = refused(code)
    assert error.hint and "{" not in error.message


def test_a_matter_of_rights_is_not_tried_again() -> None:
    assert type(refused(0xD4)) is AuthenticationError


@pytest.mark.parametrize(("port", "dialled", "other"), [
    ("6f02", 623, None),
    ("026f", 623, None),  # swapped
    ("6f02", 6230, None),  # a port forward to IPMI's own port
    ("5618", 6230, None),
    ("0000", 623, None),
    ("ffff", 623, None),
    ("", 623, None),
    ("70", 623, None),
    ("7002", 623, 624),
    ("7002", 6230, 624),
])  # fmt: skip
def test_a_console_at_a_port_that_nobody_asked_is_seen(port: str, dialled: int, other: int | None) -> None:
    assert other_port(bytes(4) + b"\xc8\0\xc8\0" + bytes.fromhex(port), dialled) == other
