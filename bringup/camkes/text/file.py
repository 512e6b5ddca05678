"""Reads and replaces .camkes files, never over something that nobody else has.

A file that is changed in place keeps a copy beside it (`APP.camkes.bak`, `.bak2`, …), its mode, and its link.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from bringup.base.errors import UsageError
from bringup.base.whole_file import unwritable, write_whole
from bringup.camkes.text.tokens import MAX_CHARACTERS
from bringup.profile.toml_lines import shown_path

# Files of /proc may keep a reader waiting.
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
_BACKUPS_MAX = 99


def read_file(path: Path) -> bytes:
    """Return a file's bytes; raises UsageError for one that is missing, unreadable, too large or no file."""
    shown = shown_path(path.absolute())
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"{shown} is not a file", hint="name the application's .camkes file")
        with os.fdopen(os.open(path, _READ), "rb") as file:
            data = file.read(MAX_CHARACTERS + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no file can be called so"
        raise UsageError(f"{shown} cannot be read: {reason}") from None
    return within_bounds(shown, data or b"")


def real_path(path: Path) -> Path:
    """Return a path without links; raises UsageError for a link that leads to itself."""
    try:
        return Path(os.path.realpath(path, strict=True))
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UsageError(f"{path} is a link that leads to itself", hint="name another file") from None
    return Path(os.path.realpath(path))


def within_bounds(shown: str, data: bytes) -> bytes:
    """Return the content of a file; raises UsageError for more than any application has."""
    if len(data) > MAX_CHARACTERS:
        raise UsageError(f"{shown} is larger than a .camkes file may be ({MAX_CHARACTERS >> 20} MiB)")
    return data


def replace_kept(target: Path, was: bytes, data: bytes) -> Path:
    """Make `data` the content of a file that was read as `was`; return where that is kept.

    Raises UsageError where the file is another by now: what somebody else just wrote is not lost.
    """
    if read_file(target) != was:
        raise UsageError(
            f"{target} was changed by somebody else meanwhile and is left alone", hint="run it again"
        )
    backup = keep_backup(target, was)
    write_whole(target, data)
    return backup


def keep_backup(target: Path, data: bytes) -> Path:
    """Keep the bytes that are about to be replaced beside the file; return where. No older copy is lost."""
    real = target.resolve()
    for number in range(1, _BACKUPS_MAX):
        backup = real.with_name(f"{real.name}.bak{'' if number == 1 else number}")
        try:
            if backup.is_file() and backup.stat().st_size == len(data) and backup.read_bytes() == data:
                return backup
            descriptor = os.open(backup, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                os.fchmod(descriptor, real.stat().st_mode & 0o777)
        except FileExistsError:
            continue
        except OSError as error:
            raise unwritable(backup, error) from None
        return backup
    raise UsageError(
        f"{real.name} has {_BACKUPS_MAX - 1} backups beside it", hint="delete what you do not need"
    )
