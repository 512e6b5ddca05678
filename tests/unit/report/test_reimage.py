"""A re-image as text: what is said of the disk is true of it."""

from __future__ import annotations

from typing import Any

import pytest

from bringup.report.reimage import reimaged_lines, slots_lines

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
    "came_up": False,
    "kept": False,
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


WRITTEN = {
    **TOLD,
    "action": "update",
    "slot": "B",
    "before_id": "cf9f1b1a",
    "begun": True,
    "written": True,
    "came_up": True,
    "careful": None,
    "bytes_sent": 1 << 20,
    "bytes_there": 0,
}
KEEP = "keep it   bringup slots e300 --confirm 1c06b491"


@pytest.mark.parametrize(
    ("came_up", "kept", "good", "can_keep"),
    [
        (True, True, "1c06b491 in slot B starts from now on", False),
        (True, False, "cf9f1b1a starts at the next reset: 1c06b491 was not kept", True),
        (False, False, "cf9f1b1a starts at the next reset: 1c06b491 was not kept", False),
        (True, None, "not known: the key was pressed", True),
    ],
)
def test_what_starts_from_now_on_and_whether_it_may_be_kept(
    came_up: bool, kept: bool | None, good: str, can_keep: bool
) -> None:
    lines = list(reimaged_lines({**WRITTEN, "came_up": came_up, "kept": kept}))
    (told,) = [line for line in lines if line.startswith("good ")]
    assert good in told
    assert (KEEP in lines) is can_keep


def test_slots_tell_how_what_was_tried_is_kept() -> None:
    manifest = {
        "image_id": "1c06b491",
        "title": "t",
        "files": [],
        "written_at": "2026-11-29T07:16:52Z",
        "written_by": "",
    }
    slots = {
        "A": {"role": "good", "problem": None, "manifest": manifest},
        "B": {"role": "tried", "problem": None, "manifest": manifest},
    }
    disk = {**DISK, "size_bytes": 4 << 30}
    seen = {"disk": disk, "slots": slots, "states_valid": [True, True], "careful": None, "chosen": None}
    assert f"{KEEP}     (if you saw it come up)" in list(slots_lines("e300", seen))
    slots["B"]["role"] = "trial"
    assert not any(line.startswith(KEEP) for line in slots_lines("e300", seen))


def test_an_image_that_is_sent_once_more_is_told_apart_by_its_slot() -> None:
    same = {**WRITTEN, "before_id": WRITTEN["image_id"], "slot": "B"}
    kept = list(reimaged_lines({**same, "came_up": True, "kept": True}))
    assert not any("rollback" in line for line in kept), "it would start the same image"
    trial = list(reimaged_lines({**same, "came_up": True, "kept": False}))
    assert "good      1c06b491 in slot A starts at the next reset: slot B was not kept" in trial
    assert trial[-1].endswith("--confirm 1c06b491")
