"""How a boot ended, and the same as JSON data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bringup.base.stage import Stage
from bringup.boot.causes.row import Causes
from bringup.boot.evidence import StageReached, Suite, VmSeen
from bringup.transcript.nics import Nic


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a boot ended; times are seconds since the run's origin, None where unknown.

    `lines` are those of the console that the cause rests on, `buts` what is not well though the boot is ok.
    """

    kind: str
    exit_code: int
    code: str
    stage: Stage | None
    missing: Stage | None
    cause: str
    seen: str | None
    causes: Causes
    at_s: float | None
    stages: tuple[StageReached, ...]
    lines: tuple[str, ...] = ()
    buts: tuple[str, ...] = ()
    vms: tuple[VmSeen, ...] = ()
    nics: tuple[Nic, ...] = ()
    suite: Suite | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON data."""
        return {
            "verdict": self.kind,
            "exit_code": self.exit_code,
            "code": self.code,
            "stage": _name(self.stage),
            "missing": _name(self.missing),
            "cause": self.cause,
            "seen": self.seen,
            "causes": [{"cause": cause, "fix": fix} for cause, fix in self.causes],
            "at_s": self.at_s,
            "stages": [
                {"name": str(reached.stage), "at_s": reached.at_s, "evidence": reached.evidence}
                for reached in self.stages
            ],
            "lines": list(self.lines),
            "but": list(self.buts),
            "vms": [_vm_dict(vm) for vm in self.vms],
            "nics": [nic.to_dict() for nic in self.nics],
            "suite": None if self.suite is None else _suite_dict(self.suite),
        }


def _vm_dict(vm: VmSeen) -> dict[str, Any]:
    return {
        "name": vm.name,
        "vmm": vm.vmm,
        "guest": vm.guest,
        "login": vm.login_s is not None,
        "trouble": vm.trouble,
    }


def _suite_dict(suite: Suite) -> dict[str, Any]:
    return {
        "test": suite.number,
        "of": suite.of,
        "name": suite.name,
        "failed": list(suite.failed),
        "passed": suite.passed is not None,
        "result": suite.result,
    }


def _name(stage: Stage | None) -> str | None:
    return None if stage is None else str(stage)
