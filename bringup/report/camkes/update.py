"""An update of a file: what it gives to whom, what changes, what the check says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bringup.base.finding import finding_json
from bringup.jobs.configure.update import PlannedUpdate
from bringup.report.camkes.passthrough import grant_lines, grants_json
from bringup.report.camkes.unified import unified
from bringup.report.findings import count_line, short_lines
from bringup.report.screen import folded


def update_lines(
    planned: PlannedUpdate, width: int | None, *, dry: bool, backup: Path | None
) -> Iterator[str]:
    """Yield what is told of an update; `dry`: nothing was written; `width` None: lines are not folded."""
    yield from folded(grant_lines(planned.assigned.passthrough), width, 10)
    yield f"{_outcome(planned, dry, backup)} ({count_line(planned.report)})"
    yield from folded(short_lines(planned.report), width, 6)


def _outcome(planned: PlannedUpdate, dry: bool, backup: Path | None) -> str:
    if not planned.stale:
        return f"{planned.target} is current"
    if dry:
        return f"{planned.target} is stale"
    kept = f", the old one is {backup.name}" if backup else ""
    return f"wrote {planned.target}{kept}"


def update_diff(planned: PlannedUpdate) -> str:
    """Return what changes as a unified diff."""
    return unified(planned.old, planned.new, planned.application)


def update_json(planned: PlannedUpdate, exit_code: int, backup: Path | None) -> dict[str, Any]:
    """Return an update as plain JSON data (docs/camkes.md)."""
    return {
        "schema": 2,
        "exit_code": exit_code,
        "file": str(planned.target),
        "stale": planned.stale,
        "backup": backup and str(backup),
        "diff": update_diff(planned),
        "devices": grants_json(planned.assigned.passthrough),
        "findings": [*map(finding_json, planned.report.findings)],
        "cautions": list(planned.assigned.passthrough.cautions),
    }
