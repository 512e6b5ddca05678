"""Passwords by reference: looked up when first used, never shown.

A lab file names where a password is, not what it is: an environment variable, a file of mode 0600, a
command's output, or the desktop's keyring.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path

from bringup.base.errors import LabError, MissingProgramError

COMMAND_TIMEOUT_S = 10.0
_SIZE_MAX_BYTES = 4096


class Secret:
    """A text that no log, event, plan, exception or repr shows; `reveal` is the only way to it."""

    __slots__ = ("_look_up", "_value")

    def __init__(self, source: str | Callable[[], str]) -> None:
        self._value: str | None = None
        self._look_up: Callable[[], str] | None = None
        if isinstance(source, str):
            self._value = source
        else:
            self._look_up = source

    def reveal(self) -> str:
        """Return the text, looking it up the first time; raises LabError when that fails or it is empty."""
        if self._value is None:
            assert self._look_up is not None  # noqa: S101  # one of the two is always set
            self._value = self._look_up()
        return self._value

    def __repr__(self) -> str:
        return "***"


def from_environment(name: str, environment: Mapping[str, str] | None = None) -> str:
    """Return the password in the environment variable `name`."""
    value = (os.environ if environment is None else environment).get(name)
    if not value:
        state = "empty" if value is not None else "not set"
        raise LabError(
            f"the environment variable {name}, which holds a password, is {state}", hint=f"export {name}=..."
        )
    return value


def from_file(path: Path) -> str:
    """Return the password in a file that is the user's own and closed to everybody else."""
    try:
        # Not blocking: a named pipe here would otherwise hold us for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        hint = _typed_in(path) if isinstance(error, FileNotFoundError) else None
        raise LabError(f"cannot read the password file {path}: {error.strerror}", hint=hint) from None
    try:
        _check_is_private(path, os.fstat(descriptor))
        data = os.read(descriptor, _SIZE_MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    return _as_password(data, f"the password file {path}")


def _typed_in(path: Path) -> str:
    return f"`install -m 0600 /dev/stdin {path}` takes it from the keyboard: the password, Enter, Ctrl-D"


def _check_is_private(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise LabError(f"the password file {path} is not a regular file")
    if status.st_uid != os.geteuid():
        raise LabError(
            f"the password file {path} belongs to user id {status.st_uid}, not to you ({os.geteuid()})",
            hint=f"sudo chown {os.geteuid()} {path}",
        )
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        raise LabError(
            f"the password file {path} has mode {mode:04o}: others can read or change it",
            hint=f"chmod 0600 {path}",
        )


def from_command(words: Sequence[str], *, timeout_s: float = COMMAND_TIMEOUT_S) -> str:
    """Return what a command prints (no shell; its input is empty; it ends within `timeout_s` seconds)."""
    # Imported late: most labs run no command for a password.
    import shutil
    import subprocess

    program = words[0]
    if shutil.which(program) is None:
        raise MissingProgramError(f"the password command {program} is not installed")
    # The command's own output and errors stay out of the message: they may quote the password.
    what = f"the password command {program}"
    try:
        done = subprocess.run(
            ["setpriv", "--pdeathsig", "KILL", "--", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise LabError(f"{what} did not end within {timeout_s:.0f} s", hint="run it by hand once") from None
    except OSError as error:
        raise LabError(f"{what} could not be started: {error.strerror}") from None
    if done.returncode != 0:
        raise LabError(f"{what} ended with status {done.returncode}", hint="run it by hand to see why")
    return _as_password(done.stdout, what)


def from_keyring(service: str, user: str) -> str:
    """Return the password of `user` for `service` from the keyring, if the package `keyring` is installed."""
    try:
        keyring = import_module("keyring")
    except ImportError:
        raise LabError(
            f"the password is in the keyring ({service}), and the package keyring is not installed",
            hint="pip install keyring, or use env, file or command in the lab file",
        ) from None
    try:
        value = keyring.get_password(service, user)
    except keyring.errors.KeyringError as error:
        raise LabError(f"the keyring gave no password for {service}: {type(error).__name__}") from None
    if not value:
        raise LabError(
            f"the keyring has no password of {user} for {service}", hint=f"keyring set {service} {user}"
        )
    return str(value)


def _as_password(data: bytes, where: str) -> str:
    if len(data) > _SIZE_MAX_BYTES:
        raise LabError(f"{where} gave more than {_SIZE_MAX_BYTES} bytes: that is not a password")
    try:
        value = data.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise LabError(f"{where} gave bytes that are not UTF-8 text") from None
    if not value:
        raise LabError(f"{where} gave an empty password")
    if "\n" in value:
        raise LabError(f"{where} gave several lines; the password must be the only one")
    return value
