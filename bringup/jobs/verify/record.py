"""What every run of verify leaves in its folder, whatever was verified: its plan, its answer, its verdict."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bringup.base.errors import EXIT_CODES, LabError, ProfileError
from bringup.base.version import __version__
from bringup.boot.folders import RunFolder
from bringup.boot.plan import PlannedStep
from bringup.verify.plan import Check, VerifyPlan
from bringup.verify.runner import Checked

STATES = {"pass": "done", "fail": "failed", "skip": "skipped"}


@dataclass(frozen=True, slots=True)
class Verified:
    """How a run of verify ended; `body` is the content of `verify.json`."""

    folder: Path
    body: dict[str, Any]
    exit_code: int


@dataclass(frozen=True)
class Record:
    """One run: what is verified, by which plan; times are those of its beginning, in seconds."""

    board: str
    plan: VerifyPlan
    checks: Sequence[Check]
    started_s: float = field(default_factory=time.time)
    origin_s: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """How long it takes so far."""
        return round(time.monotonic() - self.origin_s, 2)

    def plan_json(self, steps: Sequence[PlannedStep]) -> dict[str, Any]:
        """Return the content of `plan.json`."""
        return {
            "kind": "verify",
            "board": self.board,
            "aim": self.plan.name,
            "until": self.plan.name,
            "steps": [asdict(step) for step in steps],
            "checks": [check.model_dump(mode="json") for check in self.checks],
            "title": self.plan.title,
        }

    def verdict_json(self, folder: RunFolder, kind: str, code: int, cause: str | None) -> dict[str, Any]:
        """Return the content of `verdict.json`."""
        return {
            "kind": "verify",
            "run": folder.run_id,
            "folder": str(folder.path),
            "board": self.board,
            "aim": self.plan.name,
            "verdict": kind,
            "exit_code": code,
            "cause": cause,
            "stage": None,
            "at_s": self.seconds,
        }

    def body_json(self, folder: RunFolder, ended: Sequence[Checked], **facts: Any) -> dict[str, Any]:
        """Return the content of `verify.json`; `facts` are of this run and this kind of target."""
        counts = {status: sum(each.result.status == status for each in ended) for status in STATES}
        return {
            "run": folder.run_id,
            "folder": str(folder.path),
            "target": self.board,
            "scene": self.plan.scene,
            "plan": self.plan.name,
            "title": self.plan.title,
            "version": __version__,
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.started_s)),
            "seconds": self.seconds,
            **facts,
            **counts,
            "checks": [check_json(each) for each in ended],
        }


def check_json(ended: Checked) -> dict[str, Any]:
    """Return a check and how it ended, as `verify.json` has it."""
    check, result = ended.check, ended.result
    return {
        "id": check.id,
        "status": result.status,
        "evidence": result.evidence,
        "trouble": result.trouble,
        "at_s": round(ended.at_s, 2),
        "seconds": round(ended.seconds, 2),
        "purpose": check.purpose,
        "how": check.how,
        "limit": check.limit,
        "control": check.control,
        "values": dict(result.values),
        "excerpt": list(result.excerpt),
    }


def verdict_of(ended: Sequence[Checked]) -> tuple[str, int, str | None]:
    """Return the verdict's kind, the exit code and the cause; undecided where nothing was checked."""
    failed = [each for each in ended if each.result.status == "fail"]
    if not failed:
        if any(each.result.ok for each in ended):
            return "ok", EXIT_CODES["ok"], None
        return "undecided", EXIT_CODES["undecided"], "nothing was checked: no check could be made here"
    fault = LabError if all(each.result.trouble for each in failed) else ProfileError
    names = ", ".join(each.check.id for each in failed)
    return fault.fault, fault.exit_code, f"{len(failed)} of {len(ended)} checks failed: {names}"
