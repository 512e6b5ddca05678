"""The difference of two texts as `diff -u` shows it."""

from __future__ import annotations

from difflib import unified_diff
from pathlib import Path


def unified(old: bytes, new: bytes, path: Path) -> str:
    """Return what changes in the file at `path`; `patch` takes it."""
    before, after = (data.decode("utf-8", "replace").splitlines(keepends=True) for data in (old, new))
    lines = list(unified_diff(before, after, f"{path}", f"{path} (updated)"))
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )
