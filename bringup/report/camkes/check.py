"""A check of an application: the answer, then each finding, then what was not checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bringup.jobs.configure.check import Checked
from bringup.report.findings import configuration_lines, count_line, report_json
from bringup.report.screen import folded
from bringup.report.style import glyph


def check_lines(checked: Checked, exit_code: int, width: int | None, *, verbose: bool) -> Iterator[str]:
    """Yield what is told of a check; `width` None: lines are not folded."""
    code = f"  (exit {exit_code})" if exit_code else ""
    yield f"{glyph('bad' if exit_code else 'ok')} {count_line(checked.report)}{code}"
    if checked.application.missing_includes:
        unread = ", ".join(checked.application.missing_includes)
        yield f"not read: {unread} (what is checked is a part of the application)"
    yield from folded(configuration_lines(checked.report, verbose=verbose), width)


def check_json(checked: Checked, exit_code: int, captures: Sequence[str]) -> dict[str, Any]:
    """Return a check as plain JSON data (docs/camkes-check.md); `captures` as they were named."""
    profile, build = checked.facts.profile, checked.facts.build
    inputs = {
        "captures": list(captures),
        "profile": profile.name if profile else None,
        "build": str(build.folder) if build else None,
        "missing_includes": list(checked.application.missing_includes),
    }
    return report_json(checked.report, exit_code=exit_code, inputs=inputs)
