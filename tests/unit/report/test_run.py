"""How a boot ended, in lines for people."""

from __future__ import annotations

from pathlib import Path

import pytest

from bringup.base.errors import LabError
from bringup.boot.folders import RunFolder
from bringup.report.run import run_report, verdict_lines
from bringup.report.runs import runs_table

OK = {
    "board": "e300",
    "run": "2026-11-28-0001",
    "verdict": "ok",
    "until": "user-space",
    "stage": "user-space",
    "cause": "reached user-space",
    "at_s": 6.21,
}


@pytest.mark.parametrize(
    ("changed", "usual_s", "told"),
    [
        ({}, None, "reached user-space in 6.2 s"),
        ({}, 6.0, "reached user-space in 6.2 s (usually 6.0 s)"),
        ({"stage": "login"}, None, "reached user-space in 6.2 s, then went on to login"),
        (
            {"cause": "reached user-space, then quiet for 5 s"},
            6.0,
            "reached user-space, then quiet for 5 s (at 6.2 s, usually 6.0 s)",
        ),
        (
            {"cause": "reached login in vm0, vm1", "stage": "login"},
            None,
            "reached login in vm0, vm1 (at 6.2 s)",
        ),
    ],
)
def test_a_success_says_what_it_rests_on_and_when_it_came(
    changed: dict[str, str], usual_s: float | None, told: str
) -> None:
    assert list(verdict_lines({**OK, **changed}, usual_s=usual_s)) == [
        f"ok  e300 {told}     run 2026-11-28-0001"
    ]


@pytest.mark.parametrize(
    ("verdict", "told"),
    [("image", "reached   user-space, then failed"), ("interrupted", "reached   user-space")],
)
def test_a_boot_that_somebody_ended_did_not_fail(verdict: str, told: str) -> None:
    assert told in list(verdict_lines({**OK, "verdict": verdict, "missing": None}))


def test_a_run_whose_plan_lacks_what_a_page_needs_is_told_as_damaged(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path)
    run.write_json("plan.json", {"board": "e300"})
    with pytest.raises(LabError, match="are damaged"):
        run_report(run)


def test_the_list_of_runs_says_how_far_a_good_one_came_and_why_another_did_not(tmp_path: Path) -> None:
    good, bad = RunFolder.create(tmp_path), RunFolder.create(tmp_path)
    for run, verdict in (
        (good, OK),
        (bad, {**OK, "verdict": "lab", "cause": "no DHCP request", "stage": "power"}),
    ):
        run.write_json("plan.json", {"board": "e300", "work": "reimage: write"})
        run.write_json("verdict.json", verdict)
    _header, first, second = runs_table([good, bad]).splitlines()
    assert first.endswith("reimage: write  ok       user-space in 6.2 s")
    assert second.endswith("reimage: write  lab      no DHCP request     (power, 6.2 s)")
    assert "no DHCP" in runs_table([bad], 80).splitlines()[-1]
