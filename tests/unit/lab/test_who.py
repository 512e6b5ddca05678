"""Whose name others read when a board is held."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping

import pytest

from bringup.lab.who import person

OWN = pwd.getpwuid(os.getuid()).pw_name


def nobody_logged_in() -> str:
    raise OSError(6, "No such device or address")


@pytest.mark.parametrize(
    ("environment", "uid", "login", "name"),
    [
        ({"SUDO_USER": "anna"}, 0, "root", "anna"),
        ({"DOAS_USER": "anna"}, 0, "root", "anna"),
        # A variable that is left over in a shell of one's own says nothing.
        ({"SUDO_USER": "root"}, 1000, "anna", "anna"),
        # `su -`: the environment is root's, the kernel remembers who logged in.
        ({"USER": "root", "LOGNAME": "root"}, 0, "anna", "anna"),
        ({"SSH_CONNECTION": "10.0.0.9 52114 10.0.0.1 22"}, 1000, "lab", "lab from 10.0.0.9"),
        ({"SSH_CONNECTION": "fe80::1%eth0 1 fe80::2 22"}, 1000, "lab", "lab from fe80::1%eth0"),
        ({"SSH_CONNECTION": ""}, 1000, "lab", "lab"),
        ({"BRINGUP_AS": "anna", "SUDO_USER": "lab", "SSH_CONNECTION": "10.0.0.9 1 2 3"}, 0, "root", "anna"),
        ({"BRINGUP_AS": ""}, 1000, "lab", "lab"),
    ],
)
def test_the_person_is_named_and_not_the_account(
    environment: Mapping[str, str], uid: int, login: str, name: str
) -> None:
    assert person(environment, uid=lambda: uid, login=lambda: login) == name


def test_without_a_login_the_account_is_named_and_one_without_a_name_by_its_number() -> None:
    assert person({}, uid=os.getuid, login=nobody_logged_in) == OWN
    assert person({}, uid=lambda: 3_999_999, login=nobody_logged_in) == "uid 3999999"
