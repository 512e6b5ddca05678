"""Writes a file that a person named: whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from bringup.base.errors import UsageError

# The command line's umask keeps runs private; what a person asked for by name is theirs to share.
_NEW_MODE = 0o644


def write_whole(target: Path, data: bytes) -> None:
    """Make `data` a file's content, with the mode it has, through a link to where that leads.

    Raises UsageError when that cannot be; then the file is what it was.
    """
    real = target.resolve()
    part: Path | None = None
    try:
        mode = real.stat().st_mode & 0o7777 if real.exists() else _NEW_MODE
        descriptor, name = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name[:64]}.", suffix=".part")
        part = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        part.replace(real)
        part = None
    except OSError as error:
        raise unwritable(target, error) from None
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def unwritable(path: Path, error: OSError) -> UsageError:
    """Return the sentence on a file that cannot be written."""
    return UsageError(
        f"cannot write {path}: {(error.strerror or str(error)).lower()}",
        hint="name a file in a folder that you may write to",
    )
