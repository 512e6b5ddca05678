"""Commands that mend need root's rights, and root needs no sudo."""

from __future__ import annotations

import os


def as_root(command: str) -> str:
    """Return the command as this user has to type it."""
    return command if os.geteuid() == 0 else f"sudo {command}"
