"""Who has which board, where lease files are what somebody left behind."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bringup.base.paths import home_runtime_dir
from bringup.lab.held import leases, leases_of
from bringup.lab.inventory import Lab, twin_board
from bringup.report.lab import lab_json, lab_lines
from bringup.report.lease import lease_json, lease_lines
from bringup.report.style import colourless

pytestmark = pytest.mark.usefixtures("home")

LAB = Lab({name: twin_board(name) for name in ("e300", "other")})
BAD: dict[str, Callable[[Path], Any]] = {
    "pipe": os.mkfifo,
    "folder": lambda path: path.mkdir(),
    "link to itself": lambda path: path.symlink_to(path),
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
    "huge": lambda path: os.truncate(path, 1 << 40) if path.touch() is None else None,
    "deep": lambda path: path.write_text("[" * 100_000),
    "bytes": lambda path: path.write_bytes(bytes(range(256)) * 8),
    "empty": lambda path: path.touch(),
    "far beyond a calendar": lambda path: path.write_text(
        f'{{"who": "a", "pid": 1, "purpose": "b", "since": {10**400}, "until": {10**400}}}'
    ),
    "types": lambda path: path.write_text('{"who": [1], "pid": {}, "purpose": 1, "since": "x"}'),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", ["lease-e300.json", "lease-e300.taken"])
def test_a_file_that_is_no_lease_costs_at_most_one_line(name: str, bad: str) -> None:
    BAD[bad](home_runtime_dir() / name)
    found = leases(LAB)
    assert all(lease.board == "e300" and lease.holder is None and lease.problem for lease in found)
    assert len(found) <= 1
    assert len("\n".join(lease_lines(found)).splitlines()) <= 2
    json.dumps([lease_json(lease) for lease in found])
    assert len(lab_json(LAB, {})["boards"]) == 2
    (row,) = (line for line in "\n".join(lab_lines(LAB, {})).splitlines() if line.startswith("e300"))
    assert colourless(row).endswith("cannot be read)" if found else "-")


def test_looking_makes_no_file() -> None:
    assert leases_of(twin_board("e300")) == []
    assert list(home_runtime_dir().iterdir()) == []
