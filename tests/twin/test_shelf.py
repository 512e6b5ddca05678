"""A shelf of boards, worked on in one call: each its own verdict, and the others done."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tests.twin.helpers import Cli, assert_nothing_left, process_table

pytestmark = pytest.mark.slow

BOARDS = int(os.environ.get("BRINGUP_SHELF_BOARDS", "0"))


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
        booted = cli("boot", "shelf-*", "--yes", "--stagger", "0", "--json", timeout_s=180, **lab)
        batch = json.loads(booted.out)
        ends = {row["board"]: (row["verdict"], row["reached"]) for row in batch["boards"]}
        assert booted.code == 10
        assert ends.pop("shelf-02")[0] == "lab"
        assert ends.pop("shelf-04") == ("lab", "firmware")
        assert set(ends.values()) == {("ok", "user-space")}

        again = cli("boot", "shelf", "--only-failed", "--json", timeout_s=180, **lab)
        assert [row["board"] for row in again.json["boards"]] == ["shelf-02", "shelf-04"]
        assert "one of a shelf" in cli("twin", "down", "shelf-01", **lab).err
        assert "boot: 4 ok, 2 failed" in cli("runs", "show", batch["run"], **lab).out
    finally:
        assert cli("twin", "shelf", "--down").out.strip() == "6 boards ended"
    assert_nothing_left(cli.home)


@pytest.mark.long
def test_disks_are_written_together_and_each_board_has_its_own_verdict(cli: Cli) -> None:
    faults = ["--fault", "shelf-02=bmc-silent", "--fault", "shelf-04=no-link"]
    shelf = cli("twin", "shelf", "6", "--full", "0", *faults, "--disk", "shelf-05=64M", "--json").json
    lab = {"BRINGUP_LAB": shelf["lab"]}
    bad = {"shelf-02", "shelf-04", "shelf-05"}
    try:
        assert "overwrite" in cli("reimage", "scripted", **lab).err
        written = cli("reimage", "scripted", "--yes", "--stagger", "0", "--json", timeout_s=250, **lab)
        rows = {row["board"]: row for row in written.json["boards"]}
        assert written.code == 10
        assert {name for name, row in rows.items() if row["exit_code"] == 0} == set(rows) - bad
        assert {rows[name]["verdict"] for name in bad} == {"lab"}
        assert "no disk fits" in rows["shelf-05"]["cause"] and "64 MiB" in rows["shelf-05"]["cause"]
        assert rows["shelf-04"]["reached"] == "firmware"

        new = cli("reimage", "shelf-01", "--yes", "--module-size", "2", "--json", timeout_s=120, **lab).json
        assert (new["action"], new["slot"], new["kept"]) == ("update", "B", True)
        seen = cli("slots", "shelf-01,shelf-03,shelf-06", "--json", timeout_s=120, **lab).json
        starts = {row["board"]: row["reached"] for row in seen["boards"]}
        assert starts.pop("shelf-01") == f"slot B: {new['image_id']}"
        assert set(starts.values()) == {f"slot A: {new['before_id']}"}
        back = cli("rollback", "shelf-01", "--json", timeout_s=120, **lab).json
        assert (back["chosen"], back["good"]) == ("A", "A")
    finally:
        assert cli("twin", "shelf", "--down").out.strip() == "6 boards ended"
    assert_nothing_left(cli.home)


@pytest.mark.skipif(BOARDS == 0, reason="minutes: BRINGUP_SHELF_BOARDS=64 runs it")
@pytest.mark.timeout(3000)
def test_a_rack_is_written_in_one_call(cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    """Two full twins and many scripted boards, four of them out of order; tells seconds and memory."""
    faults = ["--fault", "shelf-03=bmc-silent", "--fault", "shelf-04=no-link"]
    faults += ["--disk", "shelf-05=64M", "--disk", "shelf-06=64M"]
    shelf = cli("twin", "shelf", str(BOARDS), "--full", "2", *faults, "--json", timeout_s=200).json
    lab = {"BRINGUP_LAB": shelf["lab"]}
    try:
        one = cli("reimage", "shelf-08*", "--yes", "--json", timeout_s=300, **lab).json
        assert one["exit_code"] == 0
        # A full twin is a whole emulated machine: with more at a time its kernel is silent for too long.
        words = ("--yes", "--jobs", os.environ.get("BRINGUP_SHELF_JOBS", "6"), "--stagger", "0.2", "--json")
        batch = cli("reimage", "shelf", *words, timeout_s=2500, **lab).json
        failed = {row["board"]: row["verdict"] for row in batch["boards"] if row["exit_code"]}
        assert failed == {f"shelf-0{number}": "lab" for number in (3, 4, 5, 6)}
        figures = {"one_s": one["seconds"], "all_s": batch["seconds"], "resident_mib": resident_mib(cli.home)}
        with capsys.disabled():
            sys.stderr.write(f"\n{BOARDS} boards: {figures}\n")
    finally:
        cli("twin", "shelf", "--down", timeout_s=200)
    assert_nothing_left(cli.home)


def resident_mib(home: Path) -> dict[str, int]:
    """Return the memory of the shelf's own processes in MiB, by module."""
    found: dict[str, int] = {}
    for pid, line in process_table(home).items():
        fields = Path(f"/proc/{pid}/status").read_text().split()
        found[line.split()[-1]] = int(fields[fields.index("VmRSS:") + 1]) >> 10
    return found
