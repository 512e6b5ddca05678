"""An override that is looked at again: still there, forgotten by its BMC, not told, taken by the board."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bringup.base.errors import LabError
from bringup.base.firmware import Firmware
from bringup.base.stage import Stage
from bringup.boot.standing import Standing
from bringup.boot.steps.override import ArmOverride, NoOverride
from bringup.power.base import BootOverride

NETWORK = BootOverride("network", persistent=False, uefi=False)


class Flags:
    """The boot flags of a BMC; `deaf` answers no question."""

    def __init__(self) -> None:
        self.now = BootOverride("none")
        self.deaf = False

    def read(self) -> BootOverride:
        if self.deaf:
            raise LabError("the BMC does not answer")
        return self.now

    def set(self, wanted: BootOverride) -> bool:
        self.now = wanted
        return True


class Bench:
    """What a step sees of a run."""

    def __init__(self, *reached: Stage) -> None:
        self.flags = Flags()
        self.told: list[str] = []
        self.drivers = SimpleNamespace(override=self.flags)
        self.progress = SimpleNamespace(stages=[SimpleNamespace(stage=stage) for stage in reached])
        self.standing = Standing("e300")

    def emit(self, source: str, kind: str, text: str, **data: object) -> None:
        self.told.append(kind)


def armed(*reached: Stage) -> tuple[ArmOverride, Bench]:
    step, bench = ArmOverride(Firmware.BIOS), Bench(*reached)
    step.enter(bench)  # type: ignore[arg-type]
    assert bench.flags.now == NETWORK
    return step, bench


def test_one_that_still_holds_is_told() -> None:
    step, bench = armed(Stage.POWER)
    step.check_again(bench)  # type: ignore[arg-type]
    assert (bench.flags.now, bench.told) == (NETWORK, ["override.read"])


def test_one_that_a_bmc_forgot_is_set_again() -> None:
    step, bench = armed()
    bench.flags.now = BootOverride("none")
    step.check_again(bench)  # type: ignore[arg-type]
    assert bench.flags.now == NETWORK


def test_a_bmc_that_does_not_tell_fails_nothing() -> None:
    step, bench = armed()
    bench.flags.deaf = True
    step.check_again(bench)  # type: ignore[arg-type]
    assert bench.told == ["override.unsure"]


@pytest.mark.parametrize("stage", [Stage.DHCP, Stage.KERNEL])
def test_a_board_that_asked_the_network_has_taken_it(stage: Stage) -> None:
    step, bench = armed(stage)
    bench.flags.now = BootOverride("none")
    step.check_again(bench)  # type: ignore[arg-type]
    assert (bench.flags.now, bench.told) == (BootOverride("none"), [])


def test_what_was_not_set_is_not_looked_at() -> None:
    bench = Bench()
    ArmOverride(Firmware.BIOS).check_again(bench)  # type: ignore[arg-type]
    NoOverride().check_again(bench)  # type: ignore[arg-type]
    assert (bench.flags.now, bench.told) == (BootOverride("none"), [])
