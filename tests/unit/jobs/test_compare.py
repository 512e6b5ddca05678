"""Two runs side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.boot.folders import RunFolder
from bringup.jobs.compare import compare_runs, first_difference, normalised
from bringup.report.compare import comparison_json, comparison_lines
from bringup.report.style import colourless


def run(parent: Path, console: str, *, times: dict[str, float | None], **plan: Any) -> RunFolder:
    made = RunFolder.create(parent)
    made.write_json("plan.json", {"board": "e300", "firmware": "bios", **plan})
    stages = [{"name": name, "at_s": at_s, "evidence": "x"} for name, at_s in times.items()]
    made.write_json("verdict.json", {"verdict": "ok", "cause": "reached", "stages": stages})
    (made.path / "console.log").write_text(console)
    return made


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("[    0.123456] Linux version 6.1", "[   12.000001] Linux version 6.1"),
        ("net0: 52:54:00:0e:30:10 using 82574l", "net0: 52:54:00:0e:30:99 using 82574l"),
        ("Adding region 0x100000-0x7ffdf000", "Adding region 0x200000-0x6ffdf000"),
        ("http://10.55.0.1/kernel", "http://192.168.7.1/kernel"),
        ("done in 12.3 s", "done in 2 s"),
        ("2026-11-28T20:10:01Z up", "2026-11-29T01:02:03.123Z up"),
        ("a   b\t", "a b"),
        ("entry ffffff8040001000", "entry ffffff8040002000"),
    ],
)
def test_times_and_addresses_are_no_difference(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(
    ("one", "other"), [("module 1 of 2", "module 2 of 2"), ("VM0 up", "VM1 up"), ("82574l", "i350")]
)
def test_what_is_one(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


def test_the_first_line_that_differs_has_those_before_it() -> None:
    good = list(enumerate(["a", "b", "", "c", "d", "e"], start=1))
    bad = list(enumerate(["a", "b", "c", "d", "x"], start=1))
    same, found = first_difference(good, bad)
    assert same == 4
    assert found is not None
    assert (found.good_number, found.good_line, found.bad_number, found.bad_line) == (6, "e", 5, "x")
    assert found.before == ("b", "c", "d")


def test_a_console_that_ends_early_says_what_came_next() -> None:
    _, found = first_difference([(1, "a"), (2, "b")], [(1, "a")])
    assert found is not None and (found.good_line, found.bad_line, found.bad_number) == ("b", None, None)
    assert first_difference([(1, "a 1 s")], [(1, "a 2 s"), (2, "  ")]) == (1, None)


def test_a_stage_that_is_proved_after_the_next_one_took_no_time(tmp_path: Path) -> None:
    """Power is confirmed by the BMC while the firmware speaks already."""
    slow = run(tmp_path, "a\n", times={"power": 14.5, "firmware": 12.5, "dhcp": 15.0})
    usual = run(tmp_path, "a\n", times={"power": 3.8, "firmware": 3.9, "dhcp": 4.2})
    compared = compare_runs(slow, usual)
    assert [each.good_took_s for each in compared.stages] == [None, 0.0, 0.5]
    assert "longer" not in colourless("\n".join(comparison_lines(compared)))


def test_two_runs_as_text_and_json(tmp_path: Path) -> None:
    good = run(tmp_path, "a\n-- SOL lost 4.2 s --\nb\n", times={"power": 1.0, "dhcp": 3.0, "kernel": 4.0})
    bad = run(tmp_path, "a\nc\n", times={"power": 1.0, "dhcp": 8.0, "kernel": None}, firmware="uefi")
    compared = compare_runs(good, bad)
    assert compared.what == (("firmware", "bios", "uefi"),)
    text = colourless("\n".join(comparison_lines(compared)))
    assert "5.0 s longer" in text and "not reached" in text
    assert text.endswith(f"  {good.run_id}      3  b\n  {bad.run_id}      2  c")
    body = comparison_json(compared)
    assert body["stages"][1]["bad_took_s"] == 7.0 and body["console"]["bad_line"] == "c"
    json.dumps(body)


def test_runs_without_records_have_nothing_to_compare(tmp_path: Path) -> None:
    one, other = RunFolder.create(tmp_path), RunFolder.create(tmp_path)
    compared = compare_runs(one, other)
    assert compared.what == () and compared.stages == () and compared.console is None
    assert list(comparison_lines(compared)) == ["console   neither run has one"]


@given(st.text(max_size=300))
def test_any_line_is_normalised_for_good(line: str) -> None:
    assert normalised(normalised(line)) == normalised(line)


def test_a_run_whose_verdict_is_damaged_is_not_told_as_killed(tmp_path: Path) -> None:
    one, other = (run(tmp_path, "a\n", times={}) for _ in range(2))
    (other.path / "verdict.json").write_text("{")
    assert ("verdict", "ok: reached", "verdict.json is damaged") in compare_runs(one, other).what
