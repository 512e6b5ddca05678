"""The files that a run of verify can leave for others: a page, JUnit XML, JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bringup.base.whole_file import make_folder, write_whole
from bringup.report.html.verify import verify_html
from bringup.report.junit import junit_xml


def write_report(folder: Path, body: Mapping[str, Any]) -> list[str]:
    """Write the run's files into `folder` and return their names; raises UsageError where that cannot be."""
    make_folder(folder)
    files = {
        "report.html": verify_html(body).encode(),
        "verify.json": json.dumps(body, indent=2, default=str).encode() + b"\n",
        "junit.xml": junit_xml(body),
    }
    if "page" in body:
        page = Path(body["page"])
        files[page.name] = page.read_bytes()
    for name, data in files.items():
        write_whole(folder / name, data)
    return list(files)
