"""A shelf of boards, worked on in one call: each its own verdict, and the others done."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.twin.helpers import Cli, assert_nothing_left, process_table

pytestmark = pytest.mark.slow

BOARDS = int(os.environ.get("BRINGUP_SHELF_BOARDS", "0"))


RACK = {
    "shelf-03": ("bmc-silent", "lab", "no answer"),
    "shelf-04": ("no-link", "lab", "DHCP"),
    "shelf-05": ("64M", "lab", "no disk fits"),
    "shelf-06": ("plug-pulled", "lab", "went off"),
    "shelf-07": ("no-vtx", "profile", "VT-x"),
}
"""What is wrong with a board of the rack (a fault, or the size of its disk), and what its verdict says."""


def as_the_rack_is() -> list[str]:
    """Return the words that let the boards of a shelf be so."""
    wrong = {name: what for name, (what, *_) in RACK.items()}
    pairs = [
        ("--disk" if what.endswith("M") else "--fault", f"{name}={what}") for name, what in wrong.items()
    ]
    return [word for pair in pairs for word in pair]


def assert_as_the_rack_says(rows: dict[str, dict[str, Any]]) -> None:
    """The boards that are out of order have their own verdicts, and the others are done."""
    failed = {name: row for name, row in rows.items() if row["exit_code"]}
    assert failed.keys() == RACK.keys()
    for name, (_, verdict, said) in RACK.items():
        assert failed[name]["verdict"] == verdict, failed[name]
        assert said in failed[name]["cause"], failed[name]


def test_boards_are_asked_and_booted_together_and_each_has_its_own_verdict(cli: Cli) -> None:
    faults = ["--fault", "shelf-02=bmc-silent", "--fault", "shelf-04=no-link"]
    shelf = cli("twin", "shelf", "6", "--full", "0", *faults, "--json").json
    assert [board["twin"] for board in shelf["boards"]] == [f"shelf-0{number}" for number in range(1, 7)]
    lab = {"BRINGUP_LAB": shelf["lab"]}
    try:
        states = cli("power", "scripted", "--json", **lab)
        told = {board["board"]: board["state"] for board in states.json["boards"]}
        assert states.code == 10
        assert told.pop("shelf-02") is None
        assert set(told.values()) == {"off"}

        asked = cli("boot", "shelf-*", **lab)
        assert (asked.code, "--yes" in asked.err) == (2, True)
        booted = cli("boot", "shelf-*", "--yes", "--stagger", "0", "--json", **lab)
        batch = json.loads(booted.out)
        ends = {row["board"]: (row["verdict"], row["reached"]) for row in batch["boards"]}
        assert booted.code == 10
        assert ends.pop("shelf-02")[0] == "lab"
        assert ends.pop("shelf-04") == ("lab", "firmware")
        assert set(ends.values()) == {("ok", "user-space")}

        again = cli("boot", "shelf", "--only-failed", "--json", **lab)
        assert [row["board"] for row in again.json["boards"]] == ["shelf-02", "shelf-04"]
        assert "one of a shelf" in cli("twin", "down", "shelf-01", **lab).err
        assert "boot: 4 ok, 2 failed" in cli("runs", "show", batch["run"], **lab).out
    finally:
        assert cli("twin", "shelf", "--down").out.strip() == "6 boards ended"
    assert_nothing_left(cli.home)


def test_of_two_disks_that_are_written_together_one_is_too_small(cli: Cli) -> None:
    shelf = cli("twin", "shelf", "2", "--full", "0", "--disk", "shelf-02=64M", "--json").json
    lab = {"BRINGUP_LAB": shelf["lab"]}
    try:
        written = cli("reimage", "scripted", "--yes", "--stagger", "0", "--json", **lab)
        good, bad = sorted(written.json["boards"], key=lambda row: row["board"])
        assert (written.code, good["exit_code"], bad["exit_code"]) == (10, 0, 10), written.out
        assert good["reached"].startswith("slot A: ")
        assert "no disk fits" in bad["cause"] and "64 MiB" in bad["cause"]
        again = cli("reimage", "shelf-01", "--yes", "--module-size", "2", "--json", **lab).json
        assert (again["action"], again["slot"], again["kept"]) == ("update", "B", True)
    finally:
        assert cli("twin", "shelf", "--down").out.strip() == "2 boards ended"
    assert_nothing_left(cli.home)


@pytest.mark.long
def test_an_image_that_was_tried_is_kept_by_its_id_and_by_no_other(cli: Cli) -> None:
    shelf = cli("twin", "shelf", "2", "--full", "0", "--disk", "shelf-02=64M", "--json").json
    lab = {"BRINGUP_LAB": shelf["lab"]}
    try:
        first = cli("reimage", "shelf-01", "--yes", "--json", timeout_s=120, **lab).json
        words = ("--confirm", "never", "--yes", "--module-size", "3", "--json")
        tried = cli("reimage", "shelf-01", *words, timeout_s=120, **lab).json
        assert (tried["slot"], tried["came_up"], tried["kept"]) == ("B", True, False)
        wrong = cli("slots", "shelf-01", "--confirm", first["image_id"], "--json", timeout_s=120, **lab)
        assert (wrong.code, wrong.json["chosen"]) == (10, None)
        assert f"the image that was tried is {tried['image_id']}, not" in wrong.json["cause"]
        seen = cli("slots", "shelf-01", timeout_s=120, **lab)
        assert f"keep it   bringup slots shelf-01 --confirm {tried['image_id']}\n" in seen.out
        kept = cli("slots", "shelf-*", "--confirm", tried["image_id"], "--json", timeout_s=120, **lab)
        rows = {row["board"]: row for row in kept.json["boards"]}
        assert (kept.code, rows["shelf-01"]["reached"]) == (10, f"slot B: {tried['image_id']}")
        assert "no disk of shelf-02 was written by bringup" in rows["shelf-02"]["cause"]
    finally:
        assert cli("twin", "shelf", "--down").out.strip() == "2 boards ended"
    assert_nothing_left(cli.home)


@pytest.mark.long
def test_disks_are_written_together_and_each_board_has_its_own_verdict(cli: Cli) -> None:
    shelf = cli("twin", "shelf", "8", "--full", "0", *as_the_rack_is(), "--json").json
    lab = {"BRINGUP_LAB": shelf["lab"]}
    try:
        assert "overwrite" in cli("reimage", "scripted", **lab).err
        written = cli("reimage", "scripted", "--yes", "--stagger", "0", "--json", timeout_s=250, **lab)
        rows = {row["board"]: row for row in written.json["boards"]}
        assert written.code == 10
        assert_as_the_rack_says(rows)
        assert "64 MiB" in rows["shelf-05"]["cause"]
        assert rows["shelf-04"]["reached"] == "firmware"

        new = cli("reimage", "shelf-01", "--yes", "--module-size", "2", "--json", **lab).json
        assert (new["action"], new["slot"], new["kept"]) == ("update", "B", True)
        seen = cli("slots", "shelf-01,shelf-02,shelf-08", "--json", **lab).json
        starts = {row["board"]: row["reached"] for row in seen["boards"]}
        assert starts.pop("shelf-01") == f"slot B: {new['image_id']}"
        assert set(starts.values()) == {f"slot A: {new['before_id']}"}
        back = cli("rollback", "shelf-01", "--json", **lab).json
        assert (back["chosen"], back["good"]) == ("A", "A")
    finally:
        assert cli("twin", "shelf", "--down").out.strip() == "8 boards ended"
    assert_nothing_left(cli.home)


@pytest.mark.skipif(BOARDS == 0, reason="minutes: BRINGUP_SHELF_BOARDS=64 runs it")
@pytest.mark.timeout(3000)
def test_a_rack_is_written_in_one_call(cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    """Two full twins and many scripted boards, five of them out of order; tells seconds and memory."""
    shelf = cli("twin", "shelf", str(BOARDS), "--full", "2", *as_the_rack_is(), "--json").json
    lab = {"BRINGUP_LAB": shelf["lab"]}
    try:
        one = cli("reimage", "shelf-08*", "--yes", "--json", timeout_s=300, **lab).json
        assert one["exit_code"] == 0
        # Two whole machines share this host's processors with the others' jobs.
        words = ["--yes", "--jobs", os.environ.get("BRINGUP_SHELF_JOBS", "6"), "--stagger", "0.2", "--json"]
        batch = cli("reimage", "shelf", *words, timeout_s=2500, **lab).json
        figures = {"one_s": one["seconds"], "all_s": batch["seconds"], "resident_mib": resident_mib(cli.home)}
        with capsys.disabled():
            sys.stderr.write(f"\n{BOARDS} boards: {figures}\n")
        assert_as_the_rack_says({row["board"]: row for row in batch["boards"]})
    finally:
        cli("twin", "shelf", "--down")
    assert_nothing_left(cli.home)


def resident_mib(home: Path) -> dict[str, int]:
    """Return the memory of the shelf's own processes in MiB, by module."""
    found: dict[str, int] = {}
    for pid, line in process_table(home).items():
        fields = Path(f"/proc/{pid}/status").read_text().split()
        found[line.split()[-1]] = int(fields[fields.index("VmRSS:") + 1]) >> 10
    return found
