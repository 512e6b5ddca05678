"""Plans of VMs, made on played VMs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from contextlib import closing
from dataclasses import dataclass

from bringup.camkes.app.build import Build
from bringup.verify.plan import VerifyPlan
from bringup.verify.probes import probe
from bringup.verify.result import Result
from bringup.verify.runner import run_checks
from bringup.verify.vms.expected import Candidate, ExpectedVm
from bringup.verify.vms.scene import Booted, VmScene
from bringup.verify.vms.talk import Vms
from tests.doubles.vm_wire import PlayedWire

BELIEVED = {
    "17:00.0": (
        Candidate("0/16", "the profile"),
        Candidate("0/17", "the profile"),
        Candidate("0/18", "the board's rule"),
        Candidate("0/19", "the board's rule"),
    )
}
RUNS = Booted(True, "played")


def outcome(
    plan: VerifyPlan,
    case: str,
    *,
    named: Sequence[str] = (),
    expected: Sequence[ExpectedVm] | None = None,
    booted: Booted = RUNS,
    seed: int = 1,
    build: Build | None = None,
) -> dict[str, Result]:
    """How each check of a plan ends on the VMs of a case."""
    with closing(PlayedWire(case, seed)) as wire:
        scene = VmScene(Vms(wire, session="5a"), expected or plan.vm, booted, BELIEVED, build)
        ended = run_checks(plan.check, lambda check: probe(check.probe)(scene, check), named=named)
        return {each.check.id: each.result for each in ended}


def with_status(results: Mapping[str, Result], status: str) -> set[str]:
    """The checks that ended so."""
    return {name for name, result in results.items() if result.status == status}


@dataclass(frozen=True)
class Row:
    """A case: which checks fail, with which words; what is not made because of them."""

    case: str
    fails: Mapping[str, str]
    skips: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return self.case

    def holds(self, plan: VerifyPlan, never_made: Set[str]) -> None:
        """What is wrong is told by the checks that name it, and by no other."""
        results = outcome(plan, self.case)
        assert with_status(results, "fail") == set(self.fails), results
        assert with_status(results, "skip") == never_made | self.skips
        for name, words in self.fails.items():
            assert words in results[name].evidence
            assert not results[name].trouble, "it is the image's fault, not the lab's"
        assert all(result.evidence for result in results.values())
