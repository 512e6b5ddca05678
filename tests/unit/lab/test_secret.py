"""Secrets: looked up when used, from where they should come, and shown nowhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import types
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from bringup.base.errors import LabError, MissingProgramError
from bringup.lab.secret import Secret, from_command, from_environment, from_file, from_keyring

PASSWORD = "hunter2-Zx"


def test_a_secret_is_shown_nowhere() -> None:
    @dataclass
    class Login:
        user: str
        password: Secret

    secret = Secret(PASSWORD)
    login = Login("ADMIN", secret)
    shown = f"{secret} {secret!r} {[secret]} {login} {json.dumps(asdict(login), default=str)}"
    assert PASSWORD not in shown
    assert "***" in shown
    assert secret.reveal() == PASSWORD


def test_it_is_looked_up_once_and_only_when_used() -> None:
    calls: list[int] = []

    def look_up() -> str:
        calls.append(1)
        return PASSWORD

    secret = Secret(look_up)
    assert calls == []
    assert (secret.reveal(), secret.reveal(), calls) == (PASSWORD, PASSWORD, [1])


def test_environment() -> None:
    assert from_environment("P", {"P": PASSWORD}) == PASSWORD
    with pytest.raises(LabError, match="variable P, which holds a password, is not set"):
        from_environment("P", {})
    with pytest.raises(LabError, match="is empty"):
        from_environment("P", {"P": ""})


def private_file(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "password"
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("content", [b"hunter2-Zx", b"hunter2-Zx\n", b"hunter2-Zx\r\n"])
def test_file(tmp_path: Path, content: bytes) -> None:
    assert from_file(private_file(tmp_path, content)) == PASSWORD


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777])
def test_a_file_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = private_file(tmp_path, PASSWORD.encode(), mode)
    with pytest.raises(LabError) as caught:
        from_file(path)
    assert f"has mode {mode:04o}" in caught.value.message
    assert caught.value.hint == f"chmod 0600 {path}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = private_file(tmp_path, PASSWORD.encode())
    os.chown(path, 12345, 12345)
    with pytest.raises(LabError, match="belongs to user id 12345, not to you"):
        from_file(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty password"),
        (b"\n", "empty password"),
        (b"a\nb\n", "several lines"),
        (b"\xff", "not UTF-8"),
    ],
)
def test_files_that_hold_no_password(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(LabError, match=reason):
        from_file(private_file(tmp_path, content))


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="No such file"):
        from_file(tmp_path / "none")
    with pytest.raises(LabError, match="not a regular file"):
        from_file(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(LabError, match="not a regular file"):
        from_file(tmp_path / "pipe")
    with pytest.raises(LabError, match="more than 4096 bytes"):
        from_file(private_file(tmp_path, b"x" * 5000))


def test_a_file_that_is_not_there_says_how_it_is_made(tmp_path: Path) -> None:
    path = tmp_path / "e300-1"
    with pytest.raises(LabError, match="cannot read") as told:
        from_file(path)
    assert told.value.hint is not None
    command = told.value.hint.split("`")[1]
    subprocess.run(command.split(), input=b"secret\n", check=True)
    assert from_file(path) == "secret"


def test_command() -> None:
    # No shell: what it would expand arrives as it is.
    assert from_command(["printf", "%s\n", "$HOME;`id`"]) == "$HOME;`id`"


def test_commands_that_fail() -> None:
    with pytest.raises(MissingProgramError, match="no-such-program is not installed"):
        from_command(["no-such-program"])
    with pytest.raises(LabError, match="printf gave an empty password"):
        from_command(["printf", ""])
    with pytest.raises(LabError) as caught:
        from_command(["sh", "-c", f"echo {PASSWORD}; echo {PASSWORD} >&2; exit 3"])
    assert caught.value.message == "the password command sh ended with status 3"
    assert PASSWORD not in repr(caught.value) + str(caught.value.hint)


def test_a_command_that_hangs_is_ended() -> None:
    began = time.monotonic()
    with pytest.raises(LabError, match="did not end within 1 s") as caught:
        from_command(["sh", "-c", f"echo {PASSWORD}; sleep 60 & sleep 60"], timeout_s=1)
    assert time.monotonic() - began < 30
    assert PASSWORD not in repr(caught.value) + repr(caught.value.__cause__)


def test_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(LabError, match="the package keyring is not installed"):
        from_keyring("lab", "ADMIN")

    class KeyringError(Exception):
        pass

    def get_password(service: str, user: str) -> str | None:
        if service == "locked":
            raise KeyringError(PASSWORD)
        return {("lab", "ADMIN"): PASSWORD}.get((service, user))

    fake = types.ModuleType("keyring")
    fake.errors = types.SimpleNamespace(KeyringError=KeyringError)  # type: ignore[attr-defined]
    fake.get_password = get_password  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", fake)
    assert from_keyring("lab", "ADMIN") == PASSWORD
    with pytest.raises(LabError, match="the keyring has no password of other for lab"):
        from_keyring("lab", "other")
    with pytest.raises(LabError) as caught:
        from_keyring("locked", "ADMIN")
    assert PASSWORD not in caught.value.message
