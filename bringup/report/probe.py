"""What is told of a probe that failed beside one that came through."""

from __future__ import annotations

from collections.abc import Iterator

from bringup.jobs.capture.job import OnBoard
from bringup.jobs.capture.probes import PROBES
from bringup.report.style import glyph


def failed_lines(probed: OnBoard) -> Iterator[str]:
    """Yield which probes brought nothing or not all, why, and what to do."""
    for name, error in probed.failed.items():
        yield f"{glyph('bad')} {PROBES[name].title} failed: {error.message}"
        if error.hint:
            yield f"do        {error.hint}"
