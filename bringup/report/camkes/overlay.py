"""An overlay: what it gives to whom, whether it was written, what its check says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bringup.base.finding import finding_json
from bringup.jobs.configure.overlay import PlannedOverlay
from bringup.report.camkes.passthrough import grant_lines, grants_json
from bringup.report.findings import count_line, short_lines
from bringup.report.screen import folded


def overlay_lines(planned: PlannedOverlay, width: int | None) -> Iterator[str]:
    """Yield what is told of an overlay once it is written; `width` None: lines are not folded."""
    application, output, report = planned.application, planned.output, planned.report
    yield from folded(grant_lines(planned.assigned.passthrough), width, 10)
    if output is not None:
        yield f"{'unchanged' if planned.current else 'wrote'} {output} ({count_line(report)})"
    else:
        yield count_line(report)
    yield from folded(short_lines(report), width, 6)
    if output is not None and report.clean:
        folder = output.resolve().parent
        # A folder per platform below the application's, as in camkes-vm-examples#90.
        platform = f"-DPLATFORM={folder.name} and " if folder.parent == application.resolve().parent else ""
        yield f"build with   {platform}this file as the application's .camkes"


def overlay_json(planned: PlannedOverlay, exit_code: int) -> dict[str, Any]:
    """Return an overlay as plain JSON data (docs/camkes.md)."""
    return {
        "schema": 2,
        "exit_code": exit_code,
        "file": planned.output and str(planned.output),
        "changed": not planned.current,
        "devices": grants_json(planned.assigned.passthrough),
        "cautions": list(planned.assigned.passthrough.cautions),
        "findings": [*map(finding_json, planned.report.findings)],
        "text": planned.text,
    }
