"""What a run of verify leaves: its verdict by what was checked, also where it was broken off."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from bringup.base.errors import InterruptedRunError, LabError
from bringup.base.events import Event
from bringup.boot.folders import RunFolder
from bringup.jobs.verify.record import Record, Verified
from bringup.jobs.verify.recorder import Recorder
from bringup.report.follow import show_run
from bringup.report.html.run import run_html
from bringup.report.run import run_report
from bringup.verify.plan import Check, VerifyPlan
from bringup.verify.result import Result, skipped, troubled

ENDS = {
    "good": Result("pass", "it is so"),
    "bad": Result("fail", "it is not so"),
    "lab": troubled("nobody answers"),
    "away": skipped("not testable here: there is none"),
}


def record(names: Sequence[str]) -> Record:
    checks = tuple(Check(id=name, purpose="p.", how="h.", probe=name) for name in names)
    plan = VerifyPlan(name="mine", title="Mine", targets=("e300",), scene="hardware", check=checks)
    return Record("e300", plan, checks)


def recorder(folder: Path, names: Sequence[str], heard: list[Event] | None = None) -> Recorder:
    listeners = [] if heard is None else [heard.append]
    return Recorder(record(names), RunFolder.create(folder), listeners, engine="board")


def ended(folder: Path, *names: str) -> Verified:
    run = recorder(folder, names)
    with run.running((), "interrupted; it is as it was"):
        run.check_all(lambda check: ENDS[check.probe], ())
        return run.end()


@pytest.mark.parametrize(
    ("names", "code", "verdict"),
    [
        (("good",), 0, "ok"),
        (("good", "away"), 0, "ok"),
        (("away",), 3, "undecided"),
        (("good", "bad"), 12, "profile"),
        (("good", "lab"), 10, "lab"),
        (("bad", "lab", "away"), 12, "profile"),
    ],
)
def test_the_exit_code_says_what_was_found_and_nothing_found_is_undecided(
    tmp_path: Path, names: tuple[str, ...], code: int, verdict: str
) -> None:
    done = ended(tmp_path, *names)
    run = RunFolder(done.folder)
    told = run.read_json("verdict.json")
    assert told is not None
    assert (done.exit_code, told["exit_code"], told["verdict"]) == (code, code, verdict)
    assert run.read_json("verify.json") == done.body
    assert ("holds" in run_report(run)) is (code == 0)
    assert ("mine holds" in run_html(run)) is (code == 0)


@pytest.mark.parametrize("how", ["keys", "lab"])
def test_what_was_checked_before_a_run_broke_off_is_kept_with_the_reason(tmp_path: Path, how: str) -> None:
    run = recorder(tmp_path, ["good", "away"])
    reason = "interrupted; it is as it was" if how == "keys" else "the BMC is gone"
    error = KeyboardInterrupt() if how == "keys" else LabError(reason)
    with (
        pytest.raises(InterruptedRunError if how == "keys" else LabError),
        run.running((), "interrupted; it is as it was"),
    ):
        run.check_all(lambda check: ENDS[check.probe], ())
        raise error
    text = run_report(run.folder)
    assert f"broke off {reason}" in text
    assert "it is so" in text
    assert "holds" not in text


def test_a_step_that_fails_is_told_as_failed_and_one_that_ends_with_what_it_found(tmp_path: Path) -> None:
    heard: list[Event] = []
    run = recorder(tmp_path, ["good"], heard)
    with pytest.raises(LabError), run.running((), ""):
        with run.step("one", "first") as found:
            found["capture"] = "there"
        with run.step("two", "second"):
            raise LabError("no")
    told = [(event.data["step"], event.data["state"]) for event in heard if event.kind == "run.step"]
    assert told == [("one", "begin"), ("one", "done"), ("two", "begin"), ("two", "failed")]
    assert heard[2].data["capture"] == "there"


def test_a_run_that_was_killed_is_told_as_that(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path)
    run.write_json("plan.json", record(["good"]).plan_json(()))
    (run.path / "events.ndjson").touch()
    text = run_report(run)
    assert "plan      mine on e300" in text
    assert "this run was killed" in text


def test_a_run_is_followed_to_its_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = ended(tmp_path, "good", "bad")
    assert show_run(RunFolder(done.folder)) == 12
    assert "mine does not hold: 1 passed, 1 failed, 0 not made" in capsys.readouterr().out
