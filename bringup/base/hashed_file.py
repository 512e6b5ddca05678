"""Whether a file still has the bytes that were hashed: only other bytes are a change."""

from __future__ import annotations

import hashlib
import os

_READ_BYTES = 1 << 20


class HashedFile:
    """A file as it was when somebody hashed it: `sha256` in hexadecimal digits, `changed_ns` its st_ctime_ns.

    Without `sha256` every change of st_ctime counts, without `changed_ns` none.
    """

    def __init__(self, sha256: str | None, changed_ns: int | None) -> None:
        self._sha256 = sha256
        self._changed_ns = changed_ns
        self._sound_ns: int | None = None

    def is_same(self, descriptor: int) -> bool:
        """Return whether an open file has these bytes; reads all of it where only they tell. Raises OSError.

        What is found is remembered: the bytes are read once after each change.
        """
        now_ns = os.fstat(descriptor).st_ctime_ns
        if self._changed_ns is None or now_ns in (self._changed_ns, self._sound_ns):
            return True
        # A link, a mode or a name that was taken away changes st_ctime, too, and no byte of it.
        if self._sha256 is None or _sha256(descriptor) != self._sha256:
            return False
        self._sound_ns = now_ns
        return True


def _sha256(descriptor: int) -> str:
    """Hash an open file from its beginning; whoever else reads it keeps their place."""
    digest, at = hashlib.sha256(), 0
    while block := os.pread(descriptor, _READ_BYTES, at):
        digest.update(block)
        at += len(block)
    return digest.hexdigest()
