"""What tells a generated configuration from one written by hand, without reading what it says."""

from __future__ import annotations

MARK = "// bringup: "
HEADER_BYTES = 1 << 16
"""How far into a file the marked lines are looked for."""


def is_generated(head: bytes) -> bool:
    """Whether a file's first bytes hold the mark of a generated file."""
    return MARK.encode() in head[:HEADER_BYTES]
