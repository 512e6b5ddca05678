"""A shelf of boards, worked on in one call: each its own verdict, and the others done."""

from __future__ import annotations

import json

import pytest

from tests.twin.helpers import Cli, assert_nothing_left

pytestmark = pytest.mark.slow


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
