"""Unpacks zstd by its program, under limits: Python has no such module before 3.14."""

from __future__ import annotations

import resource
import subprocess
import tempfile

from bringup.base.errors import MissingProgramError

_SECONDS = 30.0
_COMMAND = ("zstd", "-dcq", "--memory=128MB")


def unpack_zstd(data: bytes, limit: int) -> bytes:
    """Return the first `limit` bytes of what is packed.

    Raises ValueError for what is damaged, MissingProgramError without the program.
    """
    with tempfile.TemporaryFile() as packed, tempfile.TemporaryFile() as plain:
        packed.write(data)
        packed.seek(0)
        try:
            done = subprocess.run(
                _COMMAND,
                stdin=packed,
                stdout=plain,
                stderr=subprocess.DEVNULL,
                timeout=_SECONDS,
                check=False,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
            )
        except FileNotFoundError:
            raise MissingProgramError("the program zstd is not installed", hint="apt install zstd") from None
        except subprocess.TimeoutExpired:
            raise ValueError("it does not unpack in time") from None
        plain.seek(0)
        found = plain.read()
    # What reaches the limit was ended there, and is no damage.
    if done.returncode != 0 and len(found) < limit:
        raise ValueError("its zstd stream is damaged")
    return found
