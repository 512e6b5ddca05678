"""Writes .camkes files: whole or not at all, and never over something that nobody else has.

A file that is changed in place keeps a copy beside it (`APP.camkes.bak`, `.bak2`, …), its mode, and its link.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bringup.camkes.model import Application, Place
from bringup.errors import UsageError
from bringup.profile_toml import shown_path

MAX_BYTES = 16 << 20
_BACKUPS_MAX = 99
# The command line's umask keeps runs private; a configuration goes into a repository.
_NEW_MODE = 0o644


def read_file(path: Path) -> bytes:
    """Return a file's bytes; raises UsageError for one that is missing, unreadable, too large or no file."""
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is not a file", hint="name the application's .camkes file")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    if len(data) > MAX_BYTES:
        raise UsageError(f"{path} has more than {MAX_BYTES >> 20} MiB and is no .camkes file")
    return data


def told_as(application: Application, part: Path, target: Path) -> Application:
    """Return what was read from a draft with its places as those of the file it is a draft of."""
    name, drafted = shown_path(target.absolute()), shown_path(part.absolute())

    def there(place: Place) -> Place:
        return replace(place, file=name) if place.file == drafted else place

    return replace(
        application,
        root=name,
        settings=tuple(
            replace(setting, place=there(setting.place), places=tuple(map(there, setting.places)))
            for setting in application.settings
        ),
        instances=tuple(replace(each, place=there(each.place)) for each in application.instances),
    )


@contextmanager
def draft(target: Path, data: bytes) -> Iterator[Path]:
    """Write `data` beside `target` for the time of a context, so that its includes are found as they will be.

    Raises UsageError when the folder cannot be written to.
    """
    folder = target.resolve().parent
    try:
        descriptor, name = tempfile.mkstemp(dir=folder, prefix=f".{target.name[:64]}.", suffix=".camkes")
    except OSError as error:
        raise _unwritable(target, error) from None
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        yield part
    except OSError as error:
        raise _unwritable(target, error) from None
    finally:
        part.unlink(missing_ok=True)


def put(part: Path, target: Path) -> None:
    """Make a draft the file: with the mode of the one it replaces, through a link to where that leads."""
    real = target.resolve()
    try:
        mode = real.stat().st_mode & 0o7777 if real.exists() else _NEW_MODE
        part.chmod(mode)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(real)
    except OSError as error:
        raise _unwritable(target, error) from None


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
            raise _unwritable(backup, error) from None
        return backup
    raise UsageError(
        f"{real.name} has {_BACKUPS_MAX - 1} backups beside it", hint="delete what you do not need"
    )


def _unwritable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"cannot write {path}: {(error.strerror or str(error)).lower()}",
        hint="name a file in a folder that you may write to",
    )
