"""Entries of folders, and names of at most 8 and 3 characters: what making and reading share."""

from __future__ import annotations

import re

ENTRY_BYTES = 32
DIRECTORY, LABEL, ARCHIVE = 0x10, 0x08, 0x20
"""Attributes of an entry."""
NAME = re.compile(r"[A-Za-z0-9_-]{1,8}(\.[A-Za-z0-9_-]{1,3})?", re.ASCII)

FAT12_CLUSTERS, FAT16_CLUSTERS = 4085, 65525
"""A file system with fewer clusters is FAT12, else with fewer FAT16, else FAT32."""


def short_name(name: str) -> bytes:
    """Return a name as an entry has it."""
    base, _, extension = name.upper().partition(".")
    return (base.ljust(8) + extension.ljust(3)).encode("ascii")
