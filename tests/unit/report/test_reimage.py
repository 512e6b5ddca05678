"""A re-image as text: what is said of the disk is true of it."""

from __future__ import annotations

from typing import Any

import pytest

from bringup.report.reimage import reimaged_lines

DISK = {"model": "QEMU HARDDISK", "name": "sda", "serial": "TWIN0"}
TOLD: dict[str, Any] = {
    "board": "e300",
    "disk": DISK,
    "action": "install",
    "slot": "A",
    "image_id": "1c06b491",
    "before_id": None,
    "begun": False,
    "written": False,
}


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"disk": None, "action": None}, "nothing was written"),
        ({}, "nothing was written: what it holds is as it was"),
        ({"action": "update", "before_id": "cf9f1b1a"}, "nothing was written: what it holds is as it was"),
        ({"begun": True, "action": "update", "before_id": "cf9f1b1a"}, "cf9f1b1a starts as before"),
        ({"begun": True}, "it boots nothing until an installation has ended"),
    ],
)
def test_a_disk_that_was_not_written_to_the_end(changed: dict[str, Any], line: str) -> None:
    (text,) = reimaged_lines({**TOLD, **changed})
    assert text.startswith("disk      ")
    assert line in text
    assert ("nothing was written" in text) is not changed.get("begun", False)
