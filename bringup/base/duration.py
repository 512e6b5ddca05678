"""Lengths of time as people type and read them: `2h`, `90m`, `1h30m`."""

from __future__ import annotations

import re

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*(min|[smhd])\s*", re.ASCII)


def seconds_of(text: str) -> float:
    """Return the seconds in a length of time; raises ValueError for anything else."""
    parts = _PART.findall(text)
    if not parts or _PART.sub("", text):
        raise ValueError("expected a length of time, such as 2h, 90m or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def rough_duration(seconds: float) -> str:
    """Return a length of time in its two greatest units: `1 h 30 min`."""
    left = max(0, round(seconds))
    for unit, size, below, small in (("d", 86400, "h", 3600), ("h", 3600, "min", 60)):
        if left >= size:
            rest = left % size // small
            return f"{left // size} {unit}" + (f" {rest} {below}" if rest else "")
    return f"{left // 60} min" if left >= 120 else f"{left} s"
