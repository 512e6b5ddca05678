"""What a check is, and how many of them are run: in groups side by side, each bounded in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bringup.base.errors import BringupError, LabError, reason_of

Status = Literal["pass", "fail", "skip"]


@dataclass(frozen=True, slots=True)
class Result:
    """What a check found; `fix` is the command that mends it, `exit_code` whose fault a failure is."""

    status: Status
    message: str
    fix: str | None = None
    exit_code: int = LabError.exit_code


def passed(message: str) -> Result:
    """Return that it is as it should be."""
    return Result("pass", message)


def failed(message: str, fix: str) -> Result:
    """Return that it is not, and the command that mends it."""
    return Result("fail", message, fix)


def skipped(message: str, fix: str | None = None) -> Result:
    """Return that it was not looked at, and why; `fix` is what lets it be."""
    return Result("skip", message, fix)


def failed_by(error: BringupError, fix: str | None = None) -> Result:
    """Return a failure in the words of an error; without a `fix` its hint is the way on, if it has one."""
    return Result("fail", error.message, fix or error.hint, error.exit_code)


@dataclass(frozen=True, slots=True)
class Check:
    """One question: its public name, what people read of it, and how it is answered.

    `run` changes nothing; a BringupError that it raises is a failure.
    """

    id: str
    title: str
    run: Callable[[], Result]


@dataclass(frozen=True, slots=True)
class Group:
    """Checks that are run one after another, within `limit_s` seconds; `title` is what they are about."""

    title: str
    checks: Sequence[Check]
    limit_s: float = 15.0


@dataclass(frozen=True, slots=True)
class Checked:
    """A check and what it found."""

    group: str
    id: str
    title: str
    result: Result

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        result = self.result
        return {"id": self.id, "status": result.status, "message": result.message, "fix": result.fix}


def examine(groups: Sequence[Group]) -> list[Checked]:
    """Run every check and return what was found, in their order; groups are run side by side."""
    found: list[dict[str, Result]] = [{} for _ in groups]
    threads = [
        # A check that hangs is left behind; the process may end all the same.
        threading.Thread(target=_run, args=(group, results), name=f"doctor {group.title}", daemon=True)
        for group, results in zip(groups, found, strict=True)
    ]
    began_s = time.monotonic()
    for thread in threads:
        thread.start()
    for thread, group in zip(threads, groups, strict=True):
        thread.join(max(0.0, began_s + group.limit_s - time.monotonic()))
    return [
        Checked(group.title, check.id, check.title, results.get(check.id) or _late(group))
        for group, results in zip(groups, found, strict=True)
        for check in group.checks
    ]


def exit_code(found: Sequence[Checked]) -> int:
    """Return whose fault the first failure is, 0 without one."""
    return next((each.result.exit_code for each in found if each.result.status == "fail"), 0)


def _run(group: Group, results: dict[str, Result]) -> None:
    for check in group.checks:
        try:
            results[check.id] = check.run()
        except BringupError as error:
            results[check.id] = failed_by(error)
        except OSError as error:
            results[check.id] = skipped(f"this host does not tell: {reason_of(error)}")


def _late(group: Group) -> Result:
    return skipped(f"not known: the checks of {group.title} took longer than {group.limit_s:.0f} s")
