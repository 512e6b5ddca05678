"""Checks in groups: in order, side by side, bounded, and whose fault the first failure is."""

from __future__ import annotations

import threading

from bringup.base.errors import BringupError, LabError, ProfileError
from bringup.jobs.doctor.check import Check, Group, Result, examine, exit_code, failed, passed, skipped
from bringup.report.doctor import doctor_json, doctor_lines
from bringup.report.style import colourless


def raising(error: Exception) -> Check:
    def run() -> Result:
        raise error

    return Check(f"x.{type(error).__name__}", "x", run)


def test_what_is_found_comes_in_order_with_its_group() -> None:
    first = Group(
        "a", [Check("a.1", "one", lambda: passed("yes")), Check("a.2", "two", lambda: skipped("no"))]
    )
    second = Group("b", [Check("b.1", "three", lambda: failed("broken", "mend it"))])
    found = examine([first, second])
    assert [(each.group, each.id, each.result.status) for each in found] == [
        ("a", "a.1", "pass"),
        ("a", "a.2", "skip"),
        ("b", "b.1", "fail"),
    ]
    assert exit_code(found) == 10


def test_an_error_is_a_failure_with_its_hint_and_whose_fault_it_is() -> None:
    (found,) = examine([Group("a", [raising(ProfileError("odd", hint="mend it"))])])
    assert found.result == Result("fail", "odd", "mend it", 12)
    assert exit_code([found]) == 12
    (found,) = examine([Group("a", [raising(PermissionError(13, "Permission denied"))])])
    assert found.result == skipped("this host does not tell: permission denied")


def test_a_check_that_hangs_is_left_and_the_others_are_told() -> None:
    never = threading.Event()

    def hang() -> Result:
        never.wait(30)
        return passed("late")

    slow = Group("slow", [Check("s.1", "1", hang), Check("s.2", "2", lambda: passed("x"))], limit_s=0.05)
    found = examine([slow, Group("quick", [Check("q.1", "q", lambda: passed("yes"))])])
    never.set()
    assert [each.result.status for each in found] == ["skip", "skip", "pass"]
    assert "longer than" in found[0].result.message


def test_a_failing_line_ends_with_the_command() -> None:
    found = examine([Group("a", [raising(LabError("the cable is out", hint="plug it in"))])])
    lines = [colourless(line) for line in doctor_lines(found, "e300")]
    assert lines[0] == "✖ 1 thing in the way of e300, of 1 that were looked at"
    assert lines[-1].startswith("✖ x") and lines[-1].endswith("the cable is out     do  plug it in")


def test_json_is_the_shape_that_is_promised() -> None:
    found = examine([Group("a", [Check("a.1", "one", lambda: passed("yes")), raising(BringupError("x"))])])
    assert doctor_json(found) == {
        "checks": [
            {"id": "a.1", "status": "pass", "message": "yes", "fix": None},
            {"id": "x.BringupError", "status": "fail", "message": "x", "fix": None},
        ]
    }
