"""A migration of a file: which spellings are today's now, and what a person has to look at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bringup.jobs.configure.migrate import PlannedMigration
from bringup.report.camkes.unified import unified


def migration_lines(planned: PlannedMigration, backup: Path | None) -> Iterator[str]:
    """Yield what is told of a migration; `backup` None: nothing was written."""
    yield from planned.done
    yield from (f"careful   {note}" for note in planned.notes)
    yield from (f"careful   {note}" for note in planned.left)
    if not planned.stale:
        ours = "has no old spelling of its own" if planned.left else "is today's already"
        yield f"{planned.application} {ours}"
    elif backup is not None:
        yield f"wrote {planned.application}, the old one is {backup.name}"


def migration_diff(planned: PlannedMigration) -> str:
    """Return what changes as a unified diff."""
    return unified(planned.old, planned.new, planned.application)


def migration_json(planned: PlannedMigration, exit_code: int, backup: Path | None) -> dict[str, Any]:
    """Return a migration as plain JSON data."""
    return {
        "schema": 1,
        "exit_code": exit_code,
        "file": str(planned.application),
        "diff": migration_diff(planned),
        "done": planned.done,
        "notes": [*planned.notes, *planned.left],
        "backup": backup and str(backup),
    }
