"""The order of checks, and what is not made: on probes of the test's own."""

from __future__ import annotations

from typing import Any

from bringup.base.errors import LabError
from bringup.verify.plan import Check
from bringup.verify.result import Result, judged
from bringup.verify.runner import run_checks


def check(name: str, **words: Any) -> Check:
    return Check(id=name, purpose="p.", how="h.", **words)


def make(each: Check) -> Result:
    if each.probe == "dies":
        raise LabError("nobody answers")
    return judged(each.probe == "good", f"made {each.id}")


def results(*checks: Check, named: tuple[str, ...] = ()) -> dict[str, tuple[str, str]]:
    ended = run_checks(checks, make, named=named)
    return {each.check.id: (each.result.status, each.result.evidence) for each in ended}


def test_what_needs_a_check_that_failed_is_not_made_and_says_why() -> None:
    told = results(
        check("a", probe="bad"),
        check("b", probe="good", needs=("a",)),
        check("c", probe="good", needs=("b",)),
        check("d", probe="good"),
    )
    assert told["a"] == ("fail", "made a")
    assert told["b"] == ("skip", "says nothing without a, which failed")
    assert told["c"] == ("skip", "says nothing without b, which was not made")
    assert told["d"] == ("pass", "made d")


def test_what_cannot_be_made_here_or_takes_long_is_no_pass() -> None:
    clock = check("clock", not_here="one clock for all")
    slow = check("slow", probe="good", opt_in=True)
    assert results(clock)["clock"] == ("skip", "not testable here: one clock for all")
    assert results(slow)["slow"][0] == "skip"
    assert results(slow, named=("slow",))["slow"] == ("pass", "made slow")


def test_a_lab_that_does_not_work_is_trouble_and_the_others_are_made() -> None:
    ended = list(run_checks([check("a", probe="dies"), check("b", probe="good")], make))
    assert [each.result.status for each in ended] == ["fail", "pass"]
    assert ended[0].result.trouble
    assert ended[0].result.evidence == "could not be judged: nobody answers"


def test_times_are_counted_from_the_first_check() -> None:
    clock = iter([100.0, 100.0, 103.0, 103.0, 104.5])
    ended = list(
        run_checks([check("a", probe="good"), check("b", probe="good")], make, now_s=lambda: next(clock))
    )
    assert [(each.at_s, each.seconds) for each in ended] == [(0.0, 3.0), (3.0, 1.5)]
