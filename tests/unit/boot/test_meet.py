"""A real board before anything is done to it: is it the one that is meant, and may it be restarted?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from bringup.base.errors import BmcBusyError, BmcTimeoutError, LabError
from bringup.base.events import Event
from bringup.boot.request import BootRequest
from bringup.jobs.boot import PlannedBoot, plan_boot
from bringup.lab.find import load_lab
from bringup.power.base import PowerState
from tests.doubles.equipment import Bench
from tests.unit.boot.jobs import WHOLE, Told, execute, image

pytestmark = pytest.mark.usefixtures("home")

LAB = """
[boards.b1]
profile = "supermicro-e300-9d"
macs = ["52:54:00:0e:30:10"]
bmc = { address = "10.0.0.17", user = "u", password = { env = "NOTHING" } }
network = { interface = "enp3s0", mode = "own-segment", address = "10.0.0.1/24", board_address = "10.0.0.2" }
"""


class Somebody:
    """A person who gives one answer."""

    def __init__(self, answer: str | LabError) -> None:
        self.answer = answer
        self.questions: list[str] = []

    def hear(self, event: Event) -> None:
        return

    def ask(self, question: str, *, or_console: bool = False) -> None:
        raise AssertionError(question)

    def choose(self, question: str, answers: Sequence[str]) -> str:
        self.questions.append(question)
        if isinstance(self.answer, LabError):
            raise self.answer
        assert self.answer in answers
        return self.answer


def planned(folder: Path, request: BootRequest | None = None) -> PlannedBoot:
    (folder / "lab.toml").write_text(LAB)
    return plan_boot(load_lab(folder / "lab.toml"), "b1", image(folder), request)


def boot(folder: Path, bench: Bench, *, restart: bool = False) -> Told:
    return execute(planned(folder, BootRequest(restart=restart)).job, bench, folder / "runs")


def switched(bench: Bench) -> list[str]:
    return [call for call in bench.calls if call in ("on", "off", "reset", "override network")]


def test_a_board_that_is_off_is_booted_unasked(in_folder: Path) -> None:
    bench = Bench(WHOLE, tied=False)
    assert boot(in_folder, bench).verdict["verdict"] == "ok"
    assert switched(bench) == ["override network", "on"]


def test_a_person_who_says_yes_has_a_running_board_restarted(in_folder: Path) -> None:
    bench, bench_person = Bench(WHOLE, on=True, tied=False), Somebody("yes")
    bench.person = bench_person
    assert boot(in_folder, bench).verdict["verdict"] == "ok"
    assert bench_person.questions == ["b1 is on, and to boot it cuts off whatever it runs. Restart it?"]
    assert switched(bench) == ["override network", "off", "on"]


@pytest.mark.parametrize("person", [None, Somebody("no"), Somebody(LabError("nobody can be asked"))])
def test_without_a_yes_a_running_board_is_left_as_it_is(in_folder: Path, person: Somebody | None) -> None:
    bench = Bench(WHOLE, on=True, tied=False)
    bench.person = person
    told = boot(in_folder, bench)
    assert told.verdict["verdict"] == "lab"
    assert "b1 is on, and to boot it has to be restarted; it was left as it is" in told.verdict["cause"]
    assert "--restart" in told.verdict["causes"][0]["fix"]
    assert switched(bench) == [] and "open console" not in bench.calls


def test_restart_asks_nobody(in_folder: Path) -> None:
    bench = Bench(WHOLE, on=True, tied=False)
    bench.person = Somebody(LabError("must not be asked"))
    assert boot(in_folder, bench, restart=True).verdict["verdict"] == "ok"
    assert switched(bench) == ["override network", "off", "on"]


def test_a_board_that_somebody_switched_on_meanwhile_is_not_restarted(in_folder: Path) -> None:
    bench = Bench(WHOLE, tied=False)

    class Changing(dict[str, BaseException]):
        def __contains__(self, call: object) -> bool:
            if call == "override network":  # after the first look, before the power
                bench.state = PowerState.ON
            return False

    bench.fails = Changing()
    told = boot(in_folder, bench)
    assert "b1 read off a moment ago and is on now" in told.verdict["cause"]
    assert "off" not in switched(bench) and "on" not in switched(bench)


def test_what_serves_is_started_first_and_joined_when_its_turn_comes(in_folder: Path) -> None:
    bench = Bench(WHOLE, tied=False)
    assert boot(in_folder, bench).verdict["verdict"] == "ok"
    order = ["serve ahead", "open console", "serve", "let go of serving", "on", "stop serving"]
    assert [call for call in bench.calls if call in order] == order


def test_what_was_started_for_a_boot_that_is_refused_is_let_go(in_folder: Path) -> None:
    bench = Bench(WHOLE, on=True, tied=False)
    assert boot(in_folder, bench).verdict["verdict"] == "lab"
    assert "serve" not in bench.calls
    assert bench.calls.count("serve ahead") == bench.calls.count("let go of serving") == 1


def test_another_bmc_than_before_is_left_alone(in_folder: Path) -> None:
    first, second = Bench(WHOLE, tied=False, identity="GUID 1"), Bench(WHOLE, tied=False, identity="GUID 2")
    assert boot(in_folder, first).verdict["verdict"] == "ok"
    told = boot(in_folder, second, restart=True)
    assert (told.verdict["verdict"], told.verdict["code"]) == ("lab", "wrong-board")
    assert "it says GUID 2; that of b1 said GUID 1" in told.verdict["cause"]
    assert switched(second) == [] and "open console" not in second.calls


def test_the_same_bmc_as_before_is_told_as_such(in_folder: Path) -> None:
    kinds = []
    for _ in range(2):
        told = boot(in_folder, Bench(WHOLE, tied=False, identity="GUID 1"))
        kinds += [kind for kind in told.kinds("power") if kind.startswith("board.")]
    assert kinds == ["board.met", "board.known"]


@pytest.mark.parametrize("identity", [None, BmcBusyError("busy"), LabError("refused")])
def test_a_bmc_that_has_no_name_is_told_and_no_stranger(in_folder: Path, identity: LabError | None) -> None:
    assert boot(in_folder, Bench(WHOLE, tied=False, identity="GUID 1")).verdict["verdict"] == "ok"
    told = boot(in_folder, Bench(WHOLE, tied=False, identity=identity))
    assert told.verdict["verdict"] == "ok"
    assert "board.unknown" in told.kinds("power")


def test_a_bmc_that_does_not_answer_ends_the_boot_before_anything(in_folder: Path) -> None:
    bench = Bench(WHOLE, tied=False, identity=BmcTimeoutError("no answer"))
    told = boot(in_folder, bench)
    assert told.verdict["cause"] == "no answer"
    assert switched(bench) == [] and "open console" not in bench.calls


def test_the_plan_says_what_is_looked_at_first(in_folder: Path) -> None:
    names = [step.name for step in planned(in_folder).plan.steps]
    assert names[:3] == ["identity", "running", "console"]
    unasked = planned(in_folder, BootRequest(restart=True))
    assert [step.name for step in unasked.plan.steps][:2] == ["identity", "console"]
